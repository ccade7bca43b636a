import numpy as np
import pytest

from handroll.editing.background import background_images
from handroll.media.frames import read_frames

TIMES_S = np.arange(40) / 30
WHOLE = [(0.0, 2.0)]


def test_images_are_medians_of_their_parts(encode):
    path = encode(times_s=TIMES_S)
    images = [frame.image for frame in read_frames(path)]
    windows = background_images(path, TIMES_S, WHOLE, count=40, windows=4)
    assert len(windows) == 4 and all(window.dtype == np.uint8 for window in windows)
    for nth, window in enumerate(windows):
        np.testing.assert_array_equal(window, np.median(images[10 * nth : 10 * nth + 10], axis=0).astype(np.uint8))


def test_frames_are_spread_over_the_video_and_scaled(encode):
    path = encode(times_s=TIMES_S)
    first, last = (frame.image for frame in read_frames(path, max_width_px=32, indices={0, 39}))
    windows = background_images(path, TIMES_S, WHOLE, count=4, windows=4, max_width_px=32)
    assert windows[0].shape == (24, 32, 3)
    np.testing.assert_array_equal(windows[0], first)
    np.testing.assert_array_equal(windows[3], last)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_video_of_few_frames(encode, frames):
    path = encode(times_s=TIMES_S[:frames])
    assert len(background_images(path, TIMES_S[:frames], WHOLE)) == frames


def test_frames_outside_the_segments_are_ignored(encode):
    path = encode(times_s=TIMES_S)
    first, last = (frame.image for frame in read_frames(path, indices={3, 33}))
    windows = background_images(path, TIMES_S, [(0.1, 4 / 30), (1.1, 34 / 30)], windows=2)
    np.testing.assert_array_equal(windows, [first, last])


def test_no_usable_segment_gives_no_image(encode):
    assert background_images(encode(times_s=TIMES_S), TIMES_S, []) == []
    assert background_images(encode(times_s=TIMES_S), TIMES_S, [(5.0, 6.0)]) == []
