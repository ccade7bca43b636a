"""Configuration of training and of the benchmark. The defaults are the demo experiment, which is small enough for two CPU cores."""

from typing import Annotated, Literal

from pydantic import Field

from handroll.config.section import Count, Name, NotNegative, Positive, Section, Share


class Training(Section):
    """Training of a model (AdamW)."""

    steps: Count = Field(1000, description="number of optimiser steps")
    batch: Count = Field(16, description="number of windows in a batch, in total over all GPUs")
    learning_rate: Positive = Field(5e-4, description="maximum learning rate")
    weight_decay: NotNegative = Field(0.01, description="weight decay of AdamW")
    warmup: Annotated[int, Field(ge=0)] = Field(100, description="steps over which the learning rate rises to its maximum")
    schedule: Literal["constant", "cosine"] = Field(
        "cosine", description="learning rate after the warmup: constant, or falling to 0 at the last step"
    )
    clip_norm: NotNegative = Field(1.0, description="maximum norm of the gradient; 0: no limit")
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.995,
        description="decay of the moving average of the weights; the average is the result of the training; 0: the last weights are the result",
    )
    save_every: Count = Field(200, description="number of steps between saved states; a killed job resumes from the last saved state")
    valid_every: Annotated[int, Field(ge=0)] = Field(200, description="number of steps between two validations; 0: only at the end")


class Network(Section):
    """Settings of a network and of its training."""

    training: Training = Training()

    def settings(self):
        """Return the settings of the network, without those of its training."""
        return self.model_dump(exclude={"training"})


class FurtherNetwork(Network):
    """Settings of a network without a section of its own; `values` are the arguments of its settings class."""

    values: dict[str, bool | int | float | str | list[int | float]] = Field(
        {}, description="settings of the network that differ from its defaults"
    )

    def settings(self):
        """Return the settings of the network, without those of its training."""
        return self.values


class Position(Network):
    """First stage of the models: hand positions from the audio."""

    width: Annotated[int, Field(ge=4, multiple_of=4)] = Field(128, description="width of the decoder; released models: 512")
    layers: Count = Field(2, description="number of layers of the encoder, and of the decoder; released models: 4 (base), 8 (large)")
    state: Count = Field(16, description="number of states of each channel of the ssm decoder; released models: 16")
    feedforward: Count = Field(256, description="width of the encoder's feed-forward layers; released models: 2048")
    context_layers: Annotated[int, Field(ge=0)] = Field(
        3,
        description="number of convolution layers over neighbouring frames, before the encoder; set 0 for features with context, such as HuBERT",
    )
    context_width: Annotated[int, Field(ge=16, multiple_of=16)] = Field(128, description="width of the convolution layers")
    dropout: Share = Field(0.0, description="dropout rate, which slows down training on a CPU; released models: 0.1")
    velocity_weight: NotNegative = Field(1.0, description="weight of the velocity error in the loss, relative to the position error")
    training: Training = Training(steps=600, learning_rate=1e-3)


class Gesture(Network):
    """Second stage of the models: hand poses by diffusion. The condition is the audio and the positions of the first stage."""

    dim: Annotated[int, Field(ge=8, multiple_of=8)] = Field(
        96,
        description="width of the U-Net's first level; released base model: 256; use at least 96, the number of channels of a pose, so that all of the noise passes",
    )
    multipliers: Annotated[list[Count], Field(min_length=1, max_length=4)] = Field(
        [1, 1, 2, 2], description="widths of the U-Net's levels, as multiples of dim; released models: 1, 2, 4, 8"
    )
    condition_width: Annotated[int, Field(ge=16, multiple_of=16)] = Field(
        128, description="width of the condition's encoder; released models: 768 (base), 1024 (large)"
    )
    layers: Count = Field(
        2, description="number of layers of the condition's encoder, and of its decoder; released models: 4 (base), 8 (large)"
    )
    state: Count = Field(8, description="number of states of each channel of the ssm decoder; released models: 8 (base), 16 (large)")
    feedforward: Count = Field(256, description="width of the encoder's feed-forward layers; released models: 2048")
    context_layers: Annotated[int, Field(ge=0)] = Field(
        3, description="number of convolution layers over neighbouring frames, before the condition's encoder; see position.context_layers"
    )
    dropout: Share = Field(0.0, description="dropout rate, which slows down training on a CPU; released models: 0.1")
    training: Training = Training(steps=500, batch=8, learning_rate=1e-3)


class Fingertips(Network):
    """The model `fingertips`: learned differences of fingertips, wrists and poses from planned motion."""

    width: Annotated[int, Field(ge=16, multiple_of=16)] = Field(128, description="width of the network")
    context_layers: Count = Field(4, description="number of convolution layers over neighbouring frames, in each of the two stages")
    dropout: Share = Field(0.0, description="dropout rate")
    training: Training = Training(steps=300, learning_rate=1e-3)


class Autoencoder(Network):
    """Auto-encoder of windows of motion, for the Fréchet distance (Yoon et al. 2020). All methods of an experiment use the same one."""

    training: Training = Training(steps=300, learning_rate=1e-3, ema_decay=0.0)


class Tuning(Network):
    """Fine-tuning of a speech encoder together with the first stage, for features whose names end in _tuned."""

    training: Training = Training(steps=100000, batch=32, learning_rate=2e-5, warmup=0, schedule="constant", clip_norm=0.0, ema_decay=0.0)


class CorrectionTransformers(Section):
    """Sizes of MAPnet and of the transformer on pose only."""

    width: Annotated[int, Field(ge=2)] = Field(64, description="width of the transformers, a multiple of heads; the paper: 160")
    heads: Count = Field(4, description="number of attention heads; the paper does not state it")
    feedforward: Count = Field(128, description="width of the feed-forward layers; the paper does not state it")
    layers: Count = Field(
        3,
        description="number of layers of the pose transformer, and of the music transformer; early fusion swaps this number and fusion_layers, balanced fusion takes their mean; the paper: 12",
    )
    fusion_layers: Count = Field(1, description="number of layers of the fusion transformer; the paper: 2")
    dropout: Share = Field(0.0, description="dropout rate")


class CorrectionLstm(Section):
    """Sizes of the LSTMs that correct motion."""

    width: Count = Field(64, description="width of each direction; the paper does not state it")
    layers: Count = Field(1, description="number of layers; the paper does not state it")


class CorrectionBenchmark(Section):
    """Comparison of methods that correct motion with noise: docs/how-to/correction.md. The target correction_table makes its table."""

    rows: list[str] = Field(
        [],
        description="rows of the table, by their names in `handroll.models.correction_rows.ROWS`, such as transformer_pose and mapnet; empty: nothing is trained",
    )
    every: Annotated[list[Annotated[int, Field(ge=1, le=10)]], Field(min_length=1)] = Field(
        [3], description="frames of the output for each frame of the input; each row is trained for each of them; the paper: 1, 2 and 3"
    )
    features: Literal["logmel", "notes", "fingering", "planned", "hubert", "wav2vec2", "hubert_tuned", "wav2vec2_tuned"] = Field(
        "notes", description="music that the models receive; see benchmark.features; planned: fingered notes and a planned motion"
    )
    window_s: Positive = Field(3.0, description="length of a window (s); the paper: 3")
    noise: Annotated[list[Literal["paper", "measured"]], Field(min_length=1)] = Field(
        ["paper", "measured"],
        description="kinds of noise in training, in turn, and in scoring; paper: jitter and confusions, measured: the errors of handroll's own motion",
    )
    transformers: CorrectionTransformers = CorrectionTransformers()
    lstm: CorrectionLstm = CorrectionLstm()
    training: Training = Training(steps=2000, batch=32, learning_rate=1e-3, weight_decay=0.0, ema_decay=0.0)


class Weights(Section):
    """Weights that some models require but handroll does not include; docs/how-to/weights.md lists their sources."""

    hubert: Name = Field("resources/weights/hubert-base-ls960", description="folder of a HuBERT model in the layout of transformers")
    wav2vec2: Name = Field(
        "resources/weights/wav2vec2-base-960h", description="folder of a wav2vec 2.0 model in the layout of transformers"
    )
    released: str = Field(
        "", description="checkpoint of PianoMotion10M's second stage, scored as a further method; needs `frame: camera`; empty: none"
    )
    released_autoencoder: str = Field(
        "", description="checkpoint of PianoMotion10M's auto-encoder, for its Fréchet distance (FID); empty: this score is left out"
    )


class Benchmark(Section):
    """Training of models, and scoring of their generated motion. Further experiments are in config/experiments."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = Field(
        "demo", description="name of the experiment and of its folder below results/experiments"
    )
    about: str = Field(
        "The demo experiment: half an hour of synthetic music, and small models that train in minutes on two cores. It shows that everything works. It does not show what the methods can reach.",
        description="description of the experiment for the reader of its tables; empty: none",
    )
    data: Literal["synthetic", "dataset", "pianomotion10m"] = Field(
        "synthetic",
        description="training and scoring data: the synthetic set, the dataset of this workflow, or the imported PianoMotion10M",
    )
    frame: Literal["keyboard", "camera"] = Field(
        "keyboard",
        description="coordinate frame of the motion: keyboard frame (needs registered keyboards), or camera frame as in PianoMotion10M",
    )
    subjects: list[str] = Field([], description="performers whose clips are used, in training and scoring; empty: all")
    split: Literal["valid", "test"] = Field("valid", description="split for scoring; validation during training always uses valid")
    rate_hz: Positive = Field(30.0, description="frame rate of all motion (Hz); the paper: 30")
    window_s: Positive = Field(8.0, description="length of a window (s), a multiple of 8 frames; the paper: 8")
    models: list[str] = Field(
        ["two_stage", "fingertips"],
        description="models that are trained, by their names in `handroll.models.methods.MODELS`; two_stage: that of PianoMotion10M; fingertips: differences from planned motion",
    )
    features: list[Literal["logmel", "notes", "fingering", "hubert", "wav2vec2", "hubert_tuned", "wav2vec2_tuned"]] = Field(
        ["notes"],
        min_length=1,
        description="inputs of the two-stage models: log-mel spectrograms, transcribed notes, notes with the finger that plays each, HuBERT or wav2vec 2.0, frozen or tuned with the first stage",
    )
    decoders: list[Literal["transformer", "ssm"]] = Field(
        ["transformer"], min_length=1, description="decoders of both stages; ssm: a state-space model"
    )
    samplers: list[Annotated[str, Field(pattern=r"^(ddpm|ddim|(sde-)?dpmsolver\+\+|euler|heun) ([1-9]\d{0,2}|1000)$")]] = Field(
        ["dpmsolver++ 20"],
        min_length=1,
        description="sampler and its number of steps, at most 1000: ddpm, ddim, dpmsolver++ or sde-dpmsolver++ for diffusion; euler or heun for flow matching",
    )
    contacts: bool = Field(
        True, description="score the motion of each model also after its correction so that it plays the notes; only with `frame: keyboard`"
    )
    ablations: bool = Field(
        False,
        description="score variants: fingertips without the mask, with default costs of the fingering, and with a single fit of the contacts; s2c with the other fusion modes, and with the same noise for both hands",
    )
    samples: Count = Field(2, description="number of motions generated for each window")
    max_windows: Annotated[int, Field(ge=0)] = Field(0, description="maximum number of windows to score, evenly spaced; 0: all")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="precision of training; bf16 is faster on a GPU")
    gpus: Count = Field(1, description="number of GPUs for training, with `device: cuda`")
    seed: int = Field(0, description="random seed of initial weights, batches and noise")
    position: Position = Position()
    gesture: Gesture = Gesture()
    fingertips: Fingertips = Fingertips()
    networks: dict[str, FurtherNetwork] = Field({}, description="settings of further networks, by the name of the stage")
    autoencoder: Autoencoder = Autoencoder()
    tuning: Tuning = Tuning()
    correction: CorrectionBenchmark = CorrectionBenchmark()
    weights: Weights = Weights()
