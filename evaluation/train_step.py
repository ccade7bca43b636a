"""A training step of the first stage: with stored features, and with the speech encoder in every step. Processor only.

    python evaluation/train_step.py                                     # HuBERT base, batches of 8 windows of 8 s, some minutes
    python evaluation/train_step.py --encoder tiny --batch 2 --steps 2  # shows that it runs

Predictors: "base" is the paper's (512 wide, 4 + 4 layers), "demo" that of config/config.yaml (128 wide, 2 + 2 layers, convolutions
first). The loss and AdamW are those of training; sound, features and weights are random, which decides no time. Cases:

- stored: the encoder's features were computed once, before training (`encode_audio`), and are given. Reading them: evaluation/loader.py.
- frozen: the same encoder runs in every step, without gradients. It gives the same features each time.
- tuned: the encoder is trained too, but for its convolutions, as PianoMotion10M's released code does (`tune_encoder`).

Each in a process of its own, in turn, medians of its processor time; memory is the most that the process held, and what it held before
the first step. Then the decoder alone, forward and backward: ours, whose cross-attention is a linear map, and torch's
`nn.TransformerDecoder` with the diagonal mask that it stands for, same weights; and how far their answers are apart.
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

WINDOW_S, RATE_HZ, SOUND_HZ = 8, 30, 16000
FRAMES = WINDOW_S * RATE_HZ
PREDICTORS = {
    "base": {"context_layers": 0, "width": 512, "layers": 4, "feedforward": 2048, "dropout": 0.1},
    "demo": {"context_layers": 3, "context_width": 128, "width": 128, "layers": 2, "feedforward": 256, "dropout": 0.0},
}
WIDTHS = {"tiny": 32, "base": 768, "large": 1024}
# Features of HuBERT, by its size.
CASES = "stored", "frozen", "tuned"


class FrozenObjective(PositionObjective):
    """The first stage's loss of a batch of sound that a frozen encoder hears in every step."""

    def __init__(self, speech, *stage):
        super().__init__(*stage)
        self.speech = speech

    def forward(self, batch):
        """Loss, and nothing else to log."""
        with torch.no_grad():
            features = self.speech(batch["audio"], FRAMES)
        return super().forward(batch | {"features": features})


class MaskedDecoder(nn.Module):
    """A `MemoryDecoder` of torch's layers, whose cross-attention is masked but for a frame's own memory; same weights."""

    def __init__(self, ours, width, dropout):
        super().__init__()
        self.encoder = ours.encoder
        layer = nn.TransformerDecoderLayer(width, HEADS, width, dropout, batch_first=True)
        self.decoder = nn.TransformerDecoder(layer, len(ours.layers))
        self.decoder.layers.load_state_dict(ours.layers.state_dict())

    def forward(self, frames):
        """Transform frames (B, T, D) into (B, T, D)."""
        return self.decode(frames, self.encoder(frames))

    def decode(self, frames, memory):
        """The decoder's part."""
        return self.decoder(frames, memory, memory_mask=~torch.eye(frames.shape[1], dtype=torch.bool))


def memory_gb():
    """Most memory that this process held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def objective_of(case, predictor, size):
    """The loss of a case, with random weights, and the width of its features."""
    if case == "stored":
        width, speech = WIDTHS[size], None
    else:
        # Training on stored features does without transformers, which is a part of the memory.
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
    """A function that takes a training step."""
    optimiser = torch.optim.AdamW([p for p in objective.parameters() if p.requires_grad], lr=1e-4)

    def step():
        optimiser.zero_grad(set_to_none=True)
        objective(batch)[0].backward()
        optimiser.step()

    return step


def seconds(job, times):
    """Median processor time of a job, after one that does not count."""
    spent = []
    for _ in range(times + 1):
        started = time.process_time()
        job()
        spent.append(time.process_time() - started)
    return median(spent[1:])


def measure_case(options):
    """Seconds a step and memory of one case."""
    objective, width = objective_of(options.case, options.predictor, options.encoder)
    batch = {"position": torch.randn(options.batch, FRAMES, 6), "visible": torch.rand(options.batch, FRAMES, 2) > 0.1}
    if options.case == "stored":
        batch["features"] = torch.randn(options.batch, FRAMES, width)
    else:
        batch["audio"] = 0.1 * torch.randn(options.batch, WINDOW_S * SOUND_HZ)
    before = memory_gb()
    return {"seconds": seconds(step_of(objective.train(), batch), options.steps), "before_gb": before, "peak_gb": memory_gb()}


def measure_decoders(options):
    """Seconds of our decoder and of torch's, forward and backward, and their difference."""
    sizes = PREDICTORS[options.predictor]
    ours = MemoryDecoder(sizes["width"], sizes["layers"], sizes["feedforward"], sizes["dropout"])
    masked = MaskedDecoder(ours, sizes["width"], sizes["dropout"])
    frames = torch.randn(options.batch, FRAMES, sizes["width"])
    with torch.no_grad():
        apart = (ours.eval()(frames) - masked.eval()(frames)).abs().max()
    memory = ours.encoder(frames).detach()

    def run_ours():
        hidden = frames
        for layer in ours.layers:
            hidden = layer(hidden, memory)
        hidden.mean().backward()

    def run_masked():
        masked.decode(frames, memory).mean().backward()

    ours.train(), masked.train()
    return {"ours": seconds(run_ours, options.steps), "masked": seconds(run_masked, options.steps), "apart": float(apart)}


def in_a_process(options, case, predictor):
    """What `measure_case` or `measure_decoders` finds in a process of its own."""
    given = {"case": case, "predictor": predictor, "encoder": options.encoder, "batch": options.batch, "steps": options.steps}
    arguments = [part for name, value in given.items() for part in (f"--{name}", str(value))]
    found = subprocess.run([sys.executable, __file__, *arguments, "--threads", str(options.threads)], stdout=subprocess.PIPE, check=True)
    return json.loads(found.stdout)


def main():
    """Measure every case in turn, or one; print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", choices=WIDTHS, default="base", help="size of HuBERT (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="windows a step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=3, help="that count (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of the processor; its time is that of all (default: %(default)s)")
    parser.add_argument("--case", choices=(*CASES, "decoders"), help="measure one, and print JSON")
    parser.add_argument("--predictor", choices=PREDICTORS, default="base", help="of that one (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    if options.case:
        print(json.dumps((measure_decoders if options.case == "decoders" else measure_case)(options)))
        return
    print(f"HuBERT {options.encoder}, {options.batch} windows of {WINDOW_S} s, {options.threads} threads")
    print(f"{'predictor':11}{'encoder':10}{'s a step':>10}{'to stored':>11}{'peak GB':>10}{'before GB':>11}")
    for predictor in PREDICTORS:
        cases = {case: in_a_process(options, case, predictor) for case in CASES}
        for case, found in cases.items():
            times = f"{found['seconds']:>10.3f}{found['seconds'] / cases['stored']['seconds']:>9.1f} x"
            print(f"{predictor:11}{case:10}{times}{found['peak_gb']:>10.2f}{found['before_gb']:>11.2f}", flush=True)
    print(f"{'predictor':11}{'ours s':>10}{'masked s':>10}{'to ours':>10}{'apart':>10}")
    for predictor in PREDICTORS:
        found = in_a_process(options, "decoders", predictor)
        times = f"{found['ours']:>10.3f}{found['masked']:>10.3f}{found['masked'] / found['ours']:>8.2f} x"
        print(f"{predictor:11}{times}{found['apart']:>10.1g}", flush=True)


if __name__ == "__main__":
    main()
