# Hands: where they are in the picture, and their pose.
# Takes results/{acquire,screening,keyboard}; gives results/hands/{subject}/{video}/{detections,pose,refined}.parquet and visibility.json.


# The module that is imported by this name.
POSE_ENGINE = f"pose.{CONFIG.pose.engine}"
HAMER = CONFIG.pose.engine == "hamer"
# What the configured pose engine is given of the configuration.
POSE_OPTIONS = {
    "landmarks": cfg(hand_length_m="pose.hand_length_m"),
    "hamer": cfg(
        device="device",
        **{
            name: f"pose.hamer.{name}"
            for name in ("checkpoint", "mano", "precision", "batch", "rescale", "shape", "refit", "compile")
        },
    ),
}[CONFIG.pose.engine]
# Of this, what says where the engine's hand model is.
HAND_MODEL = {name: POSE_OPTIONS[name] for name in ("mano",) if name in POSE_OPTIONS}


rule detect_hands:
    """Find both hands in every frame. The detector uses one core: several videos run side by side instead."""
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
    # The longest steps first, so that no core is idle in the end.
    priority: 100
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(2000, an_hour=1000),
        runtime=grows(10, an_hour=180),
    params:
        code=versions_of("detect_hands.py", "detection.hand_tracker", "media.frames"),
        rejected=rejected("probe", "survey", "audio"),
        settings=cfg(
            max_width_px="detection.max_width_px",
            min_detection_confidence="detection.min_detection_confidence",
            min_tracking_confidence="detection.min_tracking_confidence",
        ),
    message:
        "Find the hands in {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/detect_hands.py"


rule measure_visibility:
    """Measure how often the hands are seen in the usable segments."""
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
        mem_mb=grows(500, an_hour=1000),
        runtime=grows(10),
    params:
        code=code_of("measure_visibility.py"),
    script:
        "../scripts/measure_visibility.py"


rule fit_pose:
    """Fit MANO parameters to both hands in every frame, above the registered keys."""
    input:
        video=rules.fetch_video.output.video,
        probe=rules.probe_video.output.probe,
        detections=rules.detect_hands.output.detections,
        registration="results/keyboard/{subject}/{video}/registration.json",
        weights=weights(*(POSE_OPTIONS[name] for name in ("checkpoint", "mano") if name in POSE_OPTIONS)),
    output:
        pose="results/hands/{subject}/{video}/pose.parquet",
    log:
        "results/logs/fit_pose/{subject}/{video}.log",
    benchmark:
        "results/timings/fit_pose/{subject}/{video}.tsv"
    conda:
        NETWORKS_ENV
    # HaMeR decodes, cuts and, without a GPU, multiplies with them.
    threads: 4 if HAMER else 1
    resources:
        mem_mb=grows(8000 if HAMER else 1000, an_hour=4000),
        # Without a GPU HaMeR takes 0.75 s a hand on two cores.
        runtime=grows(10, an_hour=3000 if HAMER and not GPUS else 120),
        gpu=GPUS if HAMER else 0,
    params:
        code=versions_of("fit_pose.py", POSE_ENGINE, "pose.engine", "keyboard.registration"),
        rejected=rejected(*MEASURED),
        settings=cfg(engine="pose.engine", camera="pose.camera", focal_px="pose.focal_px"),
        options=POSE_OPTIONS,
        focal_px=of_row("focal_px"),
    message:
        "Fit poses to {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/fit_pose.py"


rule refine_pose:
    """Fit the hands again where labelled notes tell which fingertip holds a key down, and as one motion if so configured."""
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
        mem_mb=grows(1000, an_hour=4000),
        runtime=grows(10, an_hour=120),
    params:
        code=code_of("refine_pose.py", POSE_ENGINE),
        rejected=rejected(*MEASURED),
        hand_model=HAND_MODEL if CONFIG.pose.temporal.enabled else {},
        settings=cfg(engine="pose.engine", contacts="pose.contacts", temporal="pose.temporal"),
    message:
        "Refine the poses of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/refine_pose.py"
