# Report: draw hands, keys and fingers on the videos for visual inspection.
# Reads results/{acquire,motion,keyboard}. Writes results/report/{subject}/{video}/{overlay.mp4,contact_sheet.png}.


rule draw_overlay:
    """Draw hands, keys and fingers on the video, with the notes below and the audio, and draw a contact sheet."""
    input:
        video=rules.fetch_video.output.video,
        audio=rules.extract_audio.output.audio,
        motion=MOTION,
        notes=rules.label_fingering.output.notes,
        registration=rules.register_keyboard.output.registration,
    output:
        overlay="results/report/{subject}/{video}/overlay.mp4",
        contact_sheet="results/report/{subject}/{video}/contact_sheet.png",
    log:
        "results/logs/draw_overlay/{subject}/{video}.log",
    benchmark:
        "results/timings/draw_overlay/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(2000, per_hour=1000),
        runtime=grows(10, per_hour=240),
    params:
        code=code_of("draw_overlay.py"),
        rejected=rejected(*MEASURED),
        settings=cfg("overlay"),
    message:
        "Draw hands and keys on {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/draw_overlay.py"
