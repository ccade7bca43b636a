# Dataset: clean motion and notes become clips, splits, Parquet shards and a card.
# Takes results/{acquire,screening,motion,music,keyboard}; gives results/dataset/.


DATASET_SETTINGS = (
    *(
        "pose.engine",
        "pose.focal_px",
        "pose.hand_length_m",
        "pose.contacts",
        "keyboard.frames",
        "keyboard.min_finger_confidence",
    ),
    *("motion.units", "motion.hampel.window", "motion.hampel.n_sigma", "motion.hampel.floor_m"),
    *("motion.hampel.floor_depth", "motion.hampel.floor_rad", "motion.gap.shorter_than"),
    *("motion.run.shorter_than", "motion.savgol.order", "motion.savgol.window", "music.engine"),
    *("clips.length_s", "clips.hop_s", "clips.min_length_s", "clips.min_visibility", "clips.min_key_press_f1"),
    "screening.visibility.min_both_hands",
)


rule cut_clips:
    """Cut a video into overlapping windows and keep those in which the hands are seen."""
    input:
        motion=rules.clean_motion.output.motion,
        survey=rules.find_segments.output.survey,
        notes=rules.label_fingering.output.notes,
        audio=rules.extract_audio.output.audio,
    output:
        clips="results/dataset/clips/{subject}/{video}.parquet",
    log:
        "results/logs/cut_clips/{subject}/{video}.log",
    benchmark:
        "results/timings/cut_clips/{subject}/{video}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(1000, an_hour=3000),
        runtime=grows(10, an_hour=20),
    params:
        code=code_of("cut_clips.py"),
        rejected=rejected(*MEASURED, reasons_of="dataset"),
        settings=cfg(
            length_s="clips.length_s",
            hop_s="clips.hop_s",
            min_length_s="clips.min_length_s",
            min_visibility="clips.min_visibility",
            min_key_press_f1="clips.min_key_press_f1",
        ),
    message:
        "Cut clips from {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/cut_clips.py"


rule split_videos:
    """Deal the videos to train, valid and test by a stable hash; the sheet may pin one."""
    output:
        splits="results/dataset/splits.parquet",
    log:
        "results/logs/split_videos.log",
    benchmark:
        "results/timings/split_videos.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    params:
        code=code_of("split_videos.py"),
        videos=[[row.subject, row.video, row.split] for row in SHEET.values()],
        settings=cfg(seed="splits.seed", train="splits.train", valid="splits.valid", test="splits.test"),
    script:
        "../scripts/split_videos.py"


rule write_shards:
    """Pack all accepted clips into Parquet shards; the manifest lists them with checksums."""
    input:
        splits=rules.split_videos.output.splits,
        clips=per_video(rules.cut_clips.output.clips),
        motion=per_video(rules.clean_motion.output.motion),
        notes=per_video(rules.label_fingering.output.notes),
        pedal=per_video(rules.label_fingering.output.pedal),
        audio=per_video(rules.extract_audio.output.audio),
        info=per_video(rules.fetch_video.output.info),
        probe=per_video(rules.probe_video.output.probe),
    output:
        manifest="results/dataset/shards.json",
    log:
        "results/logs/write_shards.log",
    benchmark:
        "results/timings/write_shards.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(4000),
        runtime=grows(30 + len(VIDEOS) // 4),
    params:
        code=code_of("write_shards.py"),
        videos=list(map(list, VIDEOS)),
        rights=[[row.permission, row.licence or ""] for row in VIDEOS.values()],
        allowed=cfg(permissions="dataset.rights.permissions", licences="dataset.rights.licences"),
        settings=cfg(shard_mb="dataset.shard_mb", row_group_rows="dataset.row_group_rows"),
    script:
        "../scripts/write_shards.py"


rule describe_dataset:
    """Write the dataset card, the tables and the plots."""
    input:
        manifest=rules.write_shards.output.manifest,
        splits=rules.split_videos.output.splits,
        clips=per_video(rules.cut_clips.output.clips),
        verdicts=rules.screen_videos.output.verdicts,
    output:
        card="results/dataset/README.md",
        statistics="results/dataset/statistics.json",
        croissant="results/dataset/croissant.json",
        key_plot="results/dataset/keys.png",
        velocity_plot="results/dataset/velocities.png",
    log:
        "results/logs/describe_dataset.log",
    benchmark:
        "results/timings/describe_dataset.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(4000),
        runtime=grows(30 + len(VIDEOS) // 10),
    params:
        code=code_of("describe_dataset.py"),
        videos=list(map(list, VIDEOS)),
        rights=[[row.permission, row.licence or ""] for row in VIDEOS.values()],
        allowed=cfg(permissions="dataset.rights.permissions", licences="dataset.rights.licences"),
        name=CONFIG.dataset.name,
        # What the card lists as the settings that made the dataset.
        settings={key: lookup(CONFIG, key) for key in DATASET_SETTINGS},
    script:
        "../scripts/describe_dataset.py"
