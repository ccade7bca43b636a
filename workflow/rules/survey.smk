# Survey: measure video and audio cheaply, before any expensive step runs.
# Reads results/acquire. Writes results/screening/{subject}/{video}/{observed.json,survey.json,thumbnails.jpg,audio.json}.


rule survey_video:
    """Detect cuts, insets and camera motion in all frames, and hands in some frames. Write thumbnails."""
    input:
        video=rules.fetch_video.output.video,
        probe=rules.probe_video.output.probe,
    output:
        observed="results/screening/{subject}/{video}/observed.json",
        thumbnails="results/screening/{subject}/{video}/thumbnails.jpg",
    log:
        "results/logs/survey_video/{subject}/{video}.log",
    benchmark:
        "results/timings/survey_video/{subject}/{video}.tsv"
    priority: 150
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(2000, per_hour=1000),
        runtime=grows(10, per_hour=120),
    params:
        code=versions_of(
            "survey_video.py",
            "editing.edit_detection",
            "detection.frame_sampling",
            "media.frames",
            "drawing.thumbnails",
        ),
        rejected=rejected("probe"),
        settings=cfg("survey", without="speech_classifier"),
    message:
        "Survey {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/survey_video.py"


rule find_segments:
    """Find the usable segments and compute the screening scores from the survey's observations."""
    input:
        observed=rules.survey_video.output.observed,
    output:
        survey="results/screening/{subject}/{video}/survey.json",
    log:
        "results/logs/find_segments/{subject}/{video}.log",
    benchmark:
        "results/timings/find_segments/{subject}/{video}.tsv"
    priority: 150
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(500),
        runtime=grows(10),
    params:
        code=code_of("find_segments.py"),
    script:
        "../scripts/find_segments.py"


rule measure_audio:
    """Measure silence, clipping and speech in the audio."""
    input:
        audio=rules.extract_audio.output.audio,
        probe=rules.probe_video.output.probe,
    output:
        scores="results/screening/{subject}/{video}/audio.json",
    log:
        "results/logs/measure_audio/{subject}/{video}.log",
    benchmark:
        "results/timings/measure_audio/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(2000, per_hour=2000),
        runtime=grows(10, per_hour=60),
    params:
        code=code_of("measure_audio.py", f"music.{CONFIG.survey.speech_classifier}"),
        rejected=rejected("probe"),
        settings=cfg(classifier="survey.speech_classifier"),
    message:
        "Measure the audio of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/measure_audio.py"
