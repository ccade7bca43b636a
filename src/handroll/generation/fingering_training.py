"""Learn the costs of a player's fingering from notes with labels of hand and finger.

The model is a linear-chain conditional random field (Lafferty et al. 2001, ICML) over the grips of a hand: the probability of a sequence of
grips is proportional to exp(-cost / temperature). The cost is that of `fingering.finger_notes`, so a sequence of maximum probability is the
fingering that it chooses. A label is an uncertain observation of a finger. Notes without a label are summed over all fingers. Training
maximises the probability of the labels minus a quadratic penalty on the distance from the initial costs. Command line::

    python -m handroll.generation.fingering_training FOLDER... --out fingering.json

FOLDER is a folder of shards. The costs are learned from the split train, and compared with the default costs on the split valid.
"""

import argparse
import logging
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize

from handroll.generation.fingering import (
    DEFAULT_COSTS,
    MAX_INTERVAL,
    FingeringCosts,
    chords_of_hand,
    finger_notes,
    fingers_on,
    grips_of,
    held_and_reused_cost,
    moves_between,
)
from handroll.generation.fingering_costs_file import write_costs
from handroll.generation.hand_assignment import assign_hands
from handroll.generation.labelled_notes import read_clips
from handroll.hand.skeleton import FINGERS, HANDS
from handroll.logs import LOGGER

VERSION = 2
"""Version of the learned costs. Increase it manually when the same labels give different costs."""

SEGMENT_CHORDS = 64
"""Number of chords of a segment. The movement from a segment to the next one is not used."""

MAX_NOTES = 30_000
"""Default maximum number of labelled notes from which costs are learned: about 100 minutes of music."""

HELD_OUT = 0.2
"""Share of the clips of the split train that selects the variant and the spread of `learn_hands`."""

SPREADS = (0.03, 0.1, 0.3, 1.0)
"""Spreads (`learn`) among which `learn_hands` selects. Few or contradictory labels need a small spread."""

# Maximum number of grips of a chord, and of notes that a hand strikes at once.
_GRIPS, _STRUCK = 10, 5

# Index of a movement for which `FingeringCosts.pair` has no entry.
_NO_PAIR = len(FINGERS) ** 2 * (2 * MAX_INTERVAL + 1)

# Added to the score of a grip that does not exist: the padding of a chord with few grips.
_ABSENT = -1e9

# Names of the costs of grips and of movements, in the order of the columns of their features.
_GRIP_COSTS, _MOVE_COSTS = ("stretch", "thumb_on_black", "pinky_on_black"), ("movement", "passing", "crossing", "same_finger")

# Standard deviation of each cost of a player around the initial cost, which defines the penalty. The units are those of `FingeringCosts`.
_DEVIATION = FingeringCosts(
    stretch=3.0,
    thumb_on_black=40.0,
    pinky_on_black=30.0,
    use=np.full(len(FINGERS), 15.0),
    movement=0.5,
    passing=40.0,
    crossing=60.0,
    same_finger=40.0,
    pair=np.full(DEFAULT_COSTS.pair.shape, 5.0),
)

# Initial temperature (mm) and minimum and maximum; standard deviation of its logarithm.
_TEMPERATURE_MM, _TEMPERATURE_RANGE_MM, _TEMPERATURE_DEVIATION = 10.0, (1.0, 200.0), 1.0

# Initial share of labels that are wrong although their confidence is 1, and its minimum and maximum.
_WRONG, _WRONG_RANGE = 0.03, (0.002, 0.5)

# Maximum number of iterations of the optimiser, relative improvement at which it stops, and number of steps from which it estimates the
# curvature.
_ITERATIONS, _TOLERANCE, _MEMORY = 200, 1e-5, 30


@dataclass(frozen=True)
class Segments:
    """Segments of the chords of a hand as tensors, padded to equal sizes. Index 0 of the chords has no movement.

    Attributes
    ----------
    grip : tensor (segment, chord, grip, feature 8)
        Values by which the costs of grips are multiplied: `_GRIP_COSTS`, then the number of uses of each finger.
    grip_cost : tensor (segment, chord, grip)
        Cost of a grip that does not depend on the costs of the player.
    exists : tensor (segment, chord, grip), bool
    move : tensor (segment, chord, grip before, grip now, feature 4)
        Values by which the costs of movements are multiplied: `_MOVE_COSTS`.
    pair : tensor (segment, chord, grip before, grip now), int
        Index into the flat array `FingeringCosts.pair`, or `_NO_PAIR`.
    move_cost : tensor (segment, chord, grip before, grip now)
        Cost of a movement that does not depend on the costs of the player.
    matches : tensor (segment, chord, struck note 5, grip), bool
        Whether the grip plays the note with the finger of the label.
    confidence : tensor (segment, chord, struck note 5)
        Confidence of the label; NaN without a label.
    chords : tensor (segment,), int
        Number of chords.
    """

    grip: torch.Tensor
    grip_cost: torch.Tensor
    exists: torch.Tensor
    move: torch.Tensor
    pair: torch.Tensor
    move_cost: torch.Tensor
    matches: torch.Tensor
    confidence: torch.Tensor
    chords: torch.Tensor

    @property
    def labels(self):
        """Number of labels."""
        return int((~self.confidence.isnan()).sum())

    def joined(self, other):
        """Return the segments of both."""
        return Segments(**{field.name: torch.cat([getattr(self, field.name), getattr(other, field.name)]) for field in fields(Segments)})


@dataclass(frozen=True)
class Player:
    """What is learned about one hand, or about both hands together.

    Attributes
    ----------
    costs : FingeringCosts
    temperature_mm : float
        Temperature of the conditional random field.
    wrong : float
        Share of labels that are wrong although their confidence is 1.
    """

    costs: FingeringCosts = DEFAULT_COSTS
    temperature_mm: float = _TEMPERATURE_MM
    wrong: float = _WRONG


def segments_of(clips, side):
    """Collect the chords of a hand as tensors.

    Parameters
    ----------
    clips : iterable of LabelledNotes
        Notes without a label of the hand get the hand that `hand_assignment.assign_hands` chooses.
    side : int
        Index into `skeleton.HANDS`.

    Returns
    -------
    Segments
        Segments without any label are left out.
    """
    parts = []
    for clip in clips:
        rows = np.flatnonzero(clip.all_hands == side)
        chords, struck = chords_of_hand(clip.notes, clip.pedal, rows, side, scale=clip.hand_scale[side])
        for first in range(0, len(chords), SEGMENT_CHORDS):
            part = slice(first, first + SEGMENT_CHORDS)
            if any(clip.labelled[note] for new in struck[part] for note in new.values()):
                parts.append(_segment(chords[part], struck[part], clip, side))
    size = (len(parts), SEGMENT_CHORDS)
    arrays = {
        "grip": np.zeros((*size, _GRIPS, len(_GRIP_COSTS) + len(FINGERS)), dtype=np.float32),
        "grip_cost": np.zeros((*size, _GRIPS), dtype=np.float32),
        "exists": np.zeros((*size, _GRIPS), dtype=bool),
        "move": np.zeros((*size, _GRIPS, _GRIPS, len(_MOVE_COSTS)), dtype=np.float32),
        "pair": np.full((*size, _GRIPS, _GRIPS), _NO_PAIR, dtype=np.int32),
        "move_cost": np.zeros((*size, _GRIPS, _GRIPS), dtype=np.float32),
        "matches": np.zeros((*size, _STRUCK, _GRIPS), dtype=bool),
        "confidence": np.full((*size, _STRUCK), np.nan, dtype=np.float32),
    }
    for number, part in enumerate(parts):
        for chord, values in enumerate(part):
            for name, value in values.items():
                arrays[name][(number, chord, *(slice(length) for length in value.shape))] = value
    return Segments(
        **{name: torch.from_numpy(values) for name, values in arrays.items()}, chords=torch.tensor([len(part) for part in parts])
    )


def _segment(chords, struck, clip, side):
    """Return the values of `Segments` of each chord of a segment, as dicts of arrays without padding."""
    scale, rows, before = clip.hand_scale[side], [], None
    nothing = FingeringCosts(**{name: 0.0 for name in (*_GRIP_COSTS, *_MOVE_COSTS)}, use=np.zeros(len(FINGERS)))
    for number, (chord, new) in enumerate(zip(chords, struck, strict=True)):
        grips = grips_of(chord.pitches, -1 if HANDS[side] == "left" else 1, scale)
        on_black = [(grips.black & (grips.fingers == finger)).sum(axis=1) for finger in (0, len(FINGERS) - 1)]
        uses = (grips.fingers[:, :, None] == np.arange(len(FINGERS))).sum(axis=1)
        row = {
            "grip": np.column_stack([grips.stretch_mm, *on_black, uses]),
            "grip_cost": grips.cost(nothing),
            "exists": np.ones(len(grips.fingers), dtype=bool),
            "matches": np.array([fingers_on(grips, pitch) == clip.finger[note] for pitch, note in new.items()]),
            "confidence": np.array([clip.confidence[note] if clip.labelled[note] else np.nan for note in new.values()]),
        }
        if before is not None:
            moves = moves_between(before, chords[number - 1].struck, grips, chord.struck)
            flags = (moves.passing, moves.crossing, moves.same_finger) if moves.single else [np.zeros(moves.travel_mm.shape)] * 3
            row["move"] = np.stack([moves.travel_mm, *flags], axis=-1)
            row["move_cost"] = held_and_reused_cost(before, chords[number - 1], grips, chord)
            if moves.single:
                row["pair"] = (moves.first * len(FINGERS) + moves.second) * DEFAULT_COSTS.pair.shape[2] + moves.interval
        rows.append(row)
        before = grips
    return rows


def log_likelihood(segments, player):
    """Compute the logarithm of the probability of the labels.

    Parameters
    ----------
    segments : Segments
    player : Player

    Returns
    -------
    float
        Sum over the segments.
    """
    with torch.no_grad():
        return float(_log_likelihood(segments, torch.from_numpy(_player_to_vector(player))))


def _log_likelihood(segments, values):
    """Compute the log-likelihood as a tensor from the values (parameter,) of `_player_to_vector`."""
    split = np.cumsum([len(_GRIP_COSTS) + len(FINGERS), len(_MOVE_COSTS), DEFAULT_COSTS.pair.size])
    values = values.to(torch.float32)
    grip_costs, move_costs, pair_costs, (log_temperature, wrong) = (
        values[start:end] for start, end in zip((0, *split), (*split, None), strict=True)
    )
    temperature = log_temperature.exp()
    node = -(segments.grip @ grip_costs + segments.grip_cost) / temperature
    node = torch.where(segments.exists, node, _ABSENT)
    pair_costs = torch.cat([pair_costs, pair_costs.new_zeros(1)])
    edge = -(segments.move @ move_costs + pair_costs[segments.pair] + segments.move_cost) / temperature
    # Probability that a label is correct. At 1 / 5 it contains no information.
    correct = (segments.confidence.nan_to_num(1.0) * (1.0 - wrong)).clamp(min=1.0 / len(FINGERS))
    observed = torch.where(segments.matches, correct.log()[..., None], ((1.0 - correct) / (len(FINGERS) - 1)).log()[..., None])
    observed = torch.where(segments.confidence.isnan()[..., None], 0.0, observed).sum(dim=2)
    # Both forward sums at once: without and with the labels.
    first, *nodes = torch.stack([node, node + observed]).unbind(dim=2)
    total = first
    for chord, (scores, moves) in enumerate(zip(nodes, edge.unbind(dim=1)[1:], strict=True), start=1):
        following = (total[..., None] + moves).logsumexp(dim=2) + scores
        total = torch.where((chord < segments.chords)[None, :, None], following, total)
    without, with_labels = total.logsumexp(dim=2).double()
    return (with_labels - without).sum()


def learn(segments, start=Player(), spread=1.0):
    """Learn the costs of a player.

    Parameters
    ----------
    segments : Segments
    start : Player
        Initial values. The penalty is proportional to the squared distance of the costs from these.
    spread : float
        Factor of the standard deviations that define the penalty. With a small value, the costs remain near the initial costs.

    Returns
    -------
    Player

    Raises
    ------
    ValueError
        There are no labels.
    """
    if not segments.labels:
        raise ValueError("expected notes with labels of hand and finger, found none; use shards whose notes have these labels")
    deviation = np.concatenate([spread * _to_vector(_DEVIATION), [_TEMPERATURE_DEVIATION, 1.0]])
    centre = _player_to_vector(start)
    # Costs are at least 0, except the costs of pairs, which may be preferred to others.
    low, high = np.full(len(centre), -np.inf), np.full(len(centre), np.inf)
    low[: -DEFAULT_COSTS.pair.size - 2] = 0.0
    (low[-2], high[-2]), (low[-1], high[-1]) = np.log(_TEMPERATURE_RANGE_MM), _WRONG_RANGE

    def objective(x):
        values = torch.tensor(centre + deviation * x, requires_grad=True)
        loss = -_log_likelihood(segments, values)
        loss.backward()
        return loss.item() + 0.5 * x @ x, values.grad.numpy() * deviation + x

    low, high = (low - centre) / deviation, (high - centre) / deviation
    x = np.zeros(len(centre))
    # With a wrong temperature, the costs would first move far away. Therefore the costs are constant at first.
    for constant in (np.arange(len(x)) < len(x) - 2, np.zeros(len(x), dtype=bool)):
        bounds = list(zip(np.where(constant, x, low), np.where(constant, x, high), strict=True))
        options = {"maxiter": _ITERATIONS, "ftol": _TOLERANCE, "maxcor": _MEMORY}
        x = minimize(objective, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    values = centre + deviation * x
    return Player(_from_vector(values[:-2]), float(np.exp(values[-2])), float(values[-1]))


def _player_to_vector(player):
    """Return an array (parameter,): costs in the order of `_to_vector`, logarithm of the temperature, share of wrong labels."""
    return np.concatenate([_to_vector(player.costs), [np.log(player.temperature_mm), player.wrong]])


def _to_vector(costs):
    """Return costs as an array (parameter,): those of grips, uses of fingers, those of movements, and pairs."""
    grip, move = ([getattr(costs, name) for name in names] for names in (_GRIP_COSTS, _MOVE_COSTS))
    return np.concatenate([grip, costs.use, move, costs.pair.ravel()])


def _from_vector(values):
    """Return the costs from an array (parameter,): the inverse of `_to_vector`."""
    grip, use, move, pair = np.split(values, np.cumsum([len(_GRIP_COSTS), len(FINGERS), len(_MOVE_COSTS)]))
    numbers = zip((*_GRIP_COSTS, *_MOVE_COSTS), (*grip.tolist(), *move.tolist()), strict=True)
    return FingeringCosts(**dict(numbers), use=use, pair=pair.reshape(DEFAULT_COSTS.pair.shape))


def learn_hands(train, held_out):
    """Learn the costs of both hands, together or apart.

    Both hands are mirror images of each other, so that one set of costs can be learned from the notes of both. The costs of each hand
    alone are then learned with a penalty on their distance from the common costs. The variant and the spread of the penalty are selected
    by the probability of the labels of other music. If the default costs are best, nothing is learned.

    Parameters
    ----------
    train, held_out : sequence of LabelledNotes
        Music from which costs are learned, and music that selects the variant and the spread.

    Returns
    -------
    players : (Player, Player)
        The left and the right hand.
    likelihood : dict of str to float
        Mean log-likelihood of a label of `held_out` under the default costs ("default"), and with the hands learned "together" and "apart".

    Raises
    ------
    ValueError
        One of the sets has no labels.
    """
    sides = range(len(HANDS))
    train_of, held_out_of = ([segments_of(clips, side) for side in sides] for clips in (train, held_out))
    if not all(left.labels + right.labels for left, right in (train_of, held_out_of)):
        raise ValueError(
            "split train: expected at least two clips with labels of hand and finger, found fewer; give this split a larger share "
            "(`splits`), or use shards whose notes have these labels (`results/dataset`)"
        )
    labels = sum(segments.labels for segments in held_out_of)

    def likelihood(players):
        return sum(log_likelihood(segments, player) for segments, player in zip(held_out_of, players, strict=True)) / labels

    def learn_apart(spread):
        return tuple(learn(segments, together[0], spread) if segments.labels else together[0] for segments in train_of)

    both = train_of[0].joined(train_of[1])
    together = _best_spread(lambda spread: (learn(both, spread=spread),) * 2, likelihood)
    variants = {"default": (Player(),) * 2, "together": together, "apart": _best_spread(learn_apart, likelihood)}
    found = {name: likelihood(players) for name, players in variants.items()}
    return variants[max(found, key=found.get)], found


def _best_spread(learn_with, likelihood):
    """Return the players with the maximum likelihood among those learned with increasing spreads, until the likelihood decreases.

    `learn_with` maps a spread to players, and `likelihood` maps players to their likelihood.
    """
    best, best_likelihood = None, -np.inf
    for spread in SPREADS:
        players = learn_with(spread)
        found = likelihood(players)
        if best is not None and found <= best_likelihood:
            break
        best, best_likelihood = players, found
    return best


def agreement(clips, costs):
    """Compare the fingering that costs give with labels.

    Parameters
    ----------
    clips : sequence of LabelledNotes
        At least one note has a label.
    costs : (FingeringCosts, FingeringCosts)
        Costs of the left and of the right hand.

    Returns
    -------
    dict of str to float
        Share of the labelled notes for which `hand_assignment.assign_hands` chooses the labelled hand ("hand"), for which the finger
        is that of the label if all labelled hands are given ("finger"), and for which hand and finger are right without given hands
        ("hand and finger").
    """
    right = {"hand": 0, "finger": 0, "hand and finger": 0}
    for clip in clips:
        hand = assign_hands(clip.notes, hand_scale=clip.hand_scale)
        given, chosen = (finger_notes(clip.notes, clip.pedal, of, costs=costs, hand_scale=clip.hand_scale) for of in (clip.all_hands, hand))
        same_hand = (hand == clip.hand)[clip.labelled]
        right["hand"] += same_hand.sum()
        right["finger"] += (given == clip.finger)[clip.labelled].sum()
        right["hand and finger"] += (same_hand & (chosen == clip.finger)[clip.labelled]).sum()
    return {name: float(count / sum(clip.labelled.sum() for clip in clips)) for name, count in right.items()}


def draw(clips, max_notes, seed=0):
    """Draw clips at random until they contain a number of labelled notes. Returns all clips if they contain fewer."""
    drawn, count = [], 0
    for number in np.random.default_rng(seed).permutation(len(clips)):
        if count >= max_notes:
            break
        drawn.append(clips[number])
        count += int(clips[number].labelled.sum())
    return drawn


def learn_costs(folders, subjects=(), max_notes=MAX_NOTES):
    """Learn the costs of both hands from the split train of datasets, and log how well they agree with the labels of the split valid.

    The last part of the clips of train (`HELD_OUT`) selects what `learn_hands` selects. So the labels of valid have no influence.

    Parameters
    ----------
    folders : sequence of path
        Folders of shards, which contain `shards.json`.
    subjects : sequence of str
        Subjects whose clips are used; empty: all.
    max_notes : int
        Maximum number of labelled notes of each split.

    Returns
    -------
    (FingeringCosts, FingeringCosts)
        Costs of the left and of the right hand.

    Raises
    ------
    FileNotFoundError, ValueError
        A folder has no list of shards, or fewer than two clips of train have labels.
    """
    train, valid = ([clip for folder in folders for clip in read_clips(folder, split, subjects)] for split in ("train", "valid"))
    kept = len(train) - max(1, round(HELD_OUT * len(train)))
    parts = {"train": draw(train[:kept], max_notes), "the held-out part of train": draw(train[kept:], max_notes)}
    players, likelihood = learn_hands(*parts.values())
    costs = tuple(player.costs for player in players)
    valid = draw(valid, max_notes)
    for name, clips in (parts | {"valid": valid}).items():
        LOGGER.info("%s: %d labelled notes in %d clips", name, sum(int(clip.labelled.sum()) for clip in clips), len(clips))
    LOGGER.info("log-likelihood of a held-out label: %s", ", ".join(f"{name} {value:.3f}" for name, value in likelihood.items()))
    if not valid:
        return costs
    for name, of_name in (("default", (DEFAULT_COSTS,) * len(HANDS)), ("learned", costs)):
        shares = ", ".join(f"{key} {100.0 * share:.1f} %" for key, share in agreement(valid, of_name).items())
        LOGGER.info("%s costs, share of the labels of valid that agree: %s", name, shares)
    return costs


def main(arguments=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m handroll.generation.fingering_training", description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folder of shards, which contains shards.json")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSON file for the costs")
    parser.add_argument("--subject", action="append", default=[], help="use only clips of this performer; repeat it for several")
    parser.add_argument("--max-notes", type=int, default=MAX_NOTES, help="maximum number of labelled notes (default: %(default)s)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        costs = learn_costs(options.folders, options.subject, options.max_notes)
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    write_costs(options.out, costs)


if __name__ == "__main__":
    main()
