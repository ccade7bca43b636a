import numpy as np
import pytest

from handroll.detection.hand_tracks import RawHands, empty_detections, write_detections
from handroll.detection.track_recovery import MAX_FRAMES, fill_lost_hands, lost_intervals

FPS = 30.0
PALM_PX = 90.0


def hand_at(x, y, side):
    """Landmarks (21, 2) of a hand seen from above, palm centre near (x, y); the thumb of a right hand is on the left."""
    points = np.zeros((21, 2))
    points[[5, 9, 13, 17]] = np.array([[-0.35, -1.0], [0.0, -1.0], [0.3, -0.95], [0.55, -0.8]])
    points[1:5, 0], points[6:9], points[10:13], points[14:17], points[18:21] = -0.5, points[5], points[9], points[13], points[17]
    if side == 0:
        points[:, 0] *= -1.0
    return points * PALM_PX + [x, y]


def raw(rows):
    """`RawHands` of [(frame, side of its evidence, x, y)]."""
    return RawHands(
        frame=np.array([row[0] for row in rows], dtype=np.int64),
        right=np.array([0.95 if row[1] else 0.05 for row in rows]),
        landmarks_px=np.array([hand_at(row[2], row[3], row[1]) for row in rows]).reshape(-1, 21, 2),
        landmarks_m=np.zeros((len(rows), 21, 3)),
    )


def detections(frames, lost):
    """Left hand at x = 300, right hand moving from x = 600 by 3 px a frame; `lost` is [(frames, hand)]."""
    columns = empty_detections(np.arange(frames) / FPS)
    rows = [(t, hand, 300.0 if hand == 0 else 600.0 + 3.0 * t, 400.0) for t in range(frames) for hand in range(2)]
    gone = {(t, hand) for frames_, hand in lost for t in frames_}
    rows = [row for row in rows if row[:2] not in gone]
    everything = raw(rows)
    write_detections(columns, everything.frame, np.array([row[1] for row in rows], dtype=np.int64), everything, np.arange(len(rows)))
    return columns


def test_short_losses_are_tracked_again_and_long_ones_are_not():
    assert lost_intervals(detections(90, [])) == []
    assert lost_intervals(detections(0, [])) == []
    assert lost_intervals(detections(90, [(range(40, 42), 0)])) == [(31, 51)]
    assert lost_intervals(detections(90, [(range(20, 60), 0)])) == []
    assert lost_intervals(detections(90, [(range(90), 0)])) == []
    assert lost_intervals(detections(90, [(range(40, 42), 0), (range(50, 55), 1)])) == [(31, 64)]


def test_long_intervals_are_split_because_their_images_are_in_memory():
    stretches = lost_intervals(detections(400, [(range(5, 400, 10), 0)]))
    assert [stop - start for start, stop in stretches] == [MAX_FRAMES, MAX_FRAMES, MAX_FRAMES, 400 - 3 * MAX_FRAMES]
    assert [start for start, _ in stretches[1:]] == [stop for _, stop in stretches[:-1]]


def test_a_lost_hand_is_filled_from_the_new_passes():
    columns = detections(60, [(range(30, 33), 1)])
    columns["mirrored"][30:33, 1] = True
    fill_lost_hands(columns, raw([(31, 1, 695.0, 404.0), (31, 1, 693.0, 400.0), (31, 0, 300.0, 400.0)]))
    assert columns["found"][30:33, 1].tolist() == [False, True, False]
    assert columns["mirrored"][30:33, 1].tolist() == [True, False, True]
    np.testing.assert_allclose(columns["landmarks_px"][31, 1], hand_at(693.0, 400.0, 1))
    assert columns["score"][31, 1] == pytest.approx(0.95)
    np.testing.assert_allclose(columns["box_px"][31, 1, :2], hand_at(693.0, 400.0, 1).min(axis=0))


@pytest.mark.parametrize(
    "detection",
    [
        pytest.param((31, 0, 693.0, 400.0), id="its mirror image again"),
        pytest.param((31, 1, 300.0, 400.0), id="the other hand, taken for its mirror image"),
        pytest.param((31, 1, 693.0, 700.0), id="farther than a hand moves"),
        pytest.param((20, 1, 660.0, 405.0), id="found already"),
    ],
)
def test_ambiguous_detections_fill_nothing(detection):
    columns = detections(60, [(range(30, 33), 1)])
    before = {name: values.copy() for name, values in columns.items()}
    fill_lost_hands(columns, raw([detection]))
    for name, values in columns.items():
        np.testing.assert_array_equal(values, before[name])


def test_no_new_detections():
    columns = detections(60, [(range(30, 33), 1)])
    fill_lost_hands(columns, raw([]))
    assert not columns["found"][30:33, 1].any()
