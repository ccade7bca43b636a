# Keyboard: register the keyboard, and label the finger that plays each note.
# Reads results/{acquire,screening,hands,music}. Writes results/keyboard/{subject}/{video}/{registration.json,notes.parquet,...}.


rule register_keyboard:
    """Register the keyboard: fit the camera to the visible keys; if that fails, write the reason."""
    input:
        video=rules.fetch_video.output.video,
        probe=rules.probe_video.output.probe,
        survey=rules.find_segments.output.survey,
        detections=rules.detect_hands.output.detections,
        notes=rules.check_midi.output.notes,
        agreement=rules.check_midi.output.agreement,
    output:
        registration="results/keyboard/{subject}/{video}/registration.json",
        image="results/keyboard/{subject}/{video}/registration.png",
    log:
        "results/logs/register_keyboard/{subject}/{video}.log",
    benchmark:
        "results/timings/register_keyboard/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(2000, per_hour=2000),
        runtime=grows(10, per_hour=60),
    params:
        code=code_of("register_keyboard.py"),
        rejected=rejected("probe", "survey", "audio", "visibility", "agreement"),
        settings=cfg("keyboard", "pose.focal_px", without="min_finger_confidence"),
        focal_px=row_value("focal_px"),
        marked=row_value("keyboard"),
    message:
        "Register the keyboard of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/register_keyboard.py"


rule label_fingering:
    """Estimate the audio delay from the fingertips, and label each note with hand, finger and confidence."""
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
        mem_mb=grows(1000, per_hour=3000),
        runtime=grows(10, per_hour=60),
    params:
        code=code_of("label_fingering.py"),
        rejected=rejected(*MEASURED),
        settings=cfg("keyboard", without="frames", threshold="keyboard.min_finger_confidence"),
    message:
        "Label the fingering of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/label_fingering.py"
