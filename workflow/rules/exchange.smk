# Exchange: other datasets come in as shards, and the dataset goes out in their layouts. Only when asked for by name.
# Takes the folder pianomotion10m.folder, and results/dataset; gives results/pianomotion10m and results/export/pianomotion10m.


rule import_pianomotion10m:
    """Import the released PianoMotion10M as shards, and say what was left out; another release is told by its lists of videos."""
    input:
        lists=[f"{CONFIG.pianomotion10m.folder}/{split}.txt" for split in ("train", "valid", "test")],
        mano=weights(CONFIG.pose.hamer.mano),
    output:
        manifest="results/pianomotion10m/shards.json",
        report="results/pianomotion10m/import.json",
    log:
        "results/logs/import_pianomotion10m.log",
    benchmark:
        "results/timings/import_pianomotion10m.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(4000),
        runtime=grows(240),
    params:
        # Too much is read to be read again for a refactoring.
        version=versions_of(
            "import_pianomotion10m.py", "exchange.pianomotion10m", "exchange.pianomotion10m_import", "hand.mano_file"
        ),
        tree=cfg(
            folder="pianomotion10m.folder", subjects="pianomotion10m.subjects", mean_pose="pianomotion10m.mean_pose"
        ),
        settings=cfg(shard_mb="dataset.shard_mb", row_group_rows="dataset.row_group_rows"),
    script:
        "../scripts/import_pianomotion10m.py"


rule export_pianomotion10m:
    """Export the dataset in PianoMotion10M's layout, for the code that reads it."""
    input:
        manifest=rules.write_shards.output.manifest,
        mano=weights(CONFIG.pose.hamer.mano),
    output:
        # A folder, so that clips of an earlier export go: their names depend on the dataset.
        tree=directory("results/export/pianomotion10m"),
    log:
        "results/logs/export_pianomotion10m.log",
    benchmark:
        "results/timings/export_pianomotion10m.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(4000),
        runtime=grows(30 + len(VIDEOS)),
    params:
        code=code_of("export_pianomotion10m.py"),
        settings=cfg(mean_pose="pianomotion10m.mean_pose"),
    script:
        "../scripts/export_pianomotion10m.py"
