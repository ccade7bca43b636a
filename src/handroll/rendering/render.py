"""Render a performance in a scene as frames or as a video, with the true visibility of the joints.

For speed, each frame draws only the rectangles with hands, pressed keys and covers. The rest of the image is drawn once.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from math import ceil, floor
from queue import SimpleQueue

import numpy as np

from handroll.hand.kinematics import posed_frames
from handroll.hand.skeleton import HANDS, N_JOINTS, N_ROTATIONS
from handroll.keyboard.geometry import STANDARD, black_tops_mm
from handroll.logs import progress
from handroll.media.write import VideoWriter
from handroll.rendering.hand_mesh import build_hand_mesh, forearm_rotation, skin, vertex_colours
from handroll.rendering.piano import FALLBOARD_MM, build_piano
from handroll.rendering.raster import (
    COVER,
    LEFT_HAND,
    RECEIVES,
    Canvas,
    bounds,
    expose,
    fill_mask,
    project_points,
    resolve,
    shade,
    soften,
)
from handroll.rendering.reflections import LampMap, Mirror

SHUTTER = 0.4
"""Exposure time as a share of the time between two frames, 0..1. A longer exposure gives more motion blur."""

MIN_BLUR_PX = 8.0
"""Minimum motion of a vertex during the exposure, in pixels, for which a frame is blurred: rendered as the mean of several moments."""

# Moments whose images are averaged for a blurred frame: offsets from the frame's time, as multiples of the exposure time. The visibility of
# the joints is determined at the last moment, which is the frame's time.
_MOMENTS = (-0.5, 0.5, 0.0)

# Offsets (x or y, offset 9, 1) of the pixels within one pixel of a joint.
_AROUND = np.indices((3, 3)).reshape(2, 9, 1) - 1

# Share of the light that the shadows of hands and of black keys remove.
_HAND_SHADOW, _KEY_SHADOW = 0.42, 0.30

# Blur radius of the shadows of hands and of black keys.
_HAND_SHADOW_BLUR_M, _KEY_SHADOW_BLUR_M = 0.009, 0.0022

# Minimum depth of a key that is drawn as pressed.
_MIN_DEPTH_MM = 0.2

# Number of frames whose poses are computed at once.
_POSED_FRAMES = 256

# Number of values by which the fixed array of noise is longer than an image. The noise of each frame is a random window of this array.
_NOISE_SPARE = 1 << 18


@dataclass(frozen=True)
class Frame:
    """A rendered frame.

    Attributes
    ----------
    image : array (y, x, rgb 3), uint8
    visible : array (hand 2, joint 21), bool
        Whether the joint is inside the image and no other object occludes it. Occlusion by the joint's own hand does not count.
    """

    image: np.ndarray
    visible: np.ndarray


class Renderer:
    """Renderer of one scene. It draws the static parts of the scene only once.

    Parameters
    ----------
    scene : Scene
    width, height : int
        Size of the image, pixels.
    supersample : int
        Samples per pixel along each axis.
    grid_mm : float
        Grid spacing of the hand meshes, see `hand_mesh.build_hand_mesh`.
    """

    def __init__(self, scene, width, height, supersample=2, grid_mm=3.0):
        self.scene, self.size, self.supersample = scene, (width, height), supersample
        middle = scene.view.to_camera(np.array([STANDARD.width_mm / 2, STANDARD.white_length_mm / 2, 0.0]) * 1e-3)
        self.scale = scene.view.focal_widths * width / middle[2]  # pixels a metre at the middle of the keyboard
        appearance, gloss = scene.appearance, scene.gloss
        skin_rgb, sleeve_rgb = appearance.skin_rgb, appearance.sleeve_rgb
        self.hand_meshes = [build_hand_mesh(hand, sleeve_rgb is not None, grid_mm) for hand in HANDS]
        self.albedo = [vertex_colours(mesh, skin_rgb, sleeve_rgb or skin_rgb) for mesh in self.hand_meshes]
        self.owners = [np.full(len(mesh.triangles), LEFT_HAND + side, np.uint8) for side, mesh in enumerate(self.hand_meshes)]
        fallboard_mm = (gloss.lean_mm, gloss.height_mm) if gloss else FALLBOARD_MM
        self.piano = build_piano(appearance.wood_rgb, appearance.floor_rgb, fallboard_mm)
        self.resting = self._project(self.piano.vertices_m)
        self.hand_shadow = np.zeros(((height + 1) // 2, (width + 1) // 2), np.float32)
        self.key_shadow = self._key_shadow()
        self.rest = Canvas.empty(width * supersample, height * supersample)
        self._draw_piano(self.rest, np.zeros(88), self.rest.rectangle)
        self.mirror = Mirror(gloss, self._project, self.piano, self.rest, supersample) if gloss else None
        self.lamp = LampMap(scene.lamp, scene.view, width, height) if scene.lamp else None
        shadowed = np.flatnonzero(RECEIVES[self.rest.owner].any(axis=1))
        self.shadow_end = int(shadowed[-1]) // supersample + 1 if len(shadowed) else 0
        self.work = Canvas.empty(width * supersample, height * supersample)
        self.work.copy_from(self.rest, self.work.rectangle)
        self.drawn, self.shaded = [], []  # rectangles of `work` (pixels) and of `hand_shadow` that `restore` restores
        self.background = np.empty((height, width, 3), np.uint8)
        self._resolve(self.background, (0, 0, width, height))

    def twin(self):
        """Return a renderer of the same scene for another thread. They share everything that `draw` does not change."""
        twin = copy(self)
        twin.work, twin.hand_shadow = self.work.copy(), self.hand_shadow.copy()
        twin.mirror = self.mirror and self.mirror.twin()
        twin.drawn, twin.shaded = [], []
        return twin

    def _project(self, points_m):
        """Project points in the world frame: pixels (..., xy 2) and inverse depth (...,), float32; see `scene.View.project`."""
        view, points_m = self.scene.view, np.ascontiguousarray(points_m)
        width, height = self.size
        flat = points_m.reshape(-1, 3)
        pixels, inverse = project_points(flat, np.array(view.position_m), view.rotation, view.k1, view.focal_widths * width, width, height)
        return pixels.reshape(*points_m.shape[:-1], 2), inverse.reshape(points_m.shape[:-1])

    def _draw_piano(self, canvas, key_depth_mm, rectangle):
        """Draw the piano with pressed keys (key 88,) within a rectangle of samples."""
        vertices, colours = self.piano.pressed(key_depth_mm)
        pixels, inverse = self._project(vertices)
        canvas.draw(pixels * np.float32(self.supersample), inverse, colours, self.piano.triangles, self.piano.owner, rectangle)

    def _key_shadow(self):
        """Return the shadow (y, x) of the black keys on the white keys.

        Sections of the black keys at several heights are projected along the light to the plane of the white keys.
        """
        mask = np.zeros(self.size[::-1], np.float32)
        light, _ = self.scene.light.at(0.0)
        tops = black_tops_mm() * 1e-3
        steps = np.linspace(0.0, 1.0, 5)[:, None, None, None]
        height = tops[..., 2:3]
        stack = (tops - steps * height * np.append(light[:2] / light[2], 1.0)).reshape(-1, 4, 3)
        pixels, inverse = self._project(stack)
        used = (inverse > 0.0).all(axis=1)
        quads = np.arange(4 * len(stack), dtype=np.int32).reshape(-1, 4)
        triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
        fill_mask(mask, pixels.reshape(-1, 2), triangles, np.repeat(used, 4))
        soften(mask, 0, 0, *self.size, max(1, round(_KEY_SHADOW_BLUR_M * self.scale)))
        return mask * np.float32(_KEY_SHADOW)

    def _resolve(self, image, rectangle, everything=True):
        """Average the samples of a rectangle of pixels into the image; see `raster.resolve`."""
        work = self.work
        resolve(work.colour, work.owner, RECEIVES, self.key_shadow, self.hand_shadow, everything, image, *rectangle, self.supersample)

    def _rectangle(self, pixels, inverse, margin=2):
        """Return the rectangle (left, top, right, bottom) of pixels around projected points, clipped to the image; None if outside."""
        left, top, right, bottom, farthest = bounds(pixels, inverse)
        if farthest <= 0.0:
            raise ValueError("expected all hands, keys and covers in front of the camera, found some behind it; place the camera higher")
        x0, y0 = max(floor(left) - margin, 0), max(floor(top) - margin, 0)
        x1, y1 = min(ceil(right) + margin, self.size[0]), min(ceil(bottom) + margin, self.size[1])
        return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None

    def _samples(self, rectangle):
        """Convert a rectangle from pixels to samples."""
        return tuple(self.supersample * side for side in rectangle)

    def _cast_shadow(self, meshes, light):
        """Compute the shadow of meshes (vertices, lit, triangles) on the plane of the key tops, and return its rectangles, pixels.

        `lit` (vertex,) is true for vertices that face the light. The shadow outside the rectangles is 0; `restore` clears it.
        """
        boxes, blur = [], max(1, round(0.5 * _HAND_SHADOW_BLUR_M * self.scale))
        for vertices, lit, triangles in meshes:
            shadow = vertices - vertices[:, 2:] * (light / light[2]).astype(np.float32)
            pixels, inverse = self._project(shadow)
            fill_mask(self.hand_shadow[: (self.shadow_end + 1) // 2], pixels * np.float32(0.5), triangles, lit)
            box = self._rectangle(pixels, inverse, margin=4 * blur + 2)
            if box and box[1] < self.shadow_end:
                boxes.append((*box[:3], min(box[3], self.shadow_end)))
        boxes = _disjoint(boxes)
        self.shaded = [(x0 // 2, y0 // 2, (x1 + 1) // 2, (y1 + 1) // 2) for x0, y0, x1, y1 in boxes]
        for x0, y0, x1, y1 in self.shaded:
            soften(self.hand_shadow, x0, y0, x1, y1, blur)
            self.hand_shadow[y0:y1, x0:x1] *= np.float32(_HAND_SHADOW)
        return boxes

    def _draw_keys(self, key_depth_mm):
        """Redraw the piano in the rectangles of the pressed keys, and return these rectangles."""
        down = np.flatnonzero(np.asarray(key_depth_mm) > _MIN_DEPTH_MM)
        if not len(down):
            return []
        vertices, colours = self.piano.pressed(key_depth_mm)
        pixels, inverse = self._project(vertices)
        resting, resting_inverse = self.resting
        samples = pixels * np.float32(self.supersample)
        boxes = []
        for key in down:
            own = self.piano.key == key
            if not own.any():
                continue
            # The rectangle includes the key at rest: from an oblique view, the key at rest covers other pixels than the pressed key.
            box = self._rectangle(np.concatenate([pixels[own], resting[own]]), np.concatenate([inverse[own], resting_inverse[own]]))
            if box:
                self.work.clear(self._samples(box))
                self.work.draw(samples, inverse, colours, self.piano.triangles, self.piano.owner, self._samples(box))
                boxes.append(box)
        return boxes

    def _draw_hands(self, hands, light):
        """Draw the hands.

        Returns
        -------
        boxes : list of (left, top, right, bottom)
            Rectangles of the hands, pixels.
        meshes : list of (vertices, lit, triangles)
            Meshes for `_cast_shadow`.
        mirrored : list of (left, top, right, bottom)
            Rectangles of the mirror images of the hands, pixels.
        """
        boxes, meshes, mirrored = [], [], []
        for side, hand in enumerate(hands):
            if hand is None:
                continue
            side, (points, normals) = side % len(HANDS), hand
            mesh = self.hand_meshes[side]
            pixels, inverse = self._project(points)
            box = self._rectangle(pixels, inverse)
            if box is None:
                continue
            colours = shade(normals, self.albedo[side], light, self.scene.light.ambient)
            mirrored.append((points, colours, mesh.triangles))
            self.work.draw(pixels * np.float32(self.supersample), inverse, colours, mesh.triangles, self.owners[side], self._samples(box))
            boxes.append(box)
            meshes.append((points, normals @ light > -0.1, mesh.triangles))
        return boxes, meshes, (self.mirror.draw(self.work, mirrored, self._rectangle) if self.mirror else [])

    def _draw_covers(self, time_s):
        """Draw the scene's covers, and return their rectangles and meshes as in `_draw_hands`. Covers have no mirror image."""
        boxes, meshes = [], []
        triangles = np.array([(0, 1, 2), (0, 2, 3)], dtype=np.int32)
        for cover in self.scene.covers:
            corners = cover.corners_at(time_s)
            if corners is None:
                continue
            meshes.append((corners.astype(np.float32), np.ones(4, bool), triangles))
            pixels, inverse = self._project(corners)
            box = self._rectangle(pixels, inverse)
            if box:
                colours = 255.0 * np.outer([1.0, 0.98, 0.95, 0.97], cover.rgb).astype(np.float32)
                self.work.draw(
                    pixels * np.float32(self.supersample), inverse, colours, triangles, np.full(2, COVER, np.uint8), self._samples(box)
                )
                boxes.append(box)
        return boxes, meshes

    def draw(self, image, hands, key_depth_mm, time_s):
        """Draw the scene at one moment.

        Parameters
        ----------
        image : array (y, x, rgb 3), uint8
            A copy of `background`; the scene is drawn into it.
        hands : sequence of (vertices (vertex, 3), normals (vertex, 3)) or None, float32
            Left and right hand of each player, world frame, metres; None for a hand outside the scene.
        key_depth_mm : array (key 88,)
            Depth of each key at its front edge.
        time_s : float

        Returns
        -------
        rectangles : list of (left, top, right, bottom)
            Rectangles of drawn pixels. Their samples stay in `work`; call `restore` before the next call.

        Raises
        ------
        ValueError
            A hand, key or cover is behind the camera.
        """
        light = self.scene.light.at(time_s)[0].astype(np.float32)
        keys = self._draw_keys(key_depth_mm)
        hands, meshes, mirrored = self._draw_hands(hands, light)
        covers, sheets = self._draw_covers(time_s)
        moving = _disjoint(hands + covers + self._cast_shadow(meshes + sheets, light))
        for box in keys + mirrored:
            self._resolve(image, box)
        for box in moving:
            self._resolve(image, box, everything=False)
        self.drawn = keys + hands + covers + mirrored
        if self.lamp:
            self.lamp.apply(image, self.work.owner[:: self.supersample, :: self.supersample])
        return keys + mirrored + moving

    def visible(self, joints_m, side):
        """Return the visibility (joint,) of a hand's joints in the last drawn moment.

        A joint is visible if a sample within one pixel of the projected joint shows the hand.

        Parameters
        ----------
        joints_m : array (joint, xyz 3)
            World frame.
        side : int
            Index into `skeleton.HANDS`.
        """
        pixels, inverse = self._project(joints_m)
        width, height = self.size
        inside = (inverse > 0.0) & (pixels >= 0.0).all(axis=1) & (pixels[:, 0] < width) & (pixels[:, 1] < height)
        column, row = (np.clip(pixels[:, k], 0, self.size[k] - 1e-3).astype(int) for k in (0, 1))
        x = np.clip(column + _AROUND[0], 0, width - 1) * self.supersample
        y = np.clip(row + _AROUND[1], 0, height - 1) * self.supersample
        return inside & (self.work.owner[y, x] == LEFT_HAND + side).any(axis=0)

    def restore(self):
        """Restore the static scene after `draw`."""
        for box in self.drawn:
            self.work.copy_from(self.rest, self._samples(box))
        for x0, y0, x1, y1 in self.shaded:
            self.hand_shadow[y0:y1, x0:x1] = 0.0
        self.drawn, self.shaded = [], []


def _disjoint(boxes):
    """Replace overlapping rectangles by their bounding box until none overlap."""
    disjoint = []
    for box in boxes:
        while hit := next((b for b in disjoint if b[0] < box[2] and box[0] < b[2] and b[1] < box[3] and box[1] < b[3]), None):
            disjoint.remove(hit)
            box = min(hit[0], box[0]), min(hit[1], box[1]), max(hit[2], box[2]), max(hit[3], box[3])
        disjoint.append(box)
    return disjoint


def _pose_hands(renderer, performance):
    """Yield, for each frame, the joints and the meshes of the hands.

    Both are lists with one item for each hand: joints (joint 21, xyz 3), and (vertices, normals), or None for an absent hand.
    """
    for start in range(0, len(performance.time_s), _POSED_FRAMES):
        block = slice(start, start + _POSED_FRAMES)
        poses = [
            posed_frames(
                performance.rotation_rad[block, side].reshape(-1, 3 * N_ROTATIONS),
                performance.translation_m[block, side],
                performance.bone_scale[side],
                HANDS[side % len(HANDS)],
            )
            for side in range(len(performance.bone_scale))
        ]
        for frame, present in enumerate(performance.present[block]):
            hands = []
            for hand, scale in enumerate(performance.bone_scale):
                joints, orientation = poses[hand][0][frame], poses[hand][1][frame]
                side = hand % len(HANDS)
                arm = forearm_rotation(orientation[0], side)
                hands.append(skin(renderer.hand_meshes[side], joints, orientation, arm, float(scale)) if present[hand] else None)
            yield [pose[0][frame] for pose in poses], hands


def _extrapolate(hands, before, after, share):
    """Extrapolate the hands (vertices, normals) in time, by `share` of the time between two frames.

    The velocity is estimated from the frames `before` and `after`.
    """
    out = []
    for hand, previous, following in zip(hands, before, after, strict=True):
        if hand is None or previous is None or following is None:
            out.append(hand)
            continue
        out.append((hand[0] + np.float32(share / 2.0) * (following[0] - previous[0]), hand[1]))
    return out


def _map_in_order(function, jobs, threads):
    """Yield the results of a function for tuples of arguments, in order, computed by a number of threads; few results wait in memory."""
    if threads == 1:
        for job in jobs:
            yield function(*job)
        return
    with ThreadPoolExecutor(threads) as pool:
        pending = deque()
        for job in jobs:
            pending.append(pool.submit(function, *job))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def render_frames(performance, scene, width=1920, height=1080, supersample=2, motion_blur=True, grid_mm=3.0, seed=0, threads=1):
    """Render a performance frame by frame.

    Parameters
    ----------
    performance : Performance
        May contain several players: left and right hand of the first, then of the second (`scenarios.merge_performances`).
    scene : Scene
    width, height : int
        Size of the image, pixels; even numbers, as the video encoder requires.
    supersample : {1, 2}
        Samples per pixel along each axis.
    motion_blur : bool
        True: render a frame in which a hand moves fast as the mean of three images, from three moments of the exposure.
    grid_mm : float
        Grid spacing of the hand meshes, see `hand_mesh.build_hand_mesh`.
    seed : int
        Random seed of the sensor noise.
    threads : int
        Number of frames that are drawn at the same time. The frames do not depend on it. Each thread needs memory for a supersampled image,
        8 bytes a sample.

    Yields
    ------
    Frame
        One frame for each time in `performance.time_s`.
    """
    if threads < 1:
        raise ValueError(f"expected threads of at least 1, found {threads}; set it to the number of cores for rendering")
    renderer = Renderer(scene, width, height, supersample, grid_mm)
    idle = SimpleQueue()
    for painter in (renderer, *(renderer.twin() for _ in range(threads - 1))):
        idle.put(painter)
    rng = np.random.default_rng(seed)
    sigma, values = scene.appearance.noise_sigma, width * height * 3 + _NOISE_SPARE
    noise = np.clip(np.round(rng.normal(0.0, sigma, values)), -127, 127).astype(np.int8) if sigma else None

    def jobs():
        before, now, joints = None, None, None
        for frame, (next_joints, after) in enumerate(_pose_hands(renderer, performance)):
            if now is not None:
                yield frame - 1, joints, before or now, now, after, int(rng.integers(_NOISE_SPARE))
            before, now, joints = now, after, next_joints
        if now is not None:
            yield len(performance.time_s) - 1, joints, before or now, now, now, int(rng.integers(_NOISE_SPARE))

    def draw(frame, joints, before, now, after, start):
        painter = idle.get()
        try:
            image, visible = _draw_frame(painter, performance, frame, joints, before, now, after, motion_blur)
        finally:
            idle.put(painter)
        _, gain = scene.light.at(float(performance.time_s[frame]))
        return Frame(expose(image, gain, None if noise is None else noise[start : start + image.size]), visible)

    yield from _map_in_order(draw, jobs(), threads)


def _draw_frame(renderer, performance, frame, joints, before, now, after, motion_blur):
    """Draw a frame without noise.

    Parameters
    ----------
    renderer : Renderer
    performance : Performance
    frame : int
    joints : list of array (joint 21, xyz 3)
        Joints of each hand, world frame, metres.
    before, now, after : list of (vertices, normals) or None
        Hands at the previous frame, at this frame and at the next frame; see `_pose_hands`.
    motion_blur : bool
        Same as in `render_frames`.

    Returns
    -------
    image : array (y, x, rgb 3), uint8
    visible : array (hand, joint 21), bool
    """
    time_s = float(performance.time_s[frame])
    travel = max((np.abs(b[0] - a[0]).max() / 2.0 for a, b in zip(before, after, strict=True) if a and b), default=0.0)
    blurred = motion_blur and SHUTTER * travel * renderer.scale > MIN_BLUR_PX
    images = []
    for moment in _MOMENTS if blurred else (0.0,):
        hands = _extrapolate(now, before, after, SHUTTER * moment) if moment else now
        image = renderer.background.copy()
        boxes = renderer.draw(image, hands, performance.key_depth_mm[frame], time_s)
        if moment == 0.0:
            visible = np.zeros((len(now), N_JOINTS), bool)
            for side, hand in enumerate(now):
                if hand is not None:
                    visible[side] = renderer.visible(joints[side], side % len(HANDS))
        renderer.restore()
        images.append((image, boxes))
    image = images[-1][0]
    drawn = [box for _, boxes in images for box in boxes]
    if blurred and drawn:
        x0, y0, x1, y1 = (f(box[k] for box in drawn) for k, f in enumerate((min, min, max, max)))
        total = sum(p[y0:y1, x0:x1].astype(np.uint16) for p, _ in images)
        image[y0:y1, x0:x1] = (total + len(images) // 2) // len(images)
    return image, visible


def render_video(
    path,
    performance,
    scene,
    fps=30.0,
    width=1920,
    height=1080,
    supersample=2,
    audio=None,
    seed=0,
    crf=23,
    preset="veryfast",
    grid_mm=3.0,
    threads=1,
):
    """Render a performance to a video with audio.

    Parameters
    ----------
    path : path ending in .mp4
    performance : Performance
    scene : Scene
    fps : float
        Nominal frame rate of the encoder. The frames are presented at `performance.time_s`.
    audio : (samples (n,) or (n, channel), float32; rate_hz), optional
        Sample 0 is at the first frame.
    width, height, supersample, seed, grid_mm, threads
        Same as in `render_frames`.
    crf, preset
        Same as in `media.write.VideoWriter`.

    Returns
    -------
    visible : array (frame, hand 2, joint 21), bool
        See `Frame`.
    """
    visible = np.zeros((*performance.present.shape, N_JOINTS), bool)
    with VideoWriter(path, width, height, fps, crf, preset, audio) as video:
        drawn = render_frames(performance, scene, width, height, supersample, grid_mm=grid_mm, seed=seed, threads=threads)
        for index, (frame, time_s) in enumerate(zip(progress(drawn, len(visible), "frames"), performance.time_s, strict=True)):
            video.write(frame.image, float(time_s))
            visible[index] = frame.visible
    return visible
