# Survey: a first, cheap look at every video and its sound, before anything expensive runs.
# Takes results/acquire; gives results/screen/{subject}/{video}/{survey.json,thumbnails.jpg,sound.json}.


rule survey_video:
    """Find cuts, overlays and camera motion, glance at the hands; keep the playable segments and some thumbnails."""
    input:
        video=rules.fetch_video.output.video,
        probe=rules.probe_video.output.probe,
    output:
        survey="results/screen/{subject}/{video}/survey.json",
        thumbnails="results/screen/{subject}/{video}/thumbnails.jpg",
    log:
        "results/logs/survey_video/{subject}/{video}.log",
    benchmark:
        "results/benchmarks/survey_video/{subject}/{video}.tsv"
    priority: 150
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(2000, an_hour=1000),
        runtime=grows(10, an_hour=120),
    params:
        code=[version_of(f"handroll.{module}") for module in ("video.shots", "detect.glance")],
        rejected=rejected("probe"),
        settings=cfg(samples="survey.samples"),
    message:
        "Look over {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/survey_video.py"


rule measure_sound:
    """Measure silence, clipping and speech in the sound."""
    input:
        audio=rules.extract_audio.output.audio,
        probe=rules.probe_video.output.probe,
    output:
        sound="results/screen/{subject}/{video}/sound.json",
    log:
        "results/logs/measure_sound/{subject}/{video}.log",
    benchmark:
        "results/benchmarks/measure_sound/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(2000, an_hour=2000),
        runtime=grows(10, an_hour=60),
    params:
        code=code_of("measure_sound.py"),
        rejected=rejected("probe"),
        settings=cfg(classifier="survey.speech_classifier"),
    message:
        "Measure the sound of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/measure_sound.py"
