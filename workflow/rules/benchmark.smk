# Benchmark: generate motion with every method, score it, and compare the methods in tables.
# Reads results/experiments/<name>/{training.json,features,models} and shards. Writes
# results/experiments/<name>/{windows.json,motion,scores,table.*}.


wildcard_constraints:
    method=one_of(METHODS),


rule choose_windows:
    """Choose the windows on which the methods are compared."""
    input:
        shards=SHARDS,
        training=rules.prepare_training.output.training,
    output:
        windows=f"{EXPERIMENT}/windows.json",
    log:
        f"results/logs/choose_windows/{BENCHMARK.name}.log",
    benchmark:
        f"results/timings/choose_windows/{BENCHMARK.name}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(6000),
        runtime=grows(60),
    params:
        code=code_of("choose_windows.py"),
        source=SOURCE,
        split=BENCHMARK.split,
        max_windows=BENCHMARK.max_windows,
    script:
        "../scripts/choose_windows.py"


rule generate_motion:
    """Generate one or more motions for every window with one method."""
    input:
        shards=SHARDS,
        windows=rules.choose_windows.output.windows,
        features=features_of,
        models=models_of,
    output:
        motion=f"{EXPERIMENT}/motion/{{method}}.parquet",
        report=f"{EXPERIMENT}/motion/{{method}}.json",
    log:
        f"results/logs/generate_motion/{BENCHMARK.name}/{{method}}.log",
    benchmark:
        f"results/timings/generate_motion/{BENCHMARK.name}/{{method}}.tsv"
    conda:
        NETWORKS_ENV
    threads: 2
    resources:
        mem_mb=grows(8000),
        runtime=grows(1440),
        gpu=GPUS,
    params:
        code=code_of("generate_motion.py", *MODEL_MODULES),
        source=SOURCE,
        method=lambda wildcards: METHODS[wildcards.method],
        run=run_of,
        released=released_of,
    script:
        "../scripts/generate_motion.py"


rule score_motion:
    """Score the motions of one method against the ground truth."""
    input:
        shards=SHARDS,
        windows=rules.choose_windows.output.windows,
        motion=rules.generate_motion.output.motion,
        autoencoder=rules.train_autoencoder.output.model,
        released=existing_files(BENCHMARK.weights.released_autoencoder),
    output:
        scores=f"{EXPERIMENT}/scores/{{method}}.json",
    log:
        f"results/logs/score_motion/{BENCHMARK.name}/{{method}}.log",
    benchmark:
        f"results/timings/score_motion/{BENCHMARK.name}/{{method}}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(8000),
        runtime=grows(600),
    params:
        code=code_of("score_motion.py"),
        source=SOURCE,
        seed=BENCHMARK.seed,
        released=BENCHMARK.weights.released_autoencoder,
        mano=HAND_MODEL,
    script:
        "../scripts/score_motion.py"


rule make_tables:
    """Write tables with the scores of all methods and the results that PianoMotion10M published."""
    input:
        scores=expand(rules.score_motion.output.scores, method=METHODS),
        reports=expand(rules.generate_motion.output.report, method=METHODS),
        published="resources/published/pianomotion10m.tsv",
    output:
        csv=f"{EXPERIMENT}/table.csv",
        markdown=f"{EXPERIMENT}/table.md",
        html=f"{EXPERIMENT}/table.html",
    log:
        f"results/logs/make_tables/{BENCHMARK.name}.log",
    benchmark:
        f"results/timings/make_tables/{BENCHMARK.name}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
    params:
        code=code_of("make_tables.py"),
        title=BENCHMARK.name,
        about=BENCHMARK.about,
    script:
        "../scripts/make_tables.py"
