# Correction: train models that correct motion with noise, score them on true motion, and compare them in tables.
# Reads results/experiments/<name>/{motion_cache,features} and shards. Writes results/experiments/<name>/{models,correction,correction.*}.
from dataclasses import asdict

from handroll.training_data.motion_noise import NOISES

# Parameters of each configured kind of noise, by name.
CORRECTION_NOISE = {name: asdict(NOISES[name]) for name in CORRECTION.noise}


wildcard_constraints:
    corrector=one_of(CORRECTORS),
    corrected=one_of(COMPARED),


rule prepare_correction:
    """Choose the validation windows of models that correct motion, and measure the scales of the training motion."""
    input:
        shards=SHARDS,
        motion=rules.prepare_training.output.motion,
    output:
        training=f"{EXPERIMENT}/correction/training.json",
    log:
        f"results/logs/prepare_correction/{BENCHMARK.name}.log",
    benchmark:
        f"results/timings/prepare_correction/{BENCHMARK.name}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(6000),
        runtime=grows(60),
    params:
        code=versions_of("prepare_correction.py", "training_data.windows", "training_data.loader"),
        source=SOURCE,
        frames=CORRECTION_WINDOW,
    script:
        "../scripts/prepare_correction.py"


rule train_corrector:
    """Train one model that corrects motion, for one frame rate of the input."""
    input:
        shards=SHARDS,
        motion=rules.prepare_training.output.motion,
        training=rules.prepare_correction.output.training,
        features=f"{EXPERIMENT}/features/{CORRECTION.features}/features.json",
    output:
        model=f"{EXPERIMENT}/models/{{corrector}}.safetensors",
        training_log=f"{EXPERIMENT}/models/{{corrector}}.json",
    log:
        f"results/logs/train_corrector/{BENCHMARK.name}/{{corrector}}.log",
    benchmark:
        f"results/timings/train_corrector/{BENCHMARK.name}/{{corrector}}.tsv"
    conda:
        NETWORKS_ENV
    threads: 2
    resources:
        mem_mb=grows(8000),
        runtime=grows(2880),
        gpu=GPUS * BENCHMARK.gpus,
    params:
        code=versions_of("train_corrector.py", "training.correction"),
        source=SOURCE,
        corrector=lambda wildcards: CORRECTORS[wildcards.corrector],
        noise=CORRECTION_NOISE,
        training=cfg("benchmark.correction.training"),
        run=RUN,
    script:
        "../scripts/train_corrector.py"


rule score_correction:
    """Score one method that corrects motion, with each kind of noise."""
    input:
        shards=SHARDS,
        motion=rules.prepare_training.output.motion,
        features=rules.train_corrector.input.features,
        corrector=corrector_files,
    output:
        scores=f"{EXPERIMENT}/correction/scores/{{corrected}}.json",
    log:
        f"results/logs/score_correction/{BENCHMARK.name}/{{corrected}}.log",
    benchmark:
        f"results/timings/score_correction/{BENCHMARK.name}/{{corrected}}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 2
    resources:
        mem_mb=grows(8000),
        runtime=grows(600),
    params:
        code=code_of("score_correction.py"),
        source=SOURCE,
        row=lambda wildcards: {name: COMPARED[wildcards.corrected][name] for name in ("row", "every", "kind")},
        frames=CORRECTION_WINDOW,
        noise=CORRECTION_NOISE,
        split=BENCHMARK.split,
        max_windows=BENCHMARK.max_windows,
        seed=BENCHMARK.seed,
    script:
        "../scripts/score_correction.py"


rule make_correction_table:
    """Write tables with the errors of all methods that correct motion, and the results that MAPnet's authors published."""
    input:
        scores=expand(rules.score_correction.output.scores, corrected=COMPARED),
        published="resources/published/mapnet.tsv",
    output:
        csv=f"{EXPERIMENT}/correction.csv",
        markdown=f"{EXPERIMENT}/correction.md",
        html=f"{EXPERIMENT}/correction.html",
    log:
        f"results/logs/make_correction_table/{BENCHMARK.name}.log",
    benchmark:
        f"results/timings/make_correction_table/{BENCHMARK.name}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
    params:
        code=code_of("make_correction_table.py"),
        title=BENCHMARK.name,
        about=BENCHMARK.about,
    script:
        "../scripts/make_correction_table.py"
