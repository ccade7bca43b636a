# Music: transcribe the audio, and choose the notes that the dataset uses.
# Reads results/{acquire,screening,hands}. Writes results/music/{subject}/{video}/{notes.parquet,...,transcription/}.


rule transcribe_audio:
    """Transcribe the audio into notes and pedal presses."""
    input:
        audio=rules.extract_audio.output.audio,
        audio_scores=rules.measure_audio.output.scores,
        visibility=rules.measure_visibility.output.visibility,
        weights=existing_files(*([CONFIG.music.kong.checkpoint] if CONFIG.music.engine == "kong" else [])),
    output:
        notes="results/music/{subject}/{video}/transcription/notes.parquet",
        pedal="results/music/{subject}/{video}/transcription/pedal.parquet",
        midi="results/music/{subject}/{video}/transcription/notes.mid",
    log:
        "results/logs/transcribe_audio/{subject}/{video}.log",
    benchmark:
        "results/timings/transcribe_audio/{subject}/{video}.tsv"
    # Transcription is the longest step after hand detection, so it starts early.
    priority: 50
    conda:
        NETWORKS_ENV
    threads: 1
    resources:
        mem_mb=grows(4000, per_hour=6000),
        runtime=grows(10, per_hour=240),
        gpu=GPUS,
    params:
        code=versions_of(
            "transcribe_audio.py", f"music.{CONFIG.music.engine}", "music.transcribe", "media.audio", "music.midi"
        ),
        rejected=rejected("probe", "survey", "audio", "visibility", purpose="dataset"),
        settings=cfg(
            "music", "device", without=("transkun", "kong", "midi_check"), options=f"music.{CONFIG.music.engine}"
        ),
    message:
        "Transcribe {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/transcribe_audio.py"


rule check_midi:
    """Choose the notes: the performer's MIDI file if the sheet has one that matches the audio, else the transcription."""
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
        mem_mb=grows(1000, per_hour=4000),
        runtime=grows(10, per_hour=60),
    params:
        code=code_of("check_midi.py"),
        rejected=rejected("probe", "survey", "audio", "visibility"),
        identity=identity("midi"),
        given=path_of("midi"),
        settings=cfg("music.midi_check"),
    message:
        "Choose the notes of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/check_midi.py"
