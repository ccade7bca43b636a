# Hands: detect both hands in the frames and fit their poses.
# Reads results/{acquire,screening,keyboard}. Writes results/hands/{subject}/{video}/{detections,pose,refined}.parquet and visibility.json.


# Module of the configured pose engine, which scripts import by name.
POSE_ENGINE = f"pose.{CONFIG.pose.engine}"
HAMER = CONFIG.pose.engine == "hamer"

# Settings of the configured pose engine.
POSE_OPTIONS = {"landmarks": cfg("pose.hand_length_m"), "hamer": cfg("device", "pose.hamer")}[CONFIG.pose.engine]

# Path of the hand model of the configured pose engine; empty if it has none.
HAND_MODEL = {name: POSE_OPTIONS[name] for name in ("mano",) if name in POSE_OPTIONS}


rule detect_hands:
    """Detect both hands in every frame of the usable segments. A job uses one core, so several videos run in parallel."""
    input:
        video=rules.fetch_video.output.video,
        probe=rules.probe_video.output.probe,
        survey=rules.find_segments.output.survey,
        audio_scores=rules.measure_audio.output.scores,
    output:
        detections="results/hands/{subject}/{video}/detections.parquet",
    log:
        "results/logs/detect_hands/{subject}/{video}.log",
    benchmark:
        "results/timings/detect_hands/{subject}/{video}.tsv"
    # The longest steps start first, so that no core is idle at the end.
    priority: 100
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(2000, per_hour=1000),
        runtime=grows(10, per_hour=180),
    params:
        code=versions_of("detect_hands.py", "detection.hand_tracker", "media.frames"),
        rejected=rejected("probe", "survey", "audio"),
        settings=cfg("detection"),
    message:
        "Detect the hands in {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/detect_hands.py"


rule measure_visibility:
    """Measure the share of frames of the usable segments in which the hands are detected."""
    input:
        detections=rules.detect_hands.output.detections,
        survey=rules.find_segments.output.survey,
    output:
        visibility="results/hands/{subject}/{video}/visibility.json",
    log:
        "results/logs/measure_visibility/{subject}/{video}.log",
    benchmark:
        "results/timings/measure_visibility/{subject}/{video}.tsv"
    priority: 100
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(500, per_hour=1000),
        runtime=grows(10),
    params:
        code=code_of("measure_visibility.py"),
    script:
        "../scripts/measure_visibility.py"


rule fit_pose:
    """Fit MANO hand parameters to every detected hand, relative to the registered keyboard."""
    input:
        video=rules.fetch_video.output.video,
        probe=rules.probe_video.output.probe,
        detections=rules.detect_hands.output.detections,
        registration="results/keyboard/{subject}/{video}/registration.json",
        weights=existing_files(*(POSE_OPTIONS[name] for name in ("checkpoint", "mano") if name in POSE_OPTIONS)),
    output:
        pose="results/hands/{subject}/{video}/pose.parquet",
    log:
        "results/logs/fit_pose/{subject}/{video}.log",
    benchmark:
        "results/timings/fit_pose/{subject}/{video}.tsv"
    conda:
        NETWORKS_ENV
    # HaMeR decodes and crops frames in these threads, and without a GPU also runs its network in them.
    threads: 4 if HAMER else 1
    resources:
        mem_mb=grows(8000 if HAMER else 1000, per_hour=4000),
        # Measured: without a GPU, HaMeR takes 0.75 s per hand on two cores.
        runtime=grows(10, per_hour=3000 if HAMER and not GPUS else 120),
        gpu=GPUS if HAMER else 0,
    params:
        code=versions_of("fit_pose.py", POSE_ENGINE, "pose.engine", "keyboard.registration"),
        rejected=rejected(*MEASURED),
        settings=cfg("pose", without=("hand_length_m", "contacts", "temporal", "hamer")),
        options=POSE_OPTIONS,
        focal_px=row_value("focal_px"),
    message:
        "Fit poses to {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/fit_pose.py"


rule refine_pose:
    """Refit the poses to the keys that labelled notes hold down, and smooth them over time if `pose.temporal.enabled` is true."""
    input:
        pose=rules.fit_pose.output.pose,
        detections=rules.detect_hands.output.detections,
        notes="results/keyboard/{subject}/{video}/notes.parquet",
    output:
        pose="results/hands/{subject}/{video}/refined.parquet",
    log:
        "results/logs/refine_pose/{subject}/{video}.log",
    benchmark:
        "results/timings/refine_pose/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(1000, per_hour=4000),
        runtime=grows(10, per_hour=120),
    params:
        code=code_of("refine_pose.py", POSE_ENGINE),
        rejected=rejected(*MEASURED),
        hand_model=HAND_MODEL if CONFIG.pose.temporal.enabled else {},
        settings=cfg(
            "pose",
            without=("camera", "focal_px", "hand_length_m", "hamer"),
            temporal="pose.temporal",
        ),
    message:
        "Refine the poses of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/refine_pose.py"
