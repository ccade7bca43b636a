# Exchange: import PianoMotion10M as shards, and export the dataset in its layout. Run these rules by name.
# Reads the folder pianomotion10m.folder, and results/dataset. Writes results/pianomotion10m and results/export/pianomotion10m.


rule import_pianomotion10m:
    """Import PianoMotion10M as shards, and report what was left out. Changed lists of videos repeat the import."""
    input:
        lists=[f"{CONFIG.pianomotion10m.folder}/{split}.txt" for split in ("train", "valid", "test")],
        mano=existing_files(CONFIG.pose.hamer.mano),
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
        # The import reads so much data that it should not be repeated after a refactoring.
        version=versions_of(
            "import_pianomotion10m.py", "exchange.pianomotion10m", "exchange.pianomotion10m_import", "hand.mano_file"
        ),
        tree=cfg("pianomotion10m"),
        settings=SHARD_SIZES,
    script:
        "../scripts/import_pianomotion10m.py"


rule export_pianomotion10m:
    """Export the dataset in PianoMotion10M's layout, for code that reads that release."""
    input:
        manifest=rules.write_shards.output.manifest,
        mano=existing_files(CONFIG.pose.hamer.mano),
    output:
        # A folder, so that Snakemake removes the clips of an earlier export, which may have other names.
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
        settings=cfg("pianomotion10m.mean_pose"),
    script:
        "../scripts/export_pianomotion10m.py"
