# Training: prepare motion and audio features, and train the models of an experiment.
# Reads shards of results/{dataset,synthetic,synthetic-N,pianomotion10m}. Writes
# results/experiments/<name>/{motion_cache,training.json,features,encoders,models}.

# Manifest of the shards that the experiment reads.
SHARDS = {
    "dataset": rules.write_shards.output.manifest,
    "synthetic": rules.synthesise_corpus.output.manifest,
    "pianomotion10m": rules.import_pianomotion10m.output.manifest,
}[BENCHMARK.data]

# Subjects of the clips that are read, and coordinate frame and frame rate of their motion.
SOURCE = cfg("benchmark.frame", "benchmark.rate_hz", "benchmark.subjects")

# Length of a window in frames.
WINDOW = round(BENCHMARK.window_s * BENCHMARK.rate_hz)

# Settings that all trainings of the experiment share.
RUN = cfg("benchmark.seed", "benchmark.precision", "benchmark.gpus", "device")


wildcard_constraints:
    features=one_of(all_features(BENCHMARK)),
    folder=one_of({folder for folder, _ in NETWORKS}),
    stage=one_of({stage for _, stage in NETWORKS}),
    encoder="hubert|wav2vec2",


rule prepare_training:
    """Cache all motion in the models' format, measure its scales, and choose the validation windows."""
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
        code=versions_of(
            "prepare_training.py", "training_data.windows", "training_data.feature_cache", "training_data.loader"
        ),
        source=SOURCE,
        frames=WINDOW,
    script:
        "../scripts/prepare_training.py"


rule tune_encoder:
    """Fine-tune a speech encoder together with the first stage, the position model."""
    input:
        shards=SHARDS,
        motion=rules.prepare_training.output.motion,
        training=rules.prepare_training.output.training,
        encoder=pretrained_files,
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
        encoder=lambda wildcards: pretrained_encoder(wildcards.encoder, BENCHMARK.weights),
        model=cfg("benchmark.position", without=("context_width", "velocity_weight", "training")),
        decoder=BENCHMARK.decoders[0],
        velocity_weight=BENCHMARK.position.velocity_weight,
        training=cfg("benchmark.tuning.training"),
        run=RUN,
    script:
        "../scripts/tune_encoder.py"


rule train_fingering:
    """Learn the costs of the player's fingering from the labelled notes of the training clips."""
    input:
        shards=SHARDS,
    output:
        costs=f"{EXPERIMENT}/fingering.json",
    log:
        f"results/logs/train_fingering/{BENCHMARK.name}.log",
    benchmark:
        f"results/timings/train_fingering/{BENCHMARK.name}.tsv"
    conda:
        NETWORKS_ENV
    threads: 2
    resources:
        mem_mb=grows(6000),
        runtime=grows(240),
    params:
        code=versions_of("train_fingering.py", "generation.fingering_training"),
        subjects=cfg("benchmark.subjects"),
    script:
        "../scripts/train_fingering.py"


rule encode_audio:
    """Compute the features of the audio or of the notes of every clip."""
    input:
        shards=SHARDS,
        encoder=encoder_weights,
        fingering=fingering_of_features,
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
            "encode_audio.py",
            "generation.feature_encoders",
            "generation.fingering_training",
            "training_data.feature_cache",
            *encoder_modules(wildcards.features),
        ),
        rate_hz=BENCHMARK.rate_hz,
        encoder=encoder_folder,
        device=CONFIG.device,
    script:
        "../scripts/encode_audio.py"


rule train_network:
    """Train one stage of a model, such as the positions of the two-stage model."""
    input:
        shards=SHARDS,
        motion=rules.prepare_training.output.motion,
        training=rules.prepare_training.output.training,
        features=training_features,
        earlier=earlier_stages,
    output:
        model=f"{EXPERIMENT}/models/{{folder}}/{{stage}}.safetensors",
        training_log=f"{EXPERIMENT}/models/{{folder}}/{{stage}}.json",
    log:
        f"results/logs/train_network/{BENCHMARK.name}/{{folder}}-{{stage}}.log",
    benchmark:
        f"results/timings/train_network/{BENCHMARK.name}/{{folder}}-{{stage}}.tsv"
    conda:
        NETWORKS_ENV
    threads: 2
    resources:
        mem_mb=grows(8000),
        runtime=grows(2880),
        gpu=GPUS * BENCHMARK.gpus,
    params:
        code=lambda wildcards: versions_of("train_network.py", f"training.{wildcards.stage}"),
        source=SOURCE,
        model=stage_settings,
        training=settings_of_training,
        run=RUN,
    script:
        "../scripts/train_network.py"


rule train_autoencoder:
    """Train the auto-encoder that computes features for the Fréchet distance between motions."""
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
        training=cfg("benchmark.autoencoder.training"),
        run=RUN,
    script:
        "../scripts/train_autoencoder.py"
