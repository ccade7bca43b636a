import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from handroll.dataset.clip_content import clip_row, cut_flac
from handroll.storage import to_arrow
from handroll.tables import SHARD


def test_audio_is_mixed_to_mono_and_padded_with_silence(tmp_path):
    left = np.arange(2000, dtype=np.int16)
    soundfile.write(tmp_path / "stereo.flac", np.stack([left, 3 * left], axis=1), 1000)
    samples, rate_hz = soundfile.read(io.BytesIO(cut_flac(tmp_path / "stereo.flac", 1.5, 2.5)), dtype="int16")
    assert rate_hz == 1000
    np.testing.assert_array_equal(samples, [*(2 * left[1500:]), *([0] * 500)])
    silence, _ = soundfile.read(io.BytesIO(cut_flac(tmp_path / "stereo.flac", 5.0, 6.0)))
    assert len(silence) == 1000 and not silence.any()
    early, _ = soundfile.read(io.BytesIO(cut_flac(tmp_path / "stereo.flac", -0.2, 0.3)), dtype="int16")
    whole, _ = soundfile.read(io.BytesIO(cut_flac(tmp_path / "stereo.flac", 0.0, 0.3)), dtype="int16")
    assert len(early) == 500 and not early[:200].any() and early[200:].tolist() == whole.tolist()
    assert not soundfile.read(io.BytesIO(cut_flac(tmp_path / "stereo.flac", -2.0, -1.0)))[0].any()


def test_an_audio_delay_is_removed(records, clips):
    """Audio and notes are in video time afterwards."""
    rows = {name: values[np.flatnonzero((clips["subject"] == "ann") & clips["accepted"])[0]] for name, values in clips.items()}
    record = replace(records["ann", "long"], audio_delay_s=0.2511)
    row = clip_row(rows, "train", record)
    source, rate_hz = soundfile.read(record.audio_path, dtype="int16")
    samples, _ = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
    first = round((rows["start_s"] + 0.2511) * rate_hz)
    np.testing.assert_array_equal(samples[:1000], source[first : first + 1000])
    assert row["audio_delay_s"] == 0.0


def test_a_video_without_audio_has_a_null(records, clips):
    clip = {name: values[0] for name, values in clips.items()}
    row = clip_row(clip, "train", replace(records["ann", "long"], audio_path=None))
    table = to_arrow(SHARD, {name: [value] for name, value in row.items()})
    assert table["audio"][0].as_py() is None


def test_a_hand_that_is_never_visible_has_no_shape(records, clips):
    record = records["ann", "long"]
    motion = {name: values.copy() for name, values in record.motion.items()}
    motion["betas"][:, 0] = np.nan
    row = clip_row({name: values[0] for name, values in clips.items()}, "train", replace(record, motion=motion))
    assert np.isnan(row["left_betas"]).all() and np.isfinite(row["right_betas"]).all()
    motion["bone_scale"][7, 1] += 0.5
    with pytest.raises(ValueError, match="ann/long: right bone_scale changes within the video"):
        clip_row({name: values[0] for name, values in clips.items()}, "train", replace(record, motion=motion))
