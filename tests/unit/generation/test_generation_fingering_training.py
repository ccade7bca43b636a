import itertools
from dataclasses import replace

import numpy as np
import pytest

from handroll.dataset.shards import read_rows
from handroll.generation import fingering_training
from handroll.generation.fingering import (
    DEFAULT_COSTS,
    UNPLAYED,
    FingeringCosts,
    chords_of_hand,
    finger_notes,
    fingers_on,
    grips_of,
    held_and_reused_cost,
    moves_between,
)
from handroll.generation.fingering_costs_file import read_costs
from handroll.generation.fingering_training import (
    Player,
    agreement,
    draw,
    learn,
    learn_hands,
    log_likelihood,
    main,
    segments_of,
)
from handroll.generation.hand_assignment import UNKNOWN
from handroll.generation.labelled_notes import LabelledNotes, read_clips
from handroll.hand.skeleton import HANDS
from handroll.music.notes import note_table
from handroll.simulator.composition import compose_score
from handroll.simulator.corpus import Recipe, write_corpus

SECOND_PLAYER = FingeringCosts(
    stretch=1.0,
    thumb_on_black=5.0,
    pinky_on_black=0.0,
    use=np.array([6.0, 0.0, 0.0, 8.0, 0.0]),
    movement=0.7,
    passing=80.0,
    crossing=150.0,
    same_finger=25.0,
    pair=np.random.default_rng(0).normal(0.0, 8.0, DEFAULT_COSTS.pair.shape),
)
NO_PEDAL = {"onset_s": np.empty(0), "offset_s": np.empty(0)}


def played(seed, costs=SECOND_PLAYER, wrong=0.0, missing=0.0, duration_s=60.0):
    """Music, labelled with a player's fingering; shares of the labels are wrong and missing."""
    score = compose_score([7, seed], duration_s)
    rng = np.random.default_rng(seed)
    finger = finger_notes(score.notes, score.pedal, score.hand, costs=(costs, costs))
    changed = (rng.random(len(finger)) < wrong) & (finger != UNPLAYED)
    finger[changed] = (finger[changed] + rng.integers(1, 5, changed.sum())) % 5
    finger[rng.random(len(finger)) < missing] = UNPLAYED
    return LabelledNotes(score.notes, score.pedal, score.hand, finger, np.ones(len(finger)))


def share_right(clips, costs):
    pairs = [(finger_notes(c.notes, c.pedal, c.hand, costs=(costs, costs)), c.finger) for c in clips]
    return np.mean(np.concatenate([found == label for found, label in pairs]))


def both_hands(clips):
    return segments_of(clips, 0).joined(segments_of(clips, 1))


@pytest.mark.parametrize("side", [0, 1])
def test_the_likelihood_is_the_sum_over_all_sequences_of_grips(side):
    # Single notes with a thumb passing, a repeated key, a chord, and a key that is held during other notes.
    notes = note_table(
        np.array([0.0, 0.2, 0.4, 0.5, 0.5, 0.9]),
        np.array([0.2, 0.4, 0.5, 1.5, 0.6, 1.2]),
        np.array([60, 61, 61, 55, 66, 64]),
        np.full(6, 60),
        NO_PEDAL,
    )
    finger = np.array([1, 2, UNPLAYED, 0, UNPLAYED, 1])
    clip = LabelledNotes(notes, NO_PEDAL, np.full(6, side), finger, np.array([0.9, 1.0, 0.0, 0.6, 0.0, 0.8]), (0.9, 1.1))
    player = Player(SECOND_PLAYER, 12.0, 0.05)

    chords, struck = chords_of_hand(notes, NO_PEDAL, np.arange(6), side, scale=clip.hand_scale[side])
    assert any(chord.held for chord in chords) and any(len(chord.struck) > 1 for chord in chords)
    grips = [grips_of(chord.pitches, (-1, 1)[side], clip.hand_scale[side]) for chord in chords]
    scores, moves = [], [None]
    for grip, new in zip(grips, struck, strict=True):
        score = np.stack([-grip.cost(player.costs) / player.temperature_mm] * 2)
        for pitch, note in new.items():
            if finger[note] != UNPLAYED:
                correct = clip.confidence[note] * (1.0 - player.wrong)
                score[1] += np.log(np.where(fingers_on(grip, pitch) == finger[note], correct, (1.0 - correct) / 4.0))
        scores.append(score)
    for (before, now), (first, then) in zip(itertools.pairwise(grips), itertools.pairwise(chords), strict=True):
        cost = moves_between(before, first.struck, now, then.struck).cost(player.costs) + held_and_reused_cost(before, first, now, then)
        moves.append(-cost / player.temperature_mm)
    # Without and with the labels.
    total = np.zeros(2)
    for path in itertools.product(*(range(len(grip.fingers)) for grip in grips)):
        score = sum(scores[n][:, k] + (moves[n][path[n - 1], k] if n else 0.0) for n, k in enumerate(path))
        total += np.exp(score)
    assert log_likelihood(segments_of([clip], side), player) == pytest.approx(np.log(total[1] / total[0]), abs=1e-4)


def test_a_player_is_learned_from_incomplete_and_wrong_labels(monkeypatch):
    monkeypatch.setattr(fingering_training, "_ITERATIONS", 25)
    train = [played(seed, wrong=0.1, missing=0.2) for seed in range(3)]
    held_out = [played(seed) for seed in range(100, 102)]
    found = learn(both_hands(train))
    assert share_right(held_out, found.costs) > share_right(held_out, DEFAULT_COSTS) + 0.1
    assert 0.05 < found.wrong < 0.15
    assert log_likelihood(both_hands(held_out), found) > log_likelihood(both_hands(held_out), Player())
    assert found.costs.movement >= 0.0 and (found.costs.use >= 0.0).all()


def test_few_labels_of_another_player_do_not_make_the_likelihood_worse(monkeypatch):
    monkeypatch.setattr(fingering_training, "_ITERATIONS", 5)
    valid = [played(100, DEFAULT_COSTS, duration_s=20.0)]
    players, likelihood = learn_hands([played(0, duration_s=20.0)], valid)
    selected = sum(log_likelihood(segments_of(valid, side), player) for side, player in enumerate(players))
    assert selected / valid[0].labelled.sum() == pytest.approx(max(likelihood.values()), abs=1e-3)


def test_without_labels_nothing_is_learned():
    clip = played(0)
    with pytest.raises(ValueError, match="expected notes with labels of hand and finger, found none"):
        learn(both_hands([replace(clip, finger=np.full(len(clip.finger), UNPLAYED))]))


def test_agreement_counts_only_labelled_notes():
    clip = played(0, DEFAULT_COSTS, duration_s=30.0)
    finger, hand = clip.finger.copy(), clip.hand.copy()
    assert agreement([clip], (DEFAULT_COSTS,) * 2)["finger"] == 1.0
    finger[::2], hand[::4] = UNPLAYED, UNKNOWN
    wrong = np.flatnonzero(finger != UNPLAYED)[:10]
    finger[wrong] = (finger[wrong] + 1) % 5
    shares = agreement([replace(clip, finger=finger, hand=hand)], (DEFAULT_COSTS,) * 2)
    assert shares["finger"] == pytest.approx(1.0 - 10 / (finger != UNPLAYED).sum(), abs=0.05)
    assert shares["hand and finger"] <= min(shares["hand"], shares["finger"] + 0.05)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    recipe = Recipe(seed=3, take_s=30.0, audio_rate_hz=None, length_s=16.0, hop_s=10.0)
    write_corpus(folder, 0.01, recipe, {"train": 0.5, "valid": 0.5})
    return folder


def test_notes_of_overlapping_clips_are_labelled_once(shards):
    rows = [row for row in read_rows(shards) if row["split"] == "train"]
    distinct = {(round(row["start_s"] + note["onset_s"], 6), note["pitch"]) for row in rows for note in row["notes"]}
    clips = read_clips(shards, "train")
    assert len(rows) > 1 and sum(len(row["notes"]) for row in rows) > len(distinct)
    assert sum(int(clip.labelled.sum()) for clip in clips) == len(distinct)
    assert [clip.hand_scale for clip in clips] == [tuple(row[f"{hand}_bone_scale"] for hand in HANDS) for row in rows]
    assert len(draw(clips, 1)) == 1 and len(draw(clips, 10**6)) == len(clips)
    assert read_clips(shards, "train", ("nobody",)) == []


def test_the_command_writes_costs_and_compares_them(shards, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(fingering_training, "_ITERATIONS", 2)
    with caplog.at_level("INFO"):
        main([str(shards), "--out", str(tmp_path / "fingering.json")])
    assert len(read_costs(tmp_path / "fingering.json")) == len(HANDS)
    assert "default costs, share of the labels" in caplog.text and "learned costs, share of the labels" in caplog.text


def test_the_command_reports_missing_data(shards, tmp_path, capsys):
    for folder, more, message in (
        (tmp_path, [], "shards.json: expected the manifest of a dataset"),
        (shards, ["--subject", "nobody"], "split train: expected at least two clips with labels"),
    ):
        with pytest.raises(SystemExit):
            main([str(folder), "--out", str(tmp_path / "fingering.json"), *more])
        assert message in capsys.readouterr().err
