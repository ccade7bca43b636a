"""Crops: equal to HaMeR's own bit by bit, and to copying, mirroring and blurring the whole frame."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from handroll.pose.hamer.crops import crop, square_of_box

OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "hamer" / "crop.npz"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noisy_frame(height=150, width=210):
    """Noise over a slow wave: detail for the blur, level borders for none."""
    rng = np.random.default_rng(0)
    wave = 90.0 * np.sin(np.arange(width) / 23.0)[:, None] * [1.0, 0.7, -0.4] + 120.0
    return np.clip(wave + rng.normal(0.0, 40.0, (height, width, 3)), 0, 255).astype(np.uint8)


def whole_frame_crop(frame, centre, size, left):
    """Crop as HaMeR's demo does: blur the whole frame in float64, mirror it, warp it to 256 x 256."""
    x, y = np.float32(centre).astype(np.float64)
    if size / 512.0 > 1.1:
        sigma = (size / 512.0 - 1.0) / 2.0
        frame = gaussian_filter(frame.astype(np.float64), (sigma, sigma, 0.0), mode="nearest", truncate=4.0)
    if left:
        frame, x = np.ascontiguousarray(frame[:, ::-1]), frame.shape[1] - x - 1.0
    corners = np.array([(x, y), (x, y + size / 2.0), (x + size / 2.0, y)]).astype(np.float32)
    matrix = cv2.getAffineTransform(corners, np.array([(128, 128), (128, 256), (256, 128)], np.float32))
    return cv2.warpAffine(frame, matrix, (256, 256), flags=cv2.INTER_LINEAR)[:, 32:-32]


def test_squares():
    centre, size = square_of_box([[10.0, 20.0, 40.0, 120.0], [10.0, 20.0, 130.0, 110.0]])
    assert centre.tolist() == [[25.0, 70.0], [70.0, 65.0]]
    assert size.tolist() == [200.0, 320.0]
    assert square_of_box([10.0, 20.0, 40.0, 120.0], rescale=2.5)[1] == 250.0
    centre, size = square_of_box([np.nan, 20.0, 40.0, 120.0])
    assert np.isnan(centre[0]) and np.isnan(size)


@pytest.mark.parametrize("left", [False, True])
def test_it_equals_cropping_the_whole_frame(left):
    """Boxes inside, across borders and corners, and larger than the frame."""
    frame, rng = noisy_frame(), np.random.default_rng(1)
    for centre, size in zip(rng.uniform((-30.0, -30.0), (240.0, 180.0), (150, 2)), rng.uniform(20.0, 560.0, 150), strict=True):
        found = crop(frame, centre, size, left)
        assert found.dtype == np.uint8 and found.shape == (256, 192, 3)
        np.testing.assert_array_equal(found, whole_frame_crop(frame, centre, size, left))


@pytest.mark.parametrize("left", [False, True])
def test_blur_equals_the_whole_frames(left):
    """Also where the frame's border is replicated, and with kernels wider than the sampled part of the frame."""
    frame, rng = noisy_frame(600, 900), np.random.default_rng(2)
    for centre, size in zip(rng.uniform((-200.0, -100.0), (1100.0, 700.0), (12, 2)), rng.uniform(570.0, 5000.0, 12), strict=True):
        found = crop(frame, centre, size, left)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, whole_frame_crop(frame, centre, size, left), atol=1e-3)


def test_blur_begins_above_its_limit():
    assert crop(noisy_frame(), (100.0, 70.0), 563.2, False).dtype == np.uint8
    assert crop(noisy_frame(), (100.0, 70.0), 563.3, False).dtype == np.float32


def test_a_box_outside_the_frame_is_black():
    for size in (100.0, 700.0):
        assert not crop(noisy_frame(), (-2000.0, 70.0), size, True).any()


def test_a_left_hand_is_mirrored_about_column_96():
    """At one frame pixel a crop pixel: the crop's column u shows the frame's cx - (u - 96)."""
    frame = noisy_frame()
    found = crop(frame, (100.0, 75.0), 256.0, True)
    rows, columns = np.arange(60, 200), np.arange(0, 192)
    np.testing.assert_array_equal(found[60:200], frame[rows[:, None] - 128 + 75, 100 - (columns - 96)])


def test_frames_that_are_not_contiguous():
    """Such as a view with swapped channels."""
    frame = noisy_frame()
    np.testing.assert_array_equal(crop(frame[..., ::-1], (90.0, 70.0), 120.0, True), crop(frame, (90.0, 70.0), 120.0, True)[..., ::-1])


@pytest.mark.parametrize(("centre", "size"), [((np.nan, 1.0), 100.0), ((1.0, 1.0), np.nan), ((1.0, 1.0), 0.0)])
def test_no_square_is_an_error(centre, size):
    with pytest.raises(ValueError, match="expected the centre and the size"):
        crop(noisy_frame(), centre, size, False)


@pytest.mark.skipif(not OFFICIAL.is_file(), reason="HaMeR's own crops are not in the repository")
@pytest.mark.parametrize("rescale", [2.0, 2.5])
def test_equals_the_official_crops(rescale):
    official = np.load(OFFICIAL)
    offset, scale = (np.float32(255.0 * np.array(values)) for values in (MEAN, STD))
    suffix = str(rescale).replace(".", "_")
    frame = np.ascontiguousarray(official["frame"][..., ::-1])
    centres, sizes = square_of_box(official["boxes"], rescale)
    np.testing.assert_allclose(centres, official[f"box_center_{suffix}"], atol=1e-4)
    np.testing.assert_allclose(sizes, official[f"box_size_{suffix}"], atol=1e-4)
    for centre, size, right, expected in zip(centres, sizes, official["right"], official[f"crop_{suffix}"], strict=True):
        found = np.moveaxis((crop(frame, centre, size, not right).astype(np.float32) - offset) / scale, -1, 0)
        np.testing.assert_allclose(found, expected[:, :, 32:-32], rtol=0.0, atol=2e-6 if size > 563.2 else 0.0)
