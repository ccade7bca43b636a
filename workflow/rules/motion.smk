# Motion: clean the fitted poses, mark every frame as observed, interpolated or hidden, and optionally correct the motion with music.
# Reads results/{hands,screening,acquire,keyboard}. Writes results/motion/{subject}/{video}/{motion,corrected}.parquet.


rule clean_motion:
    """Remove outliers, interpolate short gaps, hide short visible runs, and smooth."""
    input:
        pose=rules.refine_pose.output.pose,
        unrefined=rules.fit_pose.output.pose,
        survey=rules.find_segments.output.survey,
    output:
        motion="results/motion/{subject}/{video}/motion.parquet",
    log:
        "results/logs/clean_motion/{subject}/{video}.log",
    benchmark:
        "results/timings/clean_motion/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(1000, per_hour=5000),
        runtime=grows(10, per_hour=60),
    params:
        code=code_of("clean_motion.py", POSE_ENGINE),
        rejected=rejected(*MEASURED),
        hand_model=HAND_MODEL,
        settings=cfg("motion", without=("correction", "mapnet")),
    message:
        "Clean the motion of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/clean_motion.py"


rule correct_motion:
    """Correct the cleaned motion with the music of the video, and fill gaps; only with `motion.correction: mapnet`."""
    input:
        motion=rules.clean_motion.output.motion,
        survey=rules.find_segments.output.survey,
        audio=rules.extract_audio.output.audio,
        notes="results/keyboard/{subject}/{video}/notes.parquet",
        pedal="results/keyboard/{subject}/{video}/pedal.parquet",
    output:
        motion="results/motion/{subject}/{video}/corrected.parquet",
    log:
        "results/logs/correct_motion/{subject}/{video}.log",
    benchmark:
        "results/timings/correct_motion/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(2000, per_hour=6000),
        runtime=grows(10, per_hour=60),
    params:
        code=code_of("correct_motion.py", POSE_ENGINE),
        hand_model=HAND_MODEL,
        settings=cfg("motion.mapnet"),
        # Not an input: an input would make the training of the model, on this or on another dataset, a part of every run.
        checkpoint=file_identity(CONFIG.motion.mapnet.checkpoint),
    message:
        "Correct the motion of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/correct_motion.py"


# Motion that the later rules use.
MOTION = (rules.clean_motion if CONFIG.motion.correction == "none" else rules.correct_motion).output.motion
