"""Write Kong's checkpoint with seeded random weights of the released layout, for tests and demos without the released file."""

import numpy as np
import torch

from handroll.music.kong import PARTS, RATE_HZ

_SEGMENT_SAMPLES, _SEGMENTS = 6400, 5


def random_state(seed=5):
    """Return random parameters, scaled so that the outputs vary enough to contain (wrong) notes and pedal presses.

    Returns
    -------
    dict of str to dict of str to tensor
        By the names of the two networks, `handroll.music.kong.PARTS`.
    """
    from piano_transcription_inference.models import Note_pedal

    torch.manual_seed(seed)
    model = Note_pedal(frames_per_second=100, classes_num=88).eval()
    heads = {
        "frame_output": model.note_model.frame_fc,
        "reg_onset_output": model.note_model.reg_onset_fc,
        "reg_offset_output": model.note_model.reg_offset_model.fc,
        "velocity_output": model.note_model.velocity_model.fc,
        "pedal_frame_output": model.pedal_model.reg_pedal_frame_model.fc,
        "reg_pedal_offset_output": model.pedal_model.reg_pedal_offset_model.fc,
    }
    with torch.no_grad():
        found = model(torch.from_numpy(struck_strings(_SEGMENTS * _SEGMENT_SAMPLES / RATE_HZ).reshape(_SEGMENTS, _SEGMENT_SAMPLES)))
        for name, head in heads.items():
            logit = torch.logit(found[name].double()).flatten(0, 1)
            # Outputs that hardly vary stay low: scaled up they would saturate.
            scale = torch.where(logit.std(0) > 0.02, 1.0 / logit.std(0), 0.0).float()
            head.bias.copy_((head.bias - logit.mean(0)) * scale - torch.where(scale > 0, 0.7, 6.0))
            head.weight.mul_(scale[:, None])
    return {part: getattr(model, part).state_dict() for part in PARTS}


def struck_strings(seconds, seed=3):
    """Synthesise struck strings of random pitch with some noise: float32 array (sample,) at Kong's rate."""
    random = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    samples = 0.003 * random.standard_normal(len(time_s))
    for onset_s, pitch in zip(np.arange(0.0, seconds, 0.11), random.integers(40, 90, 1000), strict=False):
        since = np.maximum(time_s - onset_s, 0.0)
        samples += 0.2 * (time_s >= onset_s) * np.exp(-6 * since) * np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * since)
    return samples.astype(np.float32)


def write_toy_checkpoint(path, seed=5):
    """Write `random_state` with the layout of the released file: 172 MB, in the format before PyTorch 1.6."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": random_state(seed)}, path, _use_new_zipfile_serialization=False)
