"""Selective state-space block (Mamba) in plain PyTorch.

A. Gu and T. Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", 2023, arXiv:2312.00752, section 3 and
algorithm 2. Parameters have the same names as in the authors' package mamba_ssm, so that weights of mamba_ssm can be
loaded.

The block is causal: the output of a frame depends only on this frame and earlier ones.

Axis letters: B clip in batch; T frame; D channel of the block; E = 2 D channel inside the block; N element of a channel's state; R rank
of the step sizes.
"""

import math

import torch
from torch import nn
from torch.nn import functional

EXPAND = 2
"""Number of channels inside the block, as a multiple of its width (E / D), as in mamba_ssm."""

KERNEL = 4
"""Kernel size of the convolution before the scan, in frames, as in mamba_ssm."""

RANK_RATIO = 16
"""Width of the block divided by the rank of the step sizes (D / R), as in mamba_ssm."""

STEP_RANGE = (1e-3, 1e-1)
"""Minimum and maximum of the initial step sizes, which are log-uniform between them; section 3.6 of the paper."""


class SelectiveStateSpace(nn.Module):
    """One Mamba block, without residual connection and norm.

    Parameters
    ----------
    width : int
        Number of channels of the block (D).
    state : int
        State size of each channel (N).
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
        self._init_steps()

    @torch.no_grad()
    def _init_steps(self):
        """Initialise `dt_proj`: its bias becomes the inverse softplus of random step sizes in `STEP_RANGE`."""
        nn.init.uniform_(self.dt_proj.weight, -(self.rank**-0.5), self.rank**-0.5)
        low, high = map(math.log, STEP_RANGE)
        step = torch.empty_like(self.dt_proj.bias).uniform_(low, high).exp()
        self.dt_proj.bias.copy_(step + torch.log(-torch.expm1(-step)))

    def forward(self, frames):
        """Apply the block to frames.

        Parameters
        ----------
        frames : tensor (B, T, D)

        Returns
        -------
        tensor (B, T, D)
        """
        inside, gate = self.in_proj(frames).chunk(2, dim=-1)
        # conv1d pads both ends. Removing the frames after the last one makes the convolution causal.
        inside = functional.silu(self.conv1d(inside.transpose(1, 2))[..., : frames.shape[1]]).transpose(1, 2)
        step, write, read = self.x_proj(inside).split((self.rank, self.state, self.state), dim=-1)
        step = functional.softplus(self.dt_proj(step))
        scanned = selective_scan(step * inside, step, -self.A_log.exp(), write, read)
        return self.out_proj((scanned + self.D * inside) * functional.silu(gate))


def selective_scan(inputs, step, decay, write, read):
    """Compute the output of a diagonal linear system whose step size varies over frames (selective scan).

    The state h (E, N) starts at zero. In frame t it becomes h_t = exp(step_t decay) h_(t-1) + inputs_t write_t, and the output is
    y_t = h_t read_t.

    The loop runs over single frames, because the state of one frame fits in the CPU cache. For 16 clips of 240 frames, E = 384 and N = 16,
    forward and backward pass take 0.25 s on one core. A scan in parallel chunks of 16 frames takes 1.2 s.

    Parameters
    ----------
    inputs : tensor (B, T, E)
        Inputs, multiplied by the step sizes.
    step : tensor (B, T, E)
        Step sizes; positive.
    decay : tensor (E, N)
        Decay rates of the state; negative.
    write : tensor (B, T, N)
        Weight of an input in each element of the state.
    read : tensor (B, T, N)
        Weight of each element of the state in the output.

    Returns
    -------
    tensor (B, T, E)
    """
    # The scan uses the precision of the parameters, even if the layers before it use a lower precision, because errors of the state
    # accumulate over frames.
    inputs, step, write, read = (value.to(decay).unbind(1) for value in (inputs, step, write, read))
    state = decay.new_zeros(len(inputs[0]), *decay.shape)
    outputs = []
    for frame_input, frame_step, frame_write, frame_read in zip(inputs, step, write, read, strict=True):
        kept = torch.exp(frame_step[..., None] * decay)
        state = torch.addcmul(frame_input[..., None] * frame_write[:, None], kept, state)
        outputs.append((state @ frame_read[..., None])[..., 0])
    return torch.stack(outputs, dim=1)
