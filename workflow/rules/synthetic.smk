# Synthetic: make a training set of generated music and simulated hands, without videos. Run this rule by name.
# Writes results/synthetic/, or results/synthetic-N/ for random pianist N.
from math import ceil

# Name of the set, and of the subject of its takes (`handroll.simulator.pianists`).
SYNTHETIC = f"synthetic-{CONFIG.synthetic.pianist}" if CONFIG.synthetic.pianist else "synthetic"


rule synthesise_corpus:
    """Generate music, simulate hands that play it, and pack motion, notes and audio as shards like those of the dataset."""
    output:
        manifest=f"results/{SYNTHETIC}/shards.json",
    log:
        f"results/logs/synthesise_corpus/{SYNTHETIC}.log",
    benchmark:
        f"results/timings/synthesise_corpus/{SYNTHETIC}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 2
    resources:
        mem_mb=grows(4000),
        runtime=grows(30 + ceil(3 * CONFIG.synthetic.hours)),
    params:
        code=versions_of("synthesise_corpus.py", "simulator.corpus"),
        recipe=cfg("synthetic", "clips", without=("hours", "audio", "min_length_s", "min_key_press_f1")),
        audio=CONFIG.synthetic.audio,
        hours=CONFIG.synthetic.hours,
        shares=cfg("splits", without="seed"),
        settings=SHARD_SIZES,
    script:
        "../scripts/synthesise_corpus.py"
