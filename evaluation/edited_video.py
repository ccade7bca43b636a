"""Make test videos with known edits from plain footage: cuts, dissolves, freeze frames, title cards, insets, camera motion.

`compose(path, footage, seed)` writes one video and returns its edits, frame by frame. The random seed determines size, frame rate, quality,
sensor noise, order of shots, edits, and disturbances that are not edits (flicker, exposure, logos, subtitles).
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from edited_scenes import Camera, Colour, Empty, Footage, Room, Title, caption
from handroll.media.write import VideoWriter

SIZES = ((640, 360), (854, 480), (854, 480), (854, 480), (854, 480), (1280, 720))
"""Frame sizes (px), from which one is drawn. The edit detection scales frames down to 256 px. Larger sizes would reduce noise and coding
errors further, but are slow to encode."""

RATES = (25, 30, 30, 50, 60)
"""Frame rates (Hz), from which one is drawn."""

GAP_S = (1.5, 4.0)
"""Minimum and maximum duration of undisturbed playing between two edits (s)."""

EDITS = ("cut away",) * 2 + ("jump",) * 3 + ("freeze",) * 2 + ("title", "black", "dissolve away") + ("inset",) * 2 + ("move",)
"""Kinds of edits, from which two to five are drawn. A kind that occurs several times is more probable."""

NEAR_S = 0.15
"""The change at a jump is compared with the changes between other frames up to this time before and after the jump (s)."""

VISIBLE_RATIO = 2.0
"""Minimum ratio of a visible jump: number of pixels that change at the jump, divided by the maximum number that change between two other
successive frames within `NEAR_S`. A smaller change cannot be distinguished from ordinary playing, because the hands are at the same
position, or move fast."""

CLEARLY = 16
"""For `VISIBLE_RATIO`, a pixel counts as changed if it changes by more than this number of grey levels."""

SMALL_PX = (128, 72)
"""Size to which frames are scaled down before pixels are compared."""

FIELDS = 7
"""Number of noise images. One is selected at random for each frame."""

HARMLESS = ("flicker", "exposure", "logo", "subtitles")
"""Disturbances that are not edits. Each has a probability of 30 %."""


@dataclass
class Truth:
    """True edits of a video. Frames count from 0, and intervals are [start, stop).

    Attributes
    ----------
    rate : float
        Frame rate (Hz).
    size : (int, int)
        Width and height (px).
    crf : int
        Quality setting of the video encoder.
    cuts : list of int
        First frame after each hard cut between scenes.
    jumps, hidden : list of int
        First frame after each jump cut that is visible, and after each that is not (`VISIBLE_RATIO`).
    fades : list of (int, int)
        Intervals of dissolves.
    flags : dict of str to bool array (frame,)
        Flags of each frame, by name: frozen, black, title, inset, moving, transition, other.
    view : int array (frame,)
        Number that identifies the static view of the main scene; -1 in other scenes.
    hands : int array (frame,)
        Number of hands.
    story : list of str
        Description of the edits in words.
    """

    rate: float
    size: tuple
    crf: int
    cuts: list = field(default_factory=list)
    jumps: list = field(default_factory=list)
    hidden: list = field(default_factory=list)
    fades: list = field(default_factory=list)
    flags: dict = field(default_factory=dict)
    view: np.ndarray = None
    hands: np.ndarray = None
    story: list = field(default_factory=list)

    def usable(self, view):
        """Return the usable frames of a view, bool array (frame,): frames without edits, from the first to the last frame with hands."""
        bad = np.logical_or.reduce(list(self.flags.values()))
        with_hands = np.flatnonzero((self.hands > 0) & (self.view == view))
        span = np.zeros(len(bad), bool)
        if len(with_hands):
            span[with_hands[0] : with_hands[-1] + 1] = True
        return (self.view == view) & ~bad & span

    def main_views(self):
        """List the possible main views: those whose number of frames with hands is at least 85 % of the maximum over all views."""
        views = np.unique(self.view[self.view >= 0])
        lengths = np.array([((self.view == v) & (self.hands > 0)).sum() for v in views])
        return views[lengths >= 0.85 * lengths.max()].tolist()


class _Film:
    """Frames that have been written so far, and their edits."""

    def __init__(self, truth, size, rng):
        self.truth, self.size, self.rng = truth, size, rng
        self.rows, self.cuts, self.jumps, self.fades = [], [], [], []
        self.gain, self.sigma = (lambda _: 1.0), rng.uniform(0.6, 3.0)
        noise = [np.clip(rng.normal(0.0, self.sigma, (*size[::-1], 3)), -40, 40).astype(np.int8) for _ in range(FIELDS)]
        self.brighter, self.darker = ([np.maximum(sign * field, 0).astype(np.uint8) for field in noise] for sign in (1, -1))
        self.decorations, self.clean = [], {}

    def grain(self, image):
        """Apply the current brightness and sensor noise to an image."""
        gain = self.gain(len(self.rows))
        if gain != 1.0:
            image = cv2.convertScaleAbs(image, alpha=gain)
        k = int(self.rng.integers(FIELDS))
        return cv2.subtract(cv2.add(image, self.brighter[k]), self.darker[k])

    def put(self, writer, image, view=-1, hands=0, **flags):
        """Write one frame, and store its flags. Logos and subtitles are not drawn on title cards and blank frames."""
        for decorate in self.decorations if view >= 0 or flags.get("other") else ():
            image = decorate(image, len(self.rows))
        writer.write(image, len(self.rows) / self.truth.rate)
        self.rows.append({"view": view, "hands": hands, **flags})


def compose(path, footage, seed, seconds=12.0):
    """Write one edited video.

    Parameters
    ----------
    path : path ending in .mp4
    footage : list of path
        Plain videos of piano playing, each from a static camera; at least two.
    seed : int
        Random seed.
    seconds : float
        Approximate duration.

    Returns
    -------
    Truth
    """
    rng = np.random.default_rng(seed)
    size = SIZES[rng.integers(len(SIZES))]
    truth = Truth(float(rng.choice(RATES)), size, int(rng.integers(20, 36)))
    film = _Film(truth, size, rng)
    order = rng.permutation(len(footage))
    main, other = (Footage(footage[k], size, rng.uniform(0.0, 4.0)) for k in order[:2])
    if rng.random() < 0.15:
        main.camera.wander(size, rng)
        truth.story.append("hand-held throughout")
    kinds = list(rng.permutation(EDITS)[: int(rng.integers(2, 6))]) if rng.random() < 0.9 else []
    if main.camera.hand_held:
        kinds = [kind for kind in kinds if kind != "move"]
    harmless = [kind for kind in HARMLESS if rng.random() < 0.3]
    with VideoWriter(path, *size, truth.rate, crf=truth.crf, preset="veryfast") as writer:
        _decorate(film, harmless)
        _begin(film, writer, main)
        while kinds or len(film.rows) < seconds * truth.rate:
            _play(film, writer, main, rng.uniform(*GAP_S))
            if kinds:
                kind = kinds.pop()
                truth.story.append(f"{len(film.rows) / truth.rate:.2f} {kind}")
                _EDIT[kind](film, writer, main, other)
        if rng.random() < 0.3:
            _empty(film, writer, main, rng.uniform(4.0, 6.0))
    truth.story += harmless
    names = ("frozen", "black", "title", "inset", "moving", "transition", "other")
    truth.flags = {name: np.array([row.get(name, False) for row in film.rows]) for name in names}
    truth.view = np.array([row["view"] for row in film.rows])
    truth.hands = np.array([row["hands"] for row in film.rows])
    truth.cuts, truth.fades = film.cuts, film.fades
    truth.jumps = [k for k in film.jumps if _visible(film.clean, k, truth.rate)]
    truth.hidden = [k for k in film.jumps if k not in truth.jumps]
    return truth


def _visible(clean, jump, rate):
    """Return whether a jump is visible, compared with the changes between frames around it; see `VISIBLE_RATIO`.

    `clean` maps frame numbers to images of the footage without noise.
    """
    reach = round(NEAR_S * rate)
    near = [k for k in range(jump - reach, jump + reach + 1) if k in clean and k - 1 in clean]
    steps = {k: (cv2.absdiff(clean[k], clean[k - 1]) > CLEARLY).mean() for k in near}
    own = steps.pop(jump, np.inf)
    return own > VISIBLE_RATIO * max(steps.values(), default=0.0)


def _decorate(film, harmless):
    """Prepare disturbances that are not edits. They affect the whole video."""
    rng, rate = film.rng, film.truth.rate
    if "flicker" in harmless:
        depth, hz = rng.uniform(0.01, 0.06), rng.uniform(0.5, 9.0)
        film.gain = lambda k: 1.0 + depth * np.sin(2 * np.pi * hz * k / rate)
    if "exposure" in harmless:
        at, after, ramp = rng.uniform(3.0, 12.0), rng.uniform(0.6, 1.3), rng.uniform(0.01, 1.0)
        before = film.gain
        film.gain = lambda k: before(k) * (1.0 + (after - 1.0) * np.clip((k / rate - at) / ramp, 0.0, 1.0))
    if "logo" in harmless:
        film.decorations.append(caption("handroll", film.size, (0.8, 0.06), 0.03))
    if "subtitles" in harmless:
        lines = [caption(f"Bars {n} to {n + 7}, a little slower", film.size, (0.3, 0.93), 0.045) for n in (1, 9, 17, 25)]
        film.decorations.append(lambda image, k: lines[int(k / rate / 3) % 4](image, k) if k / rate % 3 < 2.2 else image)


def _begin(film, writer, main):
    """Write the first frames of a video: playing, a title card, a keyboard without hands, or black frames."""
    start = film.rng.choice(["at once", "title", "empty", "black"], p=[0.4, 0.25, 0.2, 0.15])
    film.truth.story.append(f"begins {start}")
    if start == "empty":
        _empty(film, writer, main, film.rng.uniform(4.0, 6.0))
    elif start == "title":
        card = Title(film.size, film.rng).image
        _still(film, writer, card, film.rng.uniform(1.0, 3.0), title=True)
        _enter(film, writer, card, main, cut=film.rng.random() < 0.5)
    elif start == "black":
        black = np.zeros((*film.size[::-1], 3), np.uint8)
        _still(film, writer, black, film.rng.uniform(0.4, 1.5), black=True)
        _enter(film, writer, black, main, cut=film.rng.random() < 0.4)


def _frames(film, seconds):
    """Return a range over the number of frames of a duration."""
    return range(max(1, round(seconds * film.truth.rate)))


def _main(film, main):
    """Render the next frame of the main scene, with noise. Return the frame and its flags."""
    if main.advance(1.0 / film.truth.rate):
        film.jumps.append(len(film.rows))
    view = main.view()
    film.clean[len(film.rows)] = cv2.resize(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), SMALL_PX, interpolation=cv2.INTER_AREA)
    image = film.grain(view)
    return image, {"view": main.camera.view_id, "hands": 2, "moving": main.camera.moving}


def _play(film, writer, main, seconds):
    """Write `seconds` of the main scene without edits."""
    for _ in _frames(film, seconds):
        image, row = _main(film, main)
        film.put(writer, image, **row)


def _empty(film, writer, main, seconds):
    """Write a stretch of the main view without hands. Hands that keep still during most of the footage remain visible."""
    empty = Empty(main)
    for _ in _frames(film, seconds):
        film.put(writer, film.grain(main.camera.view(empty.image)), view=main.camera.view_id, moving=main.camera.moving)
        main.camera.step(1.0 / film.truth.rate)


def _still(film, writer, image, seconds, **flags):
    """Write a still image for a number of seconds, with the flags of its frames."""
    for _ in _frames(film, seconds):
        film.put(writer, image, **flags)


def _enter(film, writer, image, main, cut):
    """Change from a still image to the main scene: by a hard cut if `cut` is true, else by a dissolve."""
    if cut:
        film.cuts.append(len(film.rows))
        return
    _mix(film, writer, lambda: image, lambda: _main(film, main)[0])


def _mix(film, writer, before, after):
    """Write a dissolve between two scenes. `before` and `after` return the next frame of each scene."""
    count = len(_frames(film, film.rng.uniform(0.3, 1.0)))
    start = len(film.rows)
    for k in range(count):
        share = (k + 1) / (count + 1)
        film.put(writer, cv2.addWeighted(before(), 1.0 - share, after(), share, 0.0), transition=True)
    film.fades.append((start, len(film.rows)))


def _visit(film, writer, main, scene, seconds, dissolve, grainy=True, **row):
    """Change from the main scene to another scene and back, by hard cuts or dissolves.

    `scene` is a function that advances the other scene by a time (s), and returns its frame. If `grainy` is true, noise is added to these
    frames. `row` contains their flags; see `_Film.put`.
    """

    def next_image():
        image = scene(1.0 / film.truth.rate)
        return film.grain(image) if grainy else image

    if dissolve:
        _mix(film, writer, lambda: _main(film, main)[0], next_image)
    else:
        film.cuts.append(len(film.rows))
    for _ in _frames(film, seconds):
        film.put(writer, next_image(), **row)
    main.advance(film.rng.uniform(0.0, 3.0))
    if dissolve:
        _mix(film, writer, next_image, lambda: _main(film, main)[0])
    else:
        film.cuts.append(len(film.rows))


def _elsewhere(film, main, other):
    """Choose another scene: other playing, a room with a face, or a detail of the main scene.

    Return the function that advances the scene (see `_visit`), and the number of hands in the scene.
    """
    scene = film.rng.integers(3)
    if scene == 0:
        return other.follow, 2
    if scene == 1:
        return Room(film.size, film.rng).follow, 0
    detail = Camera(film.size)
    detail.zoom, detail.shift = film.rng.uniform(1.6, 2.5), film.rng.uniform(-0.15, 0.15, 2)

    def follow(seconds):
        main.advance(seconds)
        return detail.view(main.image)

    return follow, 2


def _cut_away(film, writer, main, other, dissolve=False):
    scene, hands = _elsewhere(film, main, other)
    _visit(film, writer, main, scene, film.rng.uniform(1.0, 3.5), dissolve, hands=hands, other=True)


def _dissolve_away(film, writer, main, other):
    _cut_away(film, writer, main, other, dissolve=True)


def _jump(film, writer, main, other):
    main.advance(film.rng.uniform(1.0, 6.0))
    film.jumps.append(len(film.rows))


def _freeze(film, writer, main, other):
    image, row = _main(film, main)
    seconds = film.rng.uniform(0.3, 5.0)
    for _ in _frames(film, seconds):
        film.put(writer, image, **(row | {"frozen": True}))
    if film.rng.random() < 0.5:
        main.advance(seconds)


def _title(film, writer, main, other):
    card = Title(film.size, film.rng)
    _visit(film, writer, main, lambda _: card.image, film.rng.uniform(1.0, 3.0), film.rng.random() < 0.5, False, title=True)


def _black(film, writer, main, other):
    colour = Colour(film.size, film.rng)
    _visit(film, writer, main, lambda _: colour.image, film.rng.uniform(0.3, 2.0), film.rng.random() < 0.6, False, black=True)


def _inset(film, writer, main, other):
    rng, (width, height) = film.rng, film.size
    share = rng.uniform(0.2, 0.4)
    w, h = round(width * share), round(height * share)
    margin = rng.choice([0.0, 0.03])
    x = round(rng.choice([margin, 1.0 - margin]) * (width - w)) if rng.random() < 0.8 else round(rng.uniform(0.1, 0.9) * (width - w))
    y = round(rng.choice([margin, 1.0 - margin]) * (height - h))
    still = rng.random() < 0.4
    scene = Room(film.size, rng) if rng.random() < 0.5 else other
    film.truth.story[-1] += f" {'still' if still else 'moving'} {w}x{h}+{x}+{y}"
    for k in _frames(film, rng.uniform(2.0, 5.0)):
        image, row = _main(film, main)
        if k == 0 or not still:
            small = cv2.resize(scene.follow(1.0 / film.truth.rate), (w, h), interpolation=cv2.INTER_AREA)
        image[y : y + h, x : x + w] = small
        film.put(writer, image, **(row | {"inset": True}))


def _move(film, writer, main, other):
    move = main.camera.plan(film.rng)
    film.truth.story[-1] += " " + move
    while main.camera.busy:
        image, row = _main(film, main)
        film.put(writer, image, **row)


_EDIT = {
    "cut away": _cut_away,
    "dissolve away": _dissolve_away,
    "jump": _jump,
    "freeze": _freeze,
    "title": _title,
    "black": _black,
    "inset": _inset,
    "move": _move,
}
