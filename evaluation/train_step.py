"""Measure the CPU time and memory of a training step of the first stage, with stored features and with the speech encoder in every step.

    python evaluation/train_step.py                                     # HuBERT base, batches of 8 windows of 8 s, some minutes
    python evaluation/train_step.py --encoder tiny --batch 2 --steps 2  # quick check

There are two predictors: "base" is that of the paper (width 512, 4 + 4 layers), and "demo" is that of config/config.yaml (width 128, 2 + 2
layers, context layers). Loss and optimiser are those of training. Audio, features and weights are random, which does not affect the time.
Cases:

- stored: the features were computed before training (`encode_audio`). evaluation/loader.py measures the time of reading them.
- frozen: the encoder runs in every step, without gradients.
- tuned: the encoder is trained as well, except its convolutions, as in PianoMotion10M's released code (`tune_encoder`).

Each case runs in its own process. The script prints the median CPU time of a step, peak memory, and memory before the first step. It then
compares two decoders with the same weights: handroll's, whose cross-attention is a linear map, and torch's `nn.TransformerDecoder` with the
equivalent diagonal mask. For both it prints the CPU time of forward and backward pass, and it prints the difference of their outputs.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from statistics import median

import torch
from torch import nn

from handroll.models.memory_decoder import HEADS, MemoryDecoder
from handroll.models.position import PositionPredictor, PositionSettings
from handroll.training.position import PositionObjective
from handroll.training_data.windows import RELEASED_SCALES

# Length of a window (s), frame rate of the motion (Hz), and sampling rate of the audio (Hz).
WINDOW_S, RATE_HZ, AUDIO_HZ = 8, 30, 16000

# Number of frames of a window.
FRAMES = WINDOW_S * RATE_HZ

# Settings of each predictor.
PREDICTORS = {
    "base": {"context_layers": 0, "width": 512, "layers": 4, "feedforward": 2048, "dropout": 0.1},
    "demo": {"context_layers": 3, "context_width": 128, "width": 128, "layers": 2, "feedforward": 256, "dropout": 0.0},
}

# Number of features of HuBERT, by the size of its network.
WIDTHS = {"tiny": 32, "base": 768, "large": 1024}

# Cases of the measurement; see the module docstring.
CASES = "stored", "frozen", "tuned"


class FrozenObjective(PositionObjective):
    """Training objective of the first stage for a batch of audio. A frozen encoder computes the features in every step."""

    def __init__(self, speech, *stage):
        super().__init__(*stage)
        self.speech = speech

    def forward(self, batch):
        """Compute the loss of a batch. Return the loss and an empty dict."""
        with torch.no_grad():
            features = self.speech(batch["audio"], FRAMES)
        return super().forward(batch | {"features": features})


class MaskedDecoder(nn.Module):
    """Decoder with the weights of a `MemoryDecoder`, but made of torch's layers. A diagonal mask restricts its cross-attention."""

    def __init__(self, ours, width, dropout):
        super().__init__()
        self.encoder = ours.encoder
        layer = nn.TransformerDecoderLayer(width, HEADS, width, dropout, batch_first=True)
        self.decoder = nn.TransformerDecoder(layer, len(ours.layers))
        self.decoder.layers.load_state_dict(ours.layers.state_dict())

    def forward(self, frames):
        """Apply encoder and decoder to frames (B, T, D); the shape is unchanged."""
        return self.decode(frames, self.encoder(frames))

    def decode(self, frames, memory):
        """Apply only the decoder to frames, given the memory."""
        return self.decoder(frames, memory, memory_mask=~torch.eye(frames.shape[1], dtype=torch.bool))


def memory_gb():
    """Return the peak memory of this process in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def objective_of(case, predictor, size):
    """Create the training objective of a case with random weights. Return the objective and its number of features.

    `case` is one of `CASES`, `predictor` one of `PREDICTORS`, and `size` the size of HuBERT, one of `WIDTHS`.
    """
    if case == "stored":
        width, speech = WIDTHS[size], None
    else:
        # Imported here, because training on stored features does not need the memory of transformers.
        from handroll.models.speech_encoder import new_speech_encoder

        speech = new_speech_encoder("hubert", size, trainable=case == "tuned")
        width = speech.width
    sizes = {"context_width": width} | PREDICTORS[predictor]
    stage = PositionPredictor(PositionSettings(features=width, **sizes)), RELEASED_SCALES, 1.0
    if case == "tuned":
        from handroll.training.speech_encoder import EncoderObjective

        return EncoderObjective(speech, *stage), width
    return (FrozenObjective(speech, *stage) if speech else PositionObjective(*stage)), width


def step_of(objective, batch):
    """Return a function that runs a training step."""
    optimiser = torch.optim.AdamW([p for p in objective.parameters() if p.requires_grad], lr=1e-4)

    def step():
        optimiser.zero_grad(set_to_none=True)
        objective(batch)[0].backward()
        optimiser.step()

    return step


def seconds(job, times):
    """Measure the median CPU time of a job, after a warm-up."""
    spent = []
    for _ in range(times + 1):
        started = time.process_time()
        job()
        spent.append(time.process_time() - started)
    return median(spent[1:])


def measure_case(options):
    """Measure the CPU time per step and the memory of one case."""
    objective, width = objective_of(options.case, options.predictor, options.encoder)
    batch = {"position": torch.randn(options.batch, FRAMES, 6), "visible": torch.rand(options.batch, FRAMES, 2) > 0.1}
    if options.case == "stored":
        batch["features"] = torch.randn(options.batch, FRAMES, width)
    else:
        batch["audio"] = 0.1 * torch.randn(options.batch, WINDOW_S * AUDIO_HZ)
    before = memory_gb()
    return {"seconds": seconds(step_of(objective.train(), batch), options.steps), "before_gb": before, "peak_gb": memory_gb()}


def measure_decoders(options):
    """Measure the CPU time of forward and backward pass of handroll's decoder and of torch's, and the difference of their outputs."""
    sizes = PREDICTORS[options.predictor]
    ours = MemoryDecoder(sizes["width"], sizes["layers"], sizes["feedforward"], sizes["dropout"])
    masked = MaskedDecoder(ours, sizes["width"], sizes["dropout"])
    frames = torch.randn(options.batch, FRAMES, sizes["width"])
    with torch.no_grad():
        difference = (ours.eval()(frames) - masked.eval()(frames)).abs().max()
    memory = ours.encoder(frames).detach()

    def run_ours():
        hidden = frames
        for layer in ours.layers:
            hidden = layer(hidden, memory)
        hidden.mean().backward()

    def run_masked():
        masked.decode(frames, memory).mean().backward()

    ours.train(), masked.train()
    return {"ours": seconds(run_ours, options.steps), "masked": seconds(run_masked, options.steps), "difference": float(difference)}


def run_in_process(options, case, predictor):
    """Run `measure_case` in a separate process, or `measure_decoders` if `case` is "decoders". Return its result."""
    given = {"case": case, "predictor": predictor, "encoder": options.encoder, "batch": options.batch, "steps": options.steps}
    arguments = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    found = subprocess.run([sys.executable, __file__, *arguments, "--threads", str(options.threads)], stdout=subprocess.PIPE, check=True)
    return json.loads(found.stdout)


def main():
    """Measure all cases and print a table. With `--case`, measure a single case and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", choices=WIDTHS, default="base", help="size of HuBERT (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="windows per step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=3, help="measured steps (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; CPU time is the sum over them (default: %(default)s)")
    parser.add_argument("--case", choices=(*CASES, "decoders"), help="measure one case, and print JSON")
    parser.add_argument("--predictor", choices=PREDICTORS, default="base", help="predictor of that case (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    if options.case:
        print(json.dumps((measure_decoders if options.case == "decoders" else measure_case)(options)))
        return
    print(f"HuBERT {options.encoder}, {options.batch} windows of {WINDOW_S} s, {options.threads} threads")
    print(f"{'predictor':11}{'encoder':10}{'s/step':>10}{'to stored':>11}{'peak GB':>10}{'before GB':>11}")
    for predictor in PREDICTORS:
        cases = {case: run_in_process(options, case, predictor) for case in CASES}
        for case, found in cases.items():
            times = f"{found['seconds']:>10.3f}{found['seconds'] / cases['stored']['seconds']:>9.1f} x"
            print(f"{predictor:11}{case:10}{times}{found['peak_gb']:>10.2f}{found['before_gb']:>11.2f}", flush=True)
    print(f"{'predictor':11}{'ours s':>10}{'masked s':>10}{'to ours':>10}{'difference':>12}")
    for predictor in PREDICTORS:
        found = run_in_process(options, "decoders", predictor)
        times = f"{found['ours']:>10.3f}{found['masked']:>10.3f}{found['masked'] / found['ours']:>8.2f} x"
        print(f"{predictor:11}{times}{found['difference']:>12.1g}", flush=True)


if __name__ == "__main__":
    main()
