"""Measure the CPU time of a training step of S2C's two denoisers, and compare it with two sequential steps of a denoiser of one hand.

    python evaluation/s2c_step.py                                      # the demo's size, batches of 8 windows of 8 s, about a minute
    python evaluation/s2c_step.py --size toy --batch 1 --steps 1       # quick check

- S2C: one step with both denoisers, which share the diffusion step and exchange their lowest levels; one row for each fusion mode.
- sequential: a step of the right hand's denoiser, then a step of the left hand's. Each is a `GestureUNet` with the channels of one hand,
  without fusion, and its own optimiser.

Each step has a forward pass with the loss of training, a backward pass, and a step of AdamW. Features and motion are random, which does not
affect the time. The steps of all rows alternate, so that a change of the load of the machine affects all of them. The script prints the
number of parameters, the median CPU time of a step, and the ratio to the sequential steps.
"""

import argparse
import time
from statistics import median

import torch

from handroll.models.diffusion import STEPS, diffusion_loss
from handroll.models.gesture import GestureSettings, GestureUNet
from handroll.models.s2c import FUSIONS, S2CDenoisers, S2CSettings
from handroll.training_data.model_frame import N_POSE, N_POSITION

# Number of frames of a window: 8 s at 30 Hz.
FRAMES = 240

# Settings of each size. "released" is that of the published checkpoints, and "demo" that of config/config.yaml with features of notes.
SIZES = {
    "toy": {"features": 16, "condition_width": 16, "context_layers": 1, "layers": 1, "feedforward": 16, "dim": 8},
    "demo": {
        "features": 177,
        "condition_width": 128,
        "context_layers": 3,
        "layers": 2,
        "feedforward": 256,
        "dim": 96,
        "multipliers": (1, 1, 2, 2),
        "dropout": 0.0,
    },
    "released": {"features": 1024, "condition_width": 1024},
}


def step_of(network, channels, batch):
    """Return a function that runs a training step of a denoiser for `channels` channels of motion and `batch` windows."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-5, fused=True)
    clean, features = torch.randn(batch, channels, FRAMES), torch.randn(batch, FRAMES, network.settings.features)
    guide = torch.randn(batch, N_POSITION, FRAMES)
    network.train()

    def step():
        optimiser.zero_grad(set_to_none=True)
        condition = network.encode_condition(features)
        loss = diffusion_loss(
            lambda noisy, at: network(noisy, at, condition, guide), clean, torch.randn_like(clean), torch.randint(STEPS, (batch,))
        )
        loss.backward()
        optimiser.step()

    return step


def sequential_steps(sizes, batch):
    """Return a function that runs a step of a denoiser of one hand, then of another, and their number of parameters."""
    networks = [GestureUNet(GestureSettings(**sizes, channels=N_POSE // 2)) for _ in range(2)]
    steps = [step_of(network, N_POSE // 2, batch) for network in networks]
    return (lambda: [step() for step in steps]), count(*networks)


def count(*networks):
    """Return the number of parameters of networks."""
    return sum(value.numel() for network in networks for value in network.parameters())


def main():
    """Measure all rows and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="demo")
    parser.add_argument("--fusions", type=int, nargs="+", choices=FUSIONS, default=list(FUSIONS))
    parser.add_argument("--batch", type=int, default=8, help="windows in a batch")
    parser.add_argument("--steps", type=int, default=5, help="measured steps of each row")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sizes = SIZES[options.size]
    rows = {"sequential": sequential_steps(sizes, options.batch)}
    for fusion in options.fusions:
        network = S2CDenoisers(S2CSettings(**sizes, fusion=fusion))
        rows[f"S2C, fusion {fusion}"] = step_of(network, N_POSE, options.batch), count(network)
    spent = {name: [] for name in rows}
    # The first round is a warm-up.
    for _ in range(options.steps + 1):
        for name, (step, _) in rows.items():
            started = time.process_time()
            step()
            spent[name].append(time.process_time() - started)
    seconds = {name: median(values[1:]) for name, values in spent.items()}
    print("| step | parameters, M | CPU time, s | ratio |\n|---|---|---|---|")
    for name, (_, parameters) in rows.items():
        print(f"| {name} | {parameters / 1e6:.2f} | {seconds[name]:.3f} | {seconds[name] / seconds['sequential']:.2f} |")


if __name__ == "__main__":
    main()
