"""Scenes for edited test videos: footage of piano playing with a movable virtual camera, rooms with faces, title cards, plain colours."""

import itertools

import cv2
import matplotlib.cbook
import numpy as np

from handroll.media.frames import read_frames

MARGIN = 1.12
"""Factor by which footage is enlarged, so that a virtual camera can move within it."""

MOVES = {
    "pan": ((1.0, 3.0), (0.04, 0.2)),
    "zoom": ((1.0, 3.0), (1.06, 1.4)),
    "shake": ((1.5, 4.0), (0.01, 0.03)),
    "bump": ((0.15, 0.4), (0.02, 0.06)),
}
"""Camera moves: range of the duration (s), and range of the extent. The extent is a share of the frame's width, or a ratio for zoom."""

# Texts of title cards.
WORDS = ("Nocturne", "Study in C", "played by heart", "Subscribe", "Part II", "Prelude", "Minuet in G", "thank you")


class Camera:
    """Virtual camera that shows part of an image, and can make random moves.

    `shift` is the shift of the view as a share of the width, `zoom` is a ratio. `view_id` identifies the static view. The id changes after
    each move that does not return to its start. `moving` is true during a move.
    """

    _view_ids = itertools.count()

    def __init__(self, size):
        self.size, self.shift, self.zoom = size, np.zeros(2), 1.0
        self.view_id, self.path, self.time = next(self._view_ids), None, 0.0
        self.moving = False

    @property
    def busy(self):
        """Whether a random move has started and has not ended."""
        return self.path is not None and np.isfinite(self.path[0])

    @property
    def hand_held(self):
        """Whether the camera moves all the time."""
        return self.path is not None and np.isinf(self.path[0])

    def view(self, image):
        """Render the camera's view of an image."""
        width, height = self.size
        scale = MARGIN * self.zoom * (width / image.shape[1])
        matrix = np.array([[scale, 0.0, width / 2 - scale * image.shape[1] / 2], [0.0, scale, height / 2 - scale * image.shape[0] / 2]])
        matrix[:, 2] += self.shift * width
        return cv2.warpAffine(image, matrix, self.size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)

    def step(self, seconds):
        """Advance the time of the camera, and update its view."""
        self.time += seconds
        if self.path is None:
            return
        end, pose, stays = self.path
        if self.time < end:
            self.shift, self.zoom = pose(self.time)
            self.moving = True
        else:
            self.shift, self.zoom = pose(end)
            self.moving, self.path = False, None
            if stays:
                self.view_id = next(self._view_ids)

    def plan(self, rng):
        """Start a random move: pan, zoom, shake or bump. Return its name."""
        move = str(rng.choice(list(MOVES)))
        start, shift, zoom = self.time, self.shift.copy(), self.zoom
        angle = rng.uniform(0.0, 2 * np.pi)
        direction = np.array([np.cos(angle), 0.6 * np.sin(angle)])
        length, amount = (rng.uniform(*span) for span in MOVES[move])
        shake = _wobble(rng, amount)

        def pose(time):
            share = np.clip((time - start) / length, 0.0, 1.0)
            smooth = share * share * (3.0 - 2.0 * share)
            if move == "zoom":
                return shift, zoom * amount**smooth
            if move == "shake":
                return shift + shake(time - start) * min(1.0, 8.0 * share * (1.0 - share)), zoom
            return shift + direction * amount * smooth, zoom

        self.path = (start + length, pose, move != "shake")
        return move

    def wander(self, size, rng):
        """Start the movement of a hand-held camera, which never ends."""
        shake = _wobble(rng, rng.uniform(0.012, 0.03), slowest_hz=0.3)
        self.path = (np.inf, lambda time: (shake(time), 1.0), False)


def _wobble(rng, amount, slowest_hz=1.0):
    """Return a smooth random function from time (s) to a shift (x, y). Its maximum is about `amount`, as a share of the width."""
    hz, phase = rng.uniform(slowest_hz, 5.0, (2, 4)), rng.uniform(0.0, 2 * np.pi, (2, 4))
    return lambda time: amount * 0.6 * np.sin(2 * np.pi * hz * time + phase).sum(axis=1) / np.sqrt(2.0) ** 2


class Footage:
    """Footage of piano playing from a file, with a virtual camera. At its end, the footage starts again."""

    def __init__(self, path, size, start_s):
        self.path, self.size, self.camera = path, size, Camera(size)
        self._frames, self._time, self._next = None, 0.0, None
        self.advance(start_s)

    def advance(self, seconds):
        """Advance the time. Return whether the footage started again."""
        self.camera.step(seconds)
        self._time += seconds
        restarted = False
        while True:
            if self._frames is None:
                self._frames, self._image = read_frames(self.path, max_width_px=self.size[0], threads=2), None
                self._offset = self._time
                self._next = next(self._frames)
            while self._next is not None and self._next.time_s <= self._time - self._offset + 1e-6:
                self._image, self._next = self._next.image, next(self._frames, None)
            if self._next is not None:
                return restarted
            self._frames, restarted = None, True

    @property
    def image(self):
        """Current frame of the file, without the virtual camera."""
        return self._image

    def view(self):
        """Render the camera's view of the current frame."""
        return self.camera.view(self._image)

    def follow(self, seconds):
        """Advance the time, and render the virtual camera's view."""
        self.advance(seconds)
        return self.view()


class Empty:
    """Keyboard without hands: the temporal median of footage."""

    def __init__(self, footage):
        images = [f.image for f in itertools.islice(read_frames(footage.path, max_width_px=footage.size[0]), 0, None, 60)]
        self.image = np.median(np.stack(images), axis=0).astype(np.uint8)


class Room:
    """A cluttered room with a slowly moving portrait."""

    def __init__(self, size, rng):
        width, height = size
        small = rng.uniform(30, 220, (9, 16, 3)).astype(np.uint8)
        self._room = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
        for _ in range(25):
            corner = (int(rng.integers(width)), int(rng.integers(height)))
            far = (corner[0] + int(rng.integers(width // 4)), corner[1] + int(rng.integers(height // 3)))
            cv2.rectangle(self._room, corner, far, rng.integers(0, 255, 3).tolist(), -1)
        face = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
        face = cv2.cvtColor(cv2.imread(str(face)), cv2.COLOR_BGR2RGB)
        self._face = cv2.resize(face, (round(height * 0.6), round(height * 0.7)))
        self._time, self._phase = 0.0, rng.uniform(0.0, 6.0)

    def follow(self, seconds):
        """Advance the time, and render the room."""
        self._time += seconds
        image, face = self._room.copy(), self._face
        height, width = image.shape[:2]
        x = round(width * (0.35 + 0.02 * np.sin(2.1 * self._time + self._phase)))
        y = round(height * (0.2 + 0.01 * np.sin(3.3 * self._time)))
        image[y : y + face.shape[0], x : x + face.shape[1]] = face[: height - y, : width - x]
        return image


class Title:
    """Title card: random text on a plain colour."""

    def __init__(self, size, rng):
        width, height = size
        colour = rng.integers(0, 256, 3).tolist() if rng.random() < 0.6 else [0, 0, 0]
        ink = (0, 0, 0) if np.mean(colour) > 128 else (255, 255, 255)
        self.image = np.full((height, width, 3), colour, np.uint8)
        for line in range(int(rng.integers(1, 4))):
            scale = height / 400 * rng.uniform(0.7, 1.6)
            at = (round(width * rng.uniform(0.1, 0.4)), round(height * (0.3 + 0.2 * line)))
            text, thick = str(rng.choice(WORDS)), max(1, round(scale * 2))
            cv2.putText(self.image, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, ink, thick, cv2.LINE_AA)


class Colour:
    """A frame of a single colour, in most cases black."""

    def __init__(self, size, rng):
        colour = [0, 0, 0] if rng.random() < 0.75 else rng.integers(0, 256, 3).tolist()
        self.image = np.full((size[1], size[0], 3), colour, np.uint8)


def caption(text, size, at, height):
    """Return a function (image, frame number) that draws text into an image.

    `at` is the position of the text as a share of the frame's width and height. `height` is the height of the text, as a share of the
    frame's height.
    """
    scale = size[1] * height / 22
    at = (round(size[0] * at[0]), round(size[1] * at[1]))

    def burn(image, frame):
        image = np.ascontiguousarray(image)
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), max(2, round(4 * scale)), cv2.LINE_AA)
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (250, 250, 240), max(1, round(2 * scale)), cv2.LINE_AA)
        return image

    return burn
