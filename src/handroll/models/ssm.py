"""The selective state-space block of Mamba, in plain PyTorch.

A. Gu and T. Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, arXiv:2312.00752, section 3 and
algorithm 2. Parameters have the names of the authors' package mamba_ssm, so that their weights fit.

The state runs forward in time: a frame knows what came before it, and nothing of what follows.

Axis letters: B clip in batch; T frame; D width of the block; E = 2 D channels inside; N state of a channel; R rank of the
step sizes.
"""

import math

import torch
from torch import nn
from torch.nn import functional

EXPAND = 2
"""Channels inside over the width; as released."""

KERNEL = 4
"""Frames that the convolution before the scan sees; as released."""

RANK_RATIO = 16
"""Width over the rank of the step sizes; as released."""

STEP_RANGE = (1e-3, 1e-1)
"""Step sizes at the start, log-uniform; section 3.6 of the paper."""


class SelectiveStateSpace(nn.Module):
    """One Mamba block, without residual and norm around it.

    Parameters
    ----------
    width : int
        D.
    state : int
        N.
    """

    def __init__(self, width, state):
        super().__init__()
        channels, self.rank, self.state = EXPAND * width, math.ceil(width / RANK_RATIO), state
        self.in_proj = nn.Linear(width, 2 * channels, bias=False)
        self.conv1d = nn.Conv1d(channels, channels, KERNEL, groups=channels, padding=KERNEL - 1)
        self.x_proj = nn.Linear(channels, self.rank + 2 * state, bias=False)
        self.dt_proj = nn.Linear(self.rank, channels)
        self.A_log = nn.Parameter(torch.arange(1.0, state + 1).log().repeat(channels, 1))
        self.D = nn.Parameter(torch.ones(channels))
        self.out_proj = nn.Linear(channels, width, bias=False)
        self._start_steps()

    @torch.no_grad()
    def _start_steps(self):
        """Start step sizes in `STEP_RANGE`: the bias is what softplus turns into them."""
        nn.init.uniform_(self.dt_proj.weight, -(self.rank**-0.5), self.rank**-0.5)
        low, high = map(math.log, STEP_RANGE)
        step = torch.empty_like(self.dt_proj.bias).uniform_(low, high).exp()
        self.dt_proj.bias.copy_(step + torch.log(-torch.expm1(-step)))

    def forward(self, frames):
        """Run the block.

        Parameters
        ----------
        frames : tensor (B, T, D)

        Returns
        -------
        tensor (B, T, D)
        """
        inside, gate = self.in_proj(frames).chunk(2, dim=-1)
        # Padded on both sides: the frames past the end are dropped, so that none sees what follows it.
        inside = functional.silu(self.conv1d(inside.transpose(1, 2))[..., : frames.shape[1]]).transpose(1, 2)
        step, write, read = self.x_proj(inside).split((self.rank, self.state, self.state), dim=-1)
        step = functional.softplus(self.dt_proj(step))
        scanned = selective_scan(step * inside, step, -self.A_log.exp(), write, read)
        return self.out_proj((scanned + self.D * inside) * functional.silu(gate))


def selective_scan(inputs, step, decay, write, read):
    """Scan a diagonal linear system with steps of its own in every frame.

    The state h (E, N) starts at zero; h_t = exp(step_t decay) h_(t-1) + inputs_t write_t, and y_t = h_t read_t.

    Frame by frame, because a frame's state fits the processor's cache and all frames' states do not: at 16 clips of 240 frames,
    E = 384 and N = 16 on one core, forward and backward take 0.25 s, and a scan in parallel chunks of 16 frames 1.2 s.

    Parameters
    ----------
    inputs : tensor (B, T, E)
    step : tensor (B, T, E)
        Positive.
    decay : tensor (E, N)
        Negative.
    write, read : tensor (B, T, N)

    Returns
    -------
    tensor (B, T, E)
    """
    # In the parameters' precision, also where the layers before work in a lower one: errors of a state add up over the frames.
    inputs, step, write, read = (value.to(decay).unbind(1) for value in (inputs, step, write, read))
    state = decay.new_zeros(len(inputs[0]), *decay.shape)
    outputs = []
    for frame_input, frame_step, frame_write, frame_read in zip(inputs, step, write, read, strict=True):
        kept = torch.exp(frame_step[..., None] * decay)
        state = torch.addcmul(frame_input[..., None] * frame_write[:, None], kept, state)
        outputs.append((state @ frame_read[..., None])[..., 0])
    return torch.stack(outputs, dim=1)
