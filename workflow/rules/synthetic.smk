# Synthetic: a training set of invented music, without videos. Only when asked for by name.
# Takes nothing; gives results/synthetic/.


rule synthesise_corpus:
    """Invent music, play it, and pack motion, notes and sound as shards, like those of any dataset."""
    output:
        manifest="results/synthetic/shards.json",
    log:
        "results/logs/synthesise_corpus.log",
    benchmark:
        "results/timings/synthesise_corpus.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 2
    resources:
        mem_mb=grows(4000),
        runtime=grows(30 + ceil(3 * CONFIG.synthetic.hours)),
    params:
        code=versions_of("synthesise_corpus.py", "simulator.corpus"),
        recipe=cfg(
            seed="synthetic.seed",
            take_s="synthetic.take_s",
            fps="synthetic.fps",
            audio_rate_hz="synthetic.audio_rate_hz",
            length_s="clips.length_s",
            hop_s="clips.hop_s",
            min_visibility="clips.min_visibility",
        ),
        audio=CONFIG.synthetic.audio,
        hours=CONFIG.synthetic.hours,
        shares=cfg(train="splits.train", valid="splits.valid", test="splits.test"),
        settings=cfg(shard_mb="dataset.shard_mb", row_group_rows="dataset.row_group_rows"),
    script:
        "../scripts/synthesise_corpus.py"
