"""The configuration of training and of the benchmark; its defaults are the demo experiment, small enough for two cores."""

from typing import Annotated, Literal

from pydantic import Field

from handroll.config.section import Count, Name, NotNegative, Positive, Section, Share


class Training(Section):
    """How a model is trained (AdamW)."""

    steps: Count = Field(1000, description="optimiser steps")
    batch: Count = Field(16, description="windows a step, over all GPUs")
    learning_rate: Positive = Field(5e-4, description="highest learning rate")
    weight_decay: NotNegative = Field(0.01, description="of AdamW")
    warmup: Annotated[int, Field(ge=0)] = Field(100, description="steps over which the learning rate rises")
    schedule: Literal["constant", "cosine"] = Field("cosine", description="what follows: the rate stays, or falls to 0 at the last step")
    clip_norm: NotNegative = Field(1.0, description="greatest norm of the gradient; 0: no limit")
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.995, description="moving average of the weights, which is what is kept; 0: the last weights"
    )
    save_every: Count = Field(200, description="steps between states that a killed job goes on from")
    valid_every: Annotated[int, Field(ge=0)] = Field(200, description="steps between looks at the validation windows; 0: at the end only")


class Position(Section):
    """The first stage: where the hands are, from the sound."""

    width: Annotated[int, Field(ge=4, multiple_of=4)] = Field(128, description="width of the decoder; the released models' 512")
    layers: Count = Field(2, description="layers of a transformer's encoder, and of its decoder; base 4, large 8")
    state: Count = Field(16, description="states of a channel of the ssm decoder; the released models' 16")
    feedforward: Count = Field(256, description="width of the encoder's feed-forward layers; the released models' 2048")
    context_layers: Annotated[int, Field(ge=0)] = Field(
        3, description="convolutions that look at neighbouring frames first; 0 for features that know them, as HuBERT's do"
    )
    context_width: Annotated[int, Field(ge=16, multiple_of=16)] = Field(128, description="width of these")
    dropout: Share = Field(0.0, description="share that training drops, at some cost on a CPU; the released models' 0.1")
    velocity_weight: NotNegative = Field(1.0, description="of the error of the velocity in the loss, beside that of the position")
    training: Training = Training(steps=600, learning_rate=1e-3)


class Gesture(Section):
    """The second stage: the hands' poses, by diffusion, from the sound and the first stage's positions."""

    dim: Annotated[int, Field(ge=8, multiple_of=8)] = Field(
        96, description="width of the U-Net's first level; base 256; below 96, the channels of a pose, noise does not get through whole"
    )
    multipliers: Annotated[list[Count], Field(min_length=1, max_length=4)] = Field(
        [1, 1, 2, 2], description="widths of the U-Net's levels, as multiples of the first; the released models' 1, 2, 4, 8"
    )
    condition_width: Annotated[int, Field(ge=16, multiple_of=16)] = Field(
        128, description="width of the condition encoder; base 768, large 1024"
    )
    layers: Count = Field(2, description="layers of the condition's encoder, and of its decoder; base 4, large 8")
    state: Count = Field(8, description="states of a channel of its ssm; base 8, large 16")
    feedforward: Count = Field(256, description="width of the encoder's feed-forward layers; the released models' 2048")
    context_layers: Annotated[int, Field(ge=0)] = Field(3, description="as position.context_layers")
    dropout: Share = Field(0.0, description="share that training drops, at some cost on a CPU; the released models' 0.1")
    training: Training = Training(steps=500, batch=8, learning_rate=1e-3)


class Autoencoder(Section):
    """What sees whole windows of motion for the Fréchet distance of motions (Yoon et al. 2020); one for all methods of an experiment."""

    training: Training = Training(steps=300, learning_rate=1e-3, ema_decay=0.0)


class Tuning(Section):
    """Fine-tuning of a speech encoder with the first stage behind it, for features that end in _tuned."""

    training: Training = Training(steps=100000, batch=32, learning_rate=2e-5, warmup=0, schedule="constant", clip_norm=0.0, ema_decay=0.0)


class Weights(Section):
    """Files of others that some choices need; docs/weights.md says where to get them."""

    hubert: Name = Field("resources/weights/hubert-base-ls960", description="folder of a HuBERT model in transformers' layout")
    wav2vec2: Name = Field("resources/weights/wav2vec2-base-960h", description="folder of a wav2vec 2.0 model in transformers' layout")
    released: str = Field(
        "", description="checkpoint of PianoMotion10M's second stage, scored as one more method; needs `frame: camera`; empty: none"
    )
    released_autoencoder: str = Field(
        "", description="checkpoint of PianoMotion10M's auto-encoder, by which its FID sees; empty: no such FID"
    )


class Benchmark(Section):
    """Training the models and scoring what they generate; experiments stand in config/experiment."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = Field("demo", description="folder below results/benchmark")
    data: Literal["synthetic", "dataset", "pianomotion10m"] = Field(
        "synthetic",
        description="what is trained and scored on: the synthetic set, the dataset of this workflow, or the imported PianoMotion10M",
    )
    frame: Literal["keyboard", "camera"] = Field(
        "keyboard", description="where hands are seen: over the registered keyboard, or before the camera as in PianoMotion10M"
    )
    subjects: list[str] = Field([], description="only clips of these performers, in training and scoring; empty: all")
    split: Literal["valid", "test"] = Field("valid", description="which split is scored on; training looks at valid only")
    rate_hz: Positive = Field(30.0, description="frames a second of all motion (Hz); the paper's 30")
    window_s: Positive = Field(8.0, description="length of a window (s), a multiple of 8 frames; the paper's 8")
    features: list[Literal["logmel", "notes", "hubert", "wav2vec2", "hubert_tuned", "wav2vec2_tuned"]] = Field(
        ["notes"],
        min_length=1,
        description="what models hear: log-mel spectrograms, transcribed notes, HuBERT or wav2vec 2.0, frozen or tuned with the first stage",
    )
    decoders: list[Literal["transformer", "ssm"]] = Field(["transformer"], min_length=1, description="decoders of both stages")
    samplers: list[Annotated[str, Field(pattern=r"^(ddpm|ddim|(sde-)?dpmsolver\+\+) ([1-9]\d{0,2}|1000)$")]] = Field(
        ["dpmsolver++ 20"],
        min_length=1,
        description="how diffusion is sampled: ddpm, ddim, dpmsolver++ or sde-dpmsolver++, and in how many steps, at most 1000",
    )
    samples: Count = Field(2, description="motions generated for each window")
    max_windows: Annotated[int, Field(ge=0)] = Field(0, description="score on so many windows, evenly taken; 0: all")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="of training; bf16 pays on a GPU")
    gpus: Count = Field(1, description="GPUs a model is trained on, where `device` is cuda")
    seed: int = Field(0, description="of first weights, batches and noise")
    position: Position = Position()
    gesture: Gesture = Gesture()
    autoencoder: Autoencoder = Autoencoder()
    tuning: Tuning = Tuning()
    weights: Weights = Weights()
