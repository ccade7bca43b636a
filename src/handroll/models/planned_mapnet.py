"""MAPnet that starts from a planned motion for the notes (features `planned`).

A plan contains which finger plays which key, and so how a hand moves while it is not observed, and how high its fingertips are. The camera
gives the position of a hand. Therefore the difference between input and plan is interpolated instead of the input: in a gap, the motion is
the plan, moved so that it meets the observed motion at both ends. The pose transformer also receives the difference. The rest is that of
`mapnet`.

Axis letters: see `mapnet`.
"""

from dataclasses import dataclass

import torch

from handroll.models.correction_input import N_MOTION, N_TOKEN, POSE_RAD, WRIST_MM, fill_missing, pose_tokens, to_full_rate
from handroll.models.fingertip_network import scaled_inputs, split_plan
from handroll.models.mapnet import Mapnet, MapnetSettings
from handroll.training_data.model_frame import N_POSE, N_POSITION


@dataclass(frozen=True)
class PlannedMapnetSettings(MapnetSettings):
    """Settings of a `PlannedMapnet`. The F features end with a plan (`fingertip_network.PLAN`)."""


class PlannedMapnet(Mapnet):
    """Network that corrects a motion, starting from a plan.

    Parameters
    ----------
    settings : PlannedMapnetSettings
    """

    token_width = N_TOKEN + N_MOTION

    def forward(self, position, pose, observed, scale, music):
        """Correct a motion. Parameters and results: see `correction_input.corrected`."""
        every, frames = self.settings.every, self.settings.frames
        plan = split_plan(music)
        planned = plan["position"], plan["pose"]
        offsets = [fill_missing(given - made[:, ::every], observed) for given, made in zip((position, pose), planned, strict=True)]
        filled = [offset + made[:, ::every] for offset, made in zip(offsets, planned, strict=True)]
        units = position.new_tensor([WRIST_MM] * N_POSITION + [POSE_RAD] * N_POSE)
        offset = torch.cat(offsets, dim=-1)
        tokens = torch.cat([pose_tokens(*filled, observed, scale), offset / units], dim=-1)
        motion = torch.cat(planned, dim=-1) + to_full_rate(offset, frames, every) + units * self._difference(tokens, scaled_inputs(music))
        return motion.split((N_POSITION, N_POSE), dim=-1)
