# Motion: fitted poses become clean series with a state for every frame.
# Takes results/hands; gives results/motion/{subject}/{video}/motion.parquet.


rule clean_motion:
    """Drop outliers, interpolate short gaps, hide flicker, smooth."""
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
        mem_mb=grows(1000, an_hour=5000),
        runtime=grows(10, an_hour=60),
    params:
        code=code_of("clean_motion.py", POSE_ENGINE),
        rejected=rejected(*MEASURED),
        hand_model=HAND_MODEL,
        settings=cfg(
            units="motion.units",
            hampel_window="motion.hampel.window",
            hampel_n_sigma="motion.hampel.n_sigma",
            hampel_floor_m="motion.hampel.floor_m",
            hampel_floor_depth="motion.hampel.floor_depth",
            hampel_floor_rad="motion.hampel.floor_rad",
            gap_shorter_than="motion.gap.shorter_than",
            run_shorter_than="motion.run.shorter_than",
            savgol_order="motion.savgol.order",
            savgol_window="motion.savgol.window",
        ),
    message:
        "Clean the motion of {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/clean_motion.py"
