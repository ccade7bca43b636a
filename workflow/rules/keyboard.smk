# Keyboard: where the keys are, and which finger plays each note.
# Takes results/{acquire,screening,hands,music}; gives results/keyboard/{subject}/{video}/{registration.json,notes.parquet,...}.


rule register_keyboard:
    """Find the keyboard in the picture: camera, visible keys, residuals; or say why not."""
    input:
        video=rules.fetch_video.output.video,
        probe=rules.probe_video.output.probe,
        survey=rules.find_segments.output.survey,
        detections=rules.detect_hands.output.detections,
        notes=rules.check_midi.output.notes,
        agreement=rules.check_midi.output.agreement,
    output:
        registration="results/keyboard/{subject}/{video}/registration.json",
        picture="results/keyboard/{subject}/{video}/registration.png",
    log:
        "results/logs/register_keyboard/{subject}/{video}.log",
    benchmark:
        "results/timings/register_keyboard/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(2000, an_hour=2000),
        runtime=grows(10, an_hour=60),
    params:
        code=code_of("register_keyboard.py"),
        rejected=rejected("probe", "survey", "audio", "visibility", "agreement"),
        frames=cfg(frames="keyboard.frames")["frames"],
        settings=cfg(focal_px="pose.focal_px"),
        focal_px=of_row("focal_px"),
        marked=of_row("keyboard"),
    message:
        "Register the keyboard of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/register_keyboard.py"


rule label_fingering:
    """Move the notes to the picture's clock by the fingertips, and label each with hand, finger and confidence."""
    input:
        notes=rules.check_midi.output.notes,
        pedal=rules.check_midi.output.pedal,
        pose=rules.fit_pose.output.pose,
    output:
        notes="results/keyboard/{subject}/{video}/notes.parquet",
        pedal="results/keyboard/{subject}/{video}/pedal.parquet",
        midi="results/keyboard/{subject}/{video}/notes.mid",
        pig="results/keyboard/{subject}/{video}/fingering.pig.txt",
        robopianist="results/keyboard/{subject}/{video}/fingering.textproto",
        summary="results/keyboard/{subject}/{video}/fingering.json",
    log:
        "results/logs/label_fingering/{subject}/{video}.log",
    benchmark:
        "results/timings/label_fingering/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(1000, an_hour=3000),
        runtime=grows(10, an_hour=60),
    params:
        code=code_of("label_fingering.py"),
        rejected=rejected(*MEASURED),
        settings=cfg(threshold="keyboard.min_finger_confidence"),
    message:
        "Label the fingering of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/label_fingering.py"
