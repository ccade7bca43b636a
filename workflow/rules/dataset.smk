# Dataset: cut clips, assign videos to splits, write Parquet shards and the dataset card.
# Reads results/{acquire,screening,motion,keyboard}. Writes results/dataset/.
from handroll.config.selection import dataset_settings

# Permission and licence of each video.
RIGHTS = [[row.permission, row.licence or ""] for row in VIDEOS.values()]

# Permissions and licences that allow the publication of clips.
ALLOWED = cfg("dataset.rights")

# Sizes of shards and of their row groups.
SHARD_SIZES = cfg("dataset", without=("name", "rights"))


rule cut_clips:
    """Cut a video into overlapping clips, and accept those in which the hands are visible."""
    input:
        motion=MOTION,
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
        mem_mb=grows(1000, per_hour=3000),
        runtime=grows(10, per_hour=20),
    params:
        code=code_of("cut_clips.py"),
        rejected=rejected(*MEASURED, purpose="dataset"),
        settings=cfg("clips"),
    message:
        "Cut clips from {wildcards.subject}/{wildcards.video}"
    script:
        "../scripts/cut_clips.py"


rule split_videos:
    """Assign each video to train, valid or test, by a hash of its name or by the column `split` of the sheet."""
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
        settings=cfg("splits"),
    script:
        "../scripts/split_videos.py"


rule write_shards:
    """Pack all accepted clips into Parquet shards, and list them with checksums in the manifest."""
    input:
        splits=rules.split_videos.output.splits,
        clips=per_video(rules.cut_clips.output.clips),
        motion=per_video(MOTION),
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
        rights=RIGHTS,
        allowed=ALLOWED,
        settings=SHARD_SIZES,
    script:
        "../scripts/write_shards.py"


rule describe_dataset:
    """Write the dataset card, statistics, Croissant metadata and plots."""
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
        rights=RIGHTS,
        allowed=ALLOWED,
        name=CONFIG.dataset.name,
        # Settings that the card lists.
        settings=dataset_settings(CONFIG),
    script:
        "../scripts/describe_dataset.py"
