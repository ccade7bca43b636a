"""Motion for a recording without a trained model: notes, hands, fingers and a plan of the motion."""

import os
from dataclasses import dataclass

from handroll import __version__
from handroll.generation.fingering import DEFAULT_COSTS, FingeringCosts
from handroll.generation.fingering_costs_file import digest
from handroll.generation.music_input import transcribe_recording
from handroll.generation.performance import GeneratedMotion
from handroll.generation.planned import FPS, check_hand_size, plan_performance
from handroll.hand.skeleton import HANDS


@dataclass(frozen=True)
class PlannedPianist:
    """Generator of motion that needs no training.

    Attributes
    ----------
    hand_size : float
        Bone scale of both hands: size relative to handroll's open hand.
    fps : float
        Frame rate of the motion.
    costs : (FingeringCosts, FingeringCosts)
        Costs of the fingering of the left and of the right hand.
    """

    hand_size: float = 1.0
    fps: float = FPS
    costs: tuple[FingeringCosts, FingeringCosts] = (DEFAULT_COSTS, DEFAULT_COSTS)
    name = "planned"
    version = __version__

    def __post_init__(self):
        check_hand_size(self.hand_size)

    @property
    def settings(self):
        """Settings that influence the motion, for the provenance."""
        return {"hand_size": self.hand_size, "fps": self.fps, "fingering_sha256": digest(self.costs)}

    def generate(self, recording, seed):
        """Generate the motion for a recording.

        Parameters
        ----------
        recording : generation.recording.Recording
        seed : int
            Random seed of the variations of movement.

        Returns
        -------
        recording : generation.recording.Recording
            With transcribed notes, if the notes were missing.
        motion : GeneratedMotion
        """
        if recording.notes is None:
            recording = transcribe_recording(recording, os.cpu_count() or 1)
        scale, given = (self.hand_size,) * len(HANDS), (recording.hand, recording.finger)
        plan = plan_performance(recording.notes, recording.pedal, recording.duration_s, seed, self.fps, scale, *given, costs=self.costs)
        messages = []
        if plan.left_out.any():
            messages.append(f"{plan.left_out.sum()} of {len(plan.left_out)} notes are not played: no finger can reach them in time")
        if plan.other_hand.any():
            messages.append(f"{plan.other_hand.sum()} notes are played by another hand than given, which cannot play them")
        if plan.rolled.any():
            messages.append(f"{plan.rolled.sum()} notes of chords that are too wide for a hand are struck one after the other")
        return recording, GeneratedMotion(plan.performance, messages=tuple(messages))
