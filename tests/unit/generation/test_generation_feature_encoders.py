import numpy as np
import pytest
import torch

from handroll.generation.feature_encoders import clip_notes, encoder_of
from handroll.generation.hand_assignment import UNKNOWN
from handroll.hand.skeleton import HANDS
from handroll.keyboard.geometry import STANDARD, key_centres_x_mm, key_of_pitch
from handroll.models.fingertip_network import fingertips_of, split_plan
from handroll.training_data.loader import Clips, Source

RATE_HZ = 30.0


@pytest.fixture(scope="module")
def rows(corpus):
    """The first clip of the splits train and valid, as rows of the shards."""
    columns = encoder_of("planned", RATE_HZ).columns
    return {split: Clips(Source(corpus / "shards"), split).rows(0, columns) for split in ("train", "valid")}


def with_other_fingers(row):
    """The row with wrong labels: the left hand plays everything with the little finger."""
    return row | {"notes": [note | {"hand": "left", "finger": 5} for note in row["notes"]]}


@pytest.mark.parametrize("name", ["fingering", "planned"])
def test_labels_of_training_clips_are_used_and_those_of_held_out_clips_are_not(rows, name):
    encoder = encoder_of(name, RATE_HZ)
    for split, same in (("train", False), ("valid", True)):
        features, others = (encoder.encode(row) for row in (rows[split], with_other_fingers(rows[split])))
        assert features.shape[0] == 450 and np.isfinite(features).all()
        assert np.array_equal(features, others) == same
    assert (clip_notes(rows["valid"]).hand == UNKNOWN).all() and (clip_notes(rows["train"]).hand != UNKNOWN).all()


def test_notes_follow_the_motion_by_the_audio_delay(rows):
    late = encoder_of("fingering", RATE_HZ).encode(rows["train"] | {"audio_delay_s": -1.0})
    features = encoder_of("fingering", RATE_HZ).encode(rows["train"])
    # Onsets and held keys of the right thumb are 30 frames later.
    np.testing.assert_allclose(late[30:, :2], features[:-30, :2], atol=1e-6)


def test_a_plan_presses_its_keys_with_the_fingers_of_the_labels(rows):
    row = rows["train"]
    features = torch.from_numpy(encoder_of("planned", RATE_HZ).encode(row))
    plan = split_plan(features)
    tips = fingertips_of(plan["position"], plan["pose"], plan["scale"])
    stored = plan["position"].unflatten(-1, (2, 1, 3)) + plan["tips"].unflatten(-1, (2, 5, 3))
    torch.testing.assert_close(tips, stored, atol=0.1, rtol=0.0)
    assert plan["scale"][0].tolist() == pytest.approx([row["right_bone_scale"], row["left_bone_scale"]])
    aim = plan["aim"].unflatten(-1, (2, 5))
    right = 0
    for note in row["notes"]:
        frame, hand, finger = round(note["onset_s"] * RATE_HZ), 1 - HANDS.index(note["hand"]), note["finger"] - 1
        x = key_centres_x_mm()[key_of_pitch(note["pitch"])]
        x = STANDARD.width_mm - x if note["hand"] == "left" else x
        if frame < len(aim):
            right += bool(aim[frame, hand, finger] > 0.9 and abs(float(stored[frame, hand, finger, 0]) - x) < 10.0)
    assert right > 0.95 * len(row["notes"])
