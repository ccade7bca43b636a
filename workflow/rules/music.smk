# Music: sound becomes notes.
# Takes results/acquire; gives results/music/{subject}/{video}/ with transcription and the notes that the dataset uses.


rule transcribe_audio:
    """Transcribe the sound into notes and pedal."""
    input:
        audio=rules.extract_audio.output.audio,
        audio_scores=rules.measure_audio.output.scores,
        visibility=rules.measure_visibility.output.visibility,
        weights=weights(*([CONFIG.music.kong.checkpoint] if CONFIG.music.engine == "kong" else [])),
    output:
        notes="results/music/{subject}/{video}/transcription/notes.parquet",
        pedal="results/music/{subject}/{video}/transcription/pedal.parquet",
        midi="results/music/{subject}/{video}/transcription/notes.mid",
    log:
        "results/logs/transcribe_audio/{subject}/{video}.log",
    benchmark:
        "results/timings/transcribe_audio/{subject}/{video}.tsv"
    # After the detections, the longest step.
    priority: 50
    conda:
        NETWORKS_ENV
    threads: 1
    resources:
        mem_mb=grows(4000, an_hour=6000),
        runtime=grows(10, an_hour=240),
        gpu=GPUS,
    params:
        code=versions_of(
            "transcribe_audio.py", f"music.{CONFIG.music.engine}", "music.transcribe", "media.audio", "music.midi"
        ),
        rejected=rejected("probe", "survey", "audio", "visibility", reasons_of="dataset"),
        settings=cfg(engine="music.engine", device="device", options=f"music.{CONFIG.music.engine}"),
    message:
        "Transcribe {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/transcribe_audio.py"


rule check_midi:
    """Take the performer's MIDI where the sheet gives one that is the sound of the recording, else the transcription."""
    input:
        audio=rules.extract_audio.output.audio,
        notes=rules.transcribe_audio.output.notes,
        pedal=rules.transcribe_audio.output.pedal,
    output:
        notes="results/music/{subject}/{video}/notes.parquet",
        pedal="results/music/{subject}/{video}/pedal.parquet",
        midi="results/music/{subject}/{video}/notes.mid",
        agreement="results/music/{subject}/{video}/agreement.json",
    log:
        "results/logs/check_midi/{subject}/{video}.log",
    benchmark:
        "results/timings/check_midi/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(1000, an_hour=4000),
        runtime=grows(10, an_hour=60),
    params:
        code=code_of("check_midi.py"),
        rejected=rejected("probe", "survey", "audio", "visibility"),
        identity=identity("midi"),
        given=path_of("midi"),
        settings=cfg(
            correct="music.midi_check.correct",
            max_offset_s="music.midi_check.max_offset_s",
            max_drift_s="music.midi_check.max_drift_s",
            max_late_share="music.midi_check.max_late_share",
            max_silent_share="music.midi_check.max_silent_share",
            max_wrong_share="music.midi_check.max_wrong_share",
            max_missing_share="music.midi_check.max_missing_share",
            max_extra_share="music.midi_check.max_extra_share",
            max_level_deviation="music.midi_check.max_level_deviation",
            max_level_scale="music.midi_check.max_level_scale",
            min_level_correlation="music.midi_check.min_level_correlation",
        ),
    message:
        "Choose the notes of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/check_midi.py"
