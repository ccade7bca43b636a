# Motion: clean the fitted poses and mark every frame as observed, interpolated or hidden.
# Reads results/{hands,screening}. Writes results/motion/{subject}/{video}/motion.parquet.


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
        settings=cfg("motion"),
    message:
        "Clean the motion of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/clean_motion.py"
