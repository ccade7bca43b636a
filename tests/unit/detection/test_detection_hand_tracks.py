import numpy as np
import pytest

from handroll.detection.hand_tracks import (
    LEFT,
    NO_SIDE,
    RIGHT,
    RawHands,
    assign_hands,
    choose_sides,
    link_tracks,
    palm_centres,
    side_evidence,
    unique_rows,
)
from handroll.storage import to_arrow
from handroll.tables import DETECTIONS, by_row

PALM_PX = 100.0
FPS = 30.0


def right_hand(x_px, y_px, turn_rad=0.0):
    """21 landmarks of a right hand found from above, fingers up the screen: the thumb is on the left."""
    knuckles = np.array([(-0.30, -0.95), (0.0, -1.0), (0.25, -0.93), (0.45, -0.80)])
    points = np.zeros((21, 2))
    points[1:5] = np.linspace((-0.25, -0.2), (-0.75, -0.7), 4)
    for finger, base in enumerate(knuckles):
        points[5 + 4 * finger : 9 + 4 * finger] = base + np.linspace((0.0, 0.0), (0.0, -0.8), 4)
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    return PALM_PX * points @ np.array([[c, s], [-s, c]]) + (x_px, y_px)


def left_hand(x_px, y_px, turn_rad=0.0):
    return right_hand(-x_px, y_px, -turn_rad) * (-1.0, 1.0)


class Scene:
    """Collect detections; the label follows the landmarks unless given."""

    def __init__(self):
        self.rows = []

    def add(self, frame, hand, x_px, y_px=500.0, score=0.95, label=None, turn_rad=0.0):
        points = (left_hand if hand == "left" else right_hand)(x_px, y_px, turn_rad)
        right = score if (label or hand) == "right" else 1.0 - score
        self.rows.append((frame, right, points))

    def raw(self):
        rows = sorted(self.rows, key=lambda row: row[0])
        points = np.array([row[2] for row in rows]).reshape(-1, 21, 2)
        world = np.concatenate([points / 1000.0, np.zeros((len(rows), 21, 1))], axis=-1)
        return RawHands(np.array([row[0] for row in rows], dtype=np.int64), np.array([row[1] for row in rows], dtype=float), points, world)

    def assign(self, frames):
        return assign_hands(self.raw(), np.arange(frames) / FPS)


def wrist_x(columns):
    return columns["landmarks_px"][:, :, 0, 0]


def test_evidence_follows_label_and_shape_at_any_heading():
    for turn in np.linspace(-np.pi, np.pi, 9):
        points = np.stack([left_hand(300, 300, turn), right_hand(300, 300, turn)])
        np.testing.assert_allclose(side_evidence(np.array([0.0, 1.0]), points), [-1.0, 1.0], atol=1e-9)
        # A label against a clear shape: nothing is known.
        np.testing.assert_allclose(side_evidence(np.array([1.0, 0.0]), points), [0.0, 0.0], atol=1e-9)


def test_two_resting_hands():
    scene = Scene()
    for frame in range(60):
        scene.add(frame, "right", 900)
        scene.add(frame, "left", 400)
    columns = scene.assign(60)
    assert columns["found"].all() and not columns["mirrored"].any()
    np.testing.assert_allclose(wrist_x(columns), np.tile([400.0, 900.0], (60, 1)), rtol=1e-6)
    np.testing.assert_allclose(columns["score"], 0.95, rtol=1e-6)
    points = columns["landmarks_px"][0, 1]
    np.testing.assert_allclose(columns["box_px"][0, 1], [*points.min(axis=0), *points.max(axis=0)])
    assert list(columns["hand"][0]) == ["left", "right"] and columns["time_s"][30, 0] == pytest.approx(1.0)


def test_the_columns_are_those_of_the_table():
    scene = Scene()
    scene.add(1, "right", 900)
    columns = scene.assign(3)
    assert to_arrow(DETECTIONS, by_row(columns)).num_rows == 6
    assert columns["found"].tolist() == [[False, False], [False, True], [False, False]]
    for name in ("score", "box_px", "landmarks_px", "landmarks_m"):
        assert columns[name].dtype == np.float32
        assert np.isnan(columns[name][~columns["found"]]).all() and np.isfinite(columns[name][columns["found"]]).all()


@pytest.mark.parametrize("frames", [0, 1, 5])
def test_no_hands(frames):
    columns = Scene().assign(frames)
    assert columns["found"].shape == (frames, 2) and not columns["found"].any()
    assert columns["landmarks_m"].shape == (frames, 2, 21, 3) and np.isnan(columns["landmarks_m"]).all()
    assert to_arrow(DETECTIONS, by_row(columns)).num_rows == 2 * frames


def test_mirrored_frames_are_masked_not_moved():
    scene = Scene()
    for frame in range(90):
        scene.add(frame, "right", 900)
        # The left hand is taken for a right one now and then, landmarks and all.
        scene.add(frame, "right" if 30 <= frame < 45 or frame == 60 else "left", 400)
    columns = scene.assign(90)
    assert columns["found"][:, RIGHT].all() and not columns["mirrored"][:, RIGHT].any()
    expected = np.zeros(90, dtype=bool)
    expected[30:45] = expected[60] = True
    np.testing.assert_array_equal(columns["mirrored"][:, LEFT], expected)
    np.testing.assert_array_equal(columns["found"][:, LEFT], ~expected)
    assert np.isnan(columns["landmarks_px"][expected, LEFT]).all() and np.isnan(columns["score"][expected, LEFT]).all()


def test_hand_alone_and_mirrored_for_a_while_stays_one_hand():
    scene = Scene()
    for frame in range(120):
        scene.add(frame, "right" if 50 <= frame < 70 else "left", 600 + 2 * frame)
    columns = scene.assign(120)
    assert not columns["found"][:, RIGHT].any() and not columns["mirrored"][:, RIGHT].any()
    assert columns["mirrored"][50:70, LEFT].all() and columns["found"][:, LEFT].sum() == 100


def test_mirrored_part_between_gaps_belongs_to_the_hand_at_its_position():
    scene = Scene()
    for frame in [*range(40), *range(70, 140)]:
        scene.add(frame, "left", 400)
    for frame in range(48, 63):
        scene.add(frame, "right", 410)
    columns = scene.assign(140)
    assert columns["mirrored"][48:63, LEFT].all() and not columns["found"][:, RIGHT].any()


def test_uncertain_label_with_the_right_shape_is_kept():
    scene = Scene()
    for frame in range(30):
        scene.add(frame, "left", 400, label="right" if frame == 10 else None, score=0.6 if frame == 10 else 0.95)
    columns = scene.assign(30)
    assert columns["found"][:, LEFT].all()
    assert columns["score"][10, LEFT] == pytest.approx(0.6)


def test_label_swapped_in_a_third_of_the_frames():
    scene = Scene()
    rng = np.random.default_rng(0)
    wrong = rng.random((90, 2)) < 0.33
    for frame in range(90):
        for hand, name in enumerate(("left", "right")):
            scene.add(frame, ("right", "left")[hand] if wrong[frame, hand] else name, (400, 900)[hand])
    columns = scene.assign(90)
    np.testing.assert_array_equal(columns["mirrored"], wrong)
    assert np.nanmax(np.abs(wrist_x(columns) - [400, 900])) < 1.0


@pytest.mark.parametrize("distance_px", [30.0, 60.0, 150.0])
def test_hands_cross_and_return(distance_px):
    """The hands pass above each other by `distance_px`, so that at 30 px one covers the other and is detected twice."""
    scene = Scene()
    x = {"left": 600 - 300 * np.cos(np.linspace(0, 2 * np.pi, 150)), "right": 600 + 300 * np.cos(np.linspace(0, 2 * np.pi, 150))}
    for frame in range(150):
        covered = distance_px < 40 and abs(x["left"][frame] - x["right"][frame]) < 50
        scene.add(frame, "right", x["right"][frame], 500 - distance_px)
        scene.add(frame, "right" if covered else "left", x["left"][frame], 500)
    columns = scene.assign(150)
    found = columns["found"]
    assert found[:, RIGHT].mean() > 0.95 and found[:, LEFT].mean() > 0.9
    truth = np.stack([x["left"], x["right"]], axis=1)
    far = np.abs(x["left"] - x["right"]) > 50
    assert np.nanmax(np.abs(wrist_x(columns) - truth)[far]) < 1.0


def test_hand_leaves_and_another_enters_at_its_position():
    scene = Scene()
    for frame in range(60):
        scene.add(frame, "left", 400)
    for frame in range(75, 150):
        scene.add(frame, "right", 420)
    columns = scene.assign(150)
    assert columns["found"][:60, LEFT].all() and not columns["found"][60:, LEFT].any()
    assert columns["found"][75:, RIGHT].all() and not columns["mirrored"].any()


def test_fast_jump_keeps_the_side():
    scene = Scene()
    for frame in range(60):
        scene.add(frame, "left", 400)
        # The leap over four palms takes two frames and blurs the hand: there it is mirrored.
        scene.add(frame, "left" if frame in (30, 31) else "right", 800 + 200 * np.clip(frame - 29, 0, 2))
    columns = scene.assign(60)
    assert columns["found"][:, LEFT].all()
    np.testing.assert_array_equal(~columns["found"][:, RIGHT], np.isin(np.arange(60), (30, 31)))


def test_duplicate_detection_is_dropped():
    scene = Scene()
    for frame in range(40):
        scene.add(frame, "left", 400)
        scene.add(frame, "right", 900)
        if 10 <= frame < 20:
            scene.add(frame, "right", 915, score=0.7)
    columns = scene.assign(40)
    assert columns["found"].all() and not columns["mirrored"].any()
    np.testing.assert_allclose(wrist_x(columns), np.tile([400.0, 900.0], (40, 1)), rtol=1e-6)


def test_third_hand_takes_no_side():
    scene = Scene()
    for frame in range(60):
        scene.add(frame, "left", 400)
        scene.add(frame, "right", 900)
        if 20 <= frame < 30:
            scene.add(frame, "right", 1500, score=0.6)
    columns = scene.assign(60)
    np.testing.assert_allclose(wrist_x(columns), np.tile([400.0, 900.0], (60, 1)), rtol=1e-6)


def test_simultaneous_hands_with_the_same_label_get_two_sides():
    """Labels and shapes indicate a right hand for both. The one with less evidence is the left hand, mirrored throughout."""
    scene = Scene()
    for frame in range(40):
        scene.add(frame, "right", 400, score=0.55, turn_rad=0.0)
        scene.add(frame, "right", 900, score=0.99)
    columns = scene.assign(40)
    assert columns["found"][:, RIGHT].all() and not columns["found"][:, LEFT].any()
    np.testing.assert_allclose(wrist_x(columns)[:, RIGHT], 900.0, rtol=1e-6)


def test_order_breaks_the_tie_of_hands_without_evidence():
    centre = np.array([[4.0, 5.0], [9.0, 5.0]] * 20)
    frame = np.repeat(np.arange(20), 2)
    tracks = [np.arange(0, 40, 2), np.arange(1, 40, 2)]
    sides = choose_sides(tracks, frame, frame / FPS, centre, np.zeros(40), 1 / FPS)
    assert sides.tolist() == [LEFT, RIGHT]
    sides = choose_sides(tracks, frame, frame / FPS, centre[:, ::-1] * [1, -1] + [20, 0], np.zeros(40), 1 / FPS)
    assert sorted(sides.tolist()) == [LEFT, RIGHT]


def test_short_contradicting_track_next_to_the_track_of_its_side_is_dropped():
    frame = np.concatenate([np.arange(60), np.arange(20, 25)])
    order = np.argsort(frame, kind="stable")
    centre = np.where(np.arange(65)[:, None] < 60, [4.0, 5.0], [9.0, 5.0])[order]
    evidence = np.full(65, -0.9)[order]
    rows = np.argsort(order)
    sides = choose_sides([rows[:60], rows[60:]], frame[order], frame[order] / FPS, centre, evidence, 1 / FPS)
    assert sides.tolist() == [LEFT, NO_SIDE]


def test_ambiguous_links_end_a_track():
    frame = np.array([0, 0, 1])
    centre = np.array([[0.0, 0.0], [0.8, 0.0], [0.4, 0.0]])
    tracks = link_tracks(frame, frame / FPS, centre, np.zeros(3))
    assert [t.tolist() for t in tracks] == [[0], [1], [2]]
    # Beyond doubt, and over a gap of three frames.
    tracks = link_tracks(np.array([0, 0, 4]), np.array([0, 0, 4]) / FPS, np.array([[0.0, 0.0], [3.0, 0.0], [0.1, 0.0]]), np.zeros(3))
    assert [t.tolist() for t in tracks] == [[0, 2], [1]]
    # A gap longer than a track survives.
    tracks = link_tracks(np.array([0, 10]), np.array([0, 10]) / FPS, np.zeros((2, 2)), np.zeros(2))
    assert [t.tolist() for t in tracks] == [[0], [1]]


def test_an_ambiguous_detection_ends_all_tracks_that_it_may_belong_to():
    frame = np.array([0, 0, 1, 2])
    centre = np.array([[0.0, 0.0], [0.8, 0.0], [0.4, 0.0], [0.0, 0.0]])
    assert [t.tolist() for t in link_tracks(frame, frame / FPS, centre, np.zeros(4))] == [[0], [1], [2, 3]]


def test_a_change_of_side_counts_against_a_link_only_next_to_an_alternative():
    frame = np.array([0, 0, 1])
    evidence = np.array([-1.0, 1.0, 1.0])
    # The left hand goes out of sight, and the right one lies closer to where it was than to where itself was.
    near = np.array([[0.0, 0.0], [1.0, 0.0], [0.3, 0.0]])
    assert [t.tolist() for t in link_tracks(frame, frame / FPS, near, evidence)] == [[0], [1], [2]]
    # The left hand is mirrored while the right one is out of sight, but was too far away to be meant.
    far = np.array([[0.0, 0.0], [2.5, 0.0], [0.1, 0.0]])
    assert [t.tolist() for t in link_tracks(frame, frame / FPS, far, evidence)] == [[0, 2], [1]]


def test_centres_do_not_move_when_a_hand_is_mirrored():
    points = right_hand(300, 500)
    mirrored = points.copy()
    for a, b in ((5, 17), (9, 13)):
        mirrored[[a, b]] = mirrored[[b, a]]
    centres = palm_centres(np.stack([points, mirrored]))
    np.testing.assert_allclose(centres[0], centres[1])


def test_unique_rows_keeps_the_more_confident_one():
    frame = np.array([0, 0, 1, 1])
    centre = np.array([[0.0, 0.0], [0.2, 0.0], [0.0, 0.0], [2.0, 0.0]])
    assert unique_rows(frame, centre, np.array([0.5, 0.9, 0.5, 0.9])).tolist() == [1, 2, 3]
