# Training: scales, features of the sound, and the models of the benchmark.
# Takes shards (results/dataset, results/synthetic or results/pianomotion10m); gives results/experiments/<name>/{motion_cache,training.json,features,models}.


SHARDS = {
    "dataset": rules.write_shards.output.manifest,
    "synthetic": rules.synthesise_corpus.output.manifest,
    "pianomotion10m": rules.import_pianomotion10m.output.manifest,
}[BENCHMARK.data]
# Which clips are seen, and how.
SOURCE = cfg(frame="benchmark.frame", rate_hz="benchmark.rate_hz", subjects="benchmark.subjects")
# Frames of a window.
WINDOW = round(BENCHMARK.window_s * BENCHMARK.rate_hz)
# How every model of the experiment is trained.
TRAINING = cfg(seed="benchmark.seed", precision="benchmark.precision", gpus="benchmark.gpus", device="device")
# Sizes that both stages have.
SIZES = ("layers", "state", "feedforward", "context_layers", "dropout")


wildcard_constraints:
    features="|".join(BENCHMARK.features),
    decoder="transformer|ssm",
    encoder="hubert|wav2vec2",


rule prepare_training:
    """Keep all motion as models see it, measure its scales, and choose the windows that training looks at."""
    input:
        shards=SHARDS,
    output:
        motion=f"{EXPERIMENT}/motion_cache/motion.json",
        training=f"{EXPERIMENT}/training.json",
    log:
        f"results/logs/prepare_training/{BENCHMARK.name}.log",
    benchmark:
        f"results/timings/prepare_training/{BENCHMARK.name}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 1
    resources:
        mem_mb=grows(6000),
        runtime=grows(60),
    params:
        code=versions_of("prepare_training.py", "training_data.windows", "training_data.feature_cache", "training_data.loader"),
        source=SOURCE,
        frames=WINDOW,
    script:
        "../scripts/prepare_training.py"


rule tune_encoder:
    """Fine-tune a speech encoder with the first stage behind it."""
    input:
        shards=SHARDS,
        motion=rules.prepare_training.output.motion,
        training=rules.prepare_training.output.training,
        encoder=lambda wildcards: encoder_files(untuned(wildcards.encoder)),
    output:
        model=f"{EXPERIMENT}/encoders/{{encoder}}_tuned/model.safetensors",
        config=f"{EXPERIMENT}/encoders/{{encoder}}_tuned/config.json",
        training_log=f"{EXPERIMENT}/encoders/{{encoder}}_tuned/training.json",
    log:
        f"results/logs/tune_encoder/{BENCHMARK.name}/{{encoder}}.log",
    benchmark:
        f"results/timings/tune_encoder/{BENCHMARK.name}/{{encoder}}.tsv"
    conda:
        NETWORKS_ENV
    threads: 2
    resources:
        mem_mb=grows(16000),
        runtime=grows(5760),
        gpu=GPUS * BENCHMARK.gpus,
    params:
        code=versions_of("tune_encoder.py", "training.speech_encoder"),
        source=SOURCE,
        encoder=lambda wildcards: untuned(wildcards.encoder),
        model=cfg(**{name: f"benchmark.position.{name}" for name in (*SIZES, "width")}),
        decoder=BENCHMARK.decoders[0],
        velocity_weight=BENCHMARK.position.velocity_weight,
        training=cfg(settings="benchmark.tuning.training"),
        run=TRAINING,
    script:
        "../scripts/tune_encoder.py"


rule encode_audio:
    """Compute the features of every clip's sound, once."""
    input:
        shards=SHARDS,
        encoder=encoder_weights,
    output:
        features=f"{EXPERIMENT}/features/{{features}}/features.json",
    log:
        f"results/logs/encode_audio/{BENCHMARK.name}/{{features}}.log",
    benchmark:
        f"results/timings/encode_audio/{BENCHMARK.name}/{{features}}.tsv"
    conda:
        NETWORKS_ENV
    threads: 2
    resources:
        mem_mb=grows(6000),
        runtime=grows(600),
        gpu=GPUS,
    params:
        code=lambda wildcards: versions_of(
            "encode_audio.py", "models.audio_features", "training_data.feature_cache", *encoder_modules(wildcards)
        ),
        rate_hz=BENCHMARK.rate_hz,
        encoder=encoder_folder,
        device=CONFIG.device,
    script:
        "../scripts/encode_audio.py"


rule train_position:
    """Train the first stage: where the hands are."""
    input:
        shards=SHARDS,
        motion=rules.prepare_training.output.motion,
        training=rules.prepare_training.output.training,
        features=rules.encode_audio.output.features,
    output:
        model=f"{EXPERIMENT}/models/{{features}}-{{decoder}}/position.safetensors",
        training_log=f"{EXPERIMENT}/models/{{features}}-{{decoder}}/position.json",
    log:
        f"results/logs/train_position/{BENCHMARK.name}/{{features}}-{{decoder}}.log",
    benchmark:
        f"results/timings/train_position/{BENCHMARK.name}/{{features}}-{{decoder}}.tsv"
    conda:
        NETWORKS_ENV
    threads: 2
    resources:
        mem_mb=grows(8000),
        runtime=grows(2880),
        gpu=GPUS * BENCHMARK.gpus,
    params:
        code=versions_of("train_position.py", "training.position"),
        source=SOURCE,
        model=cfg(**{name: f"benchmark.position.{name}" for name in (*SIZES, "context_width", "width")}),
        velocity_weight=BENCHMARK.position.velocity_weight,
        training=cfg(settings="benchmark.position.training"),
        run=TRAINING,
    script:
        "../scripts/train_position.py"


rule train_gesture:
    """Train the second stage: the hands' poses, by diffusion."""
    input:
        shards=SHARDS,
        motion=rules.prepare_training.output.motion,
        training=rules.prepare_training.output.training,
        features=rules.encode_audio.output.features,
        position=rules.train_position.output.model,
    output:
        model=f"{EXPERIMENT}/models/{{features}}-{{decoder}}/gesture.safetensors",
        training_log=f"{EXPERIMENT}/models/{{features}}-{{decoder}}/gesture.json",
    log:
        f"results/logs/train_gesture/{BENCHMARK.name}/{{features}}-{{decoder}}.log",
    benchmark:
        f"results/timings/train_gesture/{BENCHMARK.name}/{{features}}-{{decoder}}.tsv"
    conda:
        NETWORKS_ENV
    threads: 2
    resources:
        mem_mb=grows(8000),
        runtime=grows(2880),
        gpu=GPUS * BENCHMARK.gpus,
    params:
        code=versions_of("train_gesture.py", "training.gesture"),
        source=SOURCE,
        model=cfg(**{name: f"benchmark.gesture.{name}" for name in (*SIZES, "condition_width", "dim", "multipliers")}),
        training=cfg(settings="benchmark.gesture.training"),
        run=TRAINING,
    script:
        "../scripts/train_gesture.py"


rule train_autoencoder:
    """Train what sees whole windows of motion for the Fréchet distance of motions."""
    input:
        shards=SHARDS,
        motion=rules.prepare_training.output.motion,
        training=rules.prepare_training.output.training,
    output:
        model=f"{EXPERIMENT}/models/autoencoder.safetensors",
        training_log=f"{EXPERIMENT}/models/autoencoder.json",
    log:
        f"results/logs/train_autoencoder/{BENCHMARK.name}.log",
    benchmark:
        f"results/timings/train_autoencoder/{BENCHMARK.name}.tsv"
    conda:
        NETWORKS_ENV
    threads: 2
    resources:
        mem_mb=grows(8000),
        runtime=grows(1440),
        gpu=GPUS * BENCHMARK.gpus,
    params:
        code=versions_of("train_autoencoder.py", "training.autoencoder"),
        source=SOURCE,
        training=cfg(settings="benchmark.autoencoder.training"),
        run=TRAINING,
    script:
        "../scripts/train_autoencoder.py"
