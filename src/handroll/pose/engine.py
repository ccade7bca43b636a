"""Select a pose engine by name. A pose engine estimates MANO poses from detections.

A new engine is a module that implements `Engine`, and an entry in `ENGINES`.
"""

from importlib import import_module
from typing import Protocol

from handroll.camera import joints_in_keyboard_frame
from handroll.logs import progress as log_progress

VERSION = 1
"""Version of the results of this module, increased manually when the same poses of an engine give a different table or refinement."""

ENGINES = {"landmarks": "handroll.pose.landmarks", "hamer": "handroll.pose.hamer.engine"}
"""Module of each engine by name; imported only when used, because engines need heavy libraries."""


class Engine(Protocol):
    """Interface that the module of an engine implements.

    Attributes
    ----------
    VERSION : int
        Version of the poses, increased manually when the same input gives other poses.
    OPTIONS : dict
        Default value of every option, by name.
    USES_KEY_PRESSES : bool
        Whether the engine has `refine`, which uses the keys held down.
    """

    VERSION: int
    OPTIONS: dict
    USES_KEY_PRESSES: bool

    def fit(self, video_path, detections, camera, extrinsics, options, progress):
        """Estimate the pose of every detected hand.

        Parameters
        ----------
        video_path : path
            The video. Not every engine reads its frames.
        detections : dict of str to array (frame, hand 2, ...)
            Columns of `tables.DETECTIONS`, arranged by `tables.by_frame`; NaN where a hand is not found.
        camera : handroll.camera.Camera
            Camera of the displayed frames, whose pixels are the unit of the detections.
        extrinsics : handroll.camera.Extrinsics or None
            Pose of the camera in the keyboard frame; None if no keyboard is registered.
        options : dict
            Options of the engine; an unknown option raises a ValueError.
        progress : callable
            (items, total, unit) -> iterator over the items; see `handroll.logs.progress`.

        Returns
        -------
        columns : dict of str to array (frame, hand 2, ...)
            Columns of `tables.POSE` without `joints_keyboard_mm`; NaN where a hand is not found. Left hands are not mirrored in
            the camera frame. Rotations are continuous in time. `joints_m` is computed from rotation, translation and shape.
        info : dict of str to str
            Provenance of the poses for the table's metadata, such as the template and the weights.
        """

    def joints(self, options):
        """Return the function that computes joints from a pose of this engine.

        Parameters
        ----------
        options : dict
            Options of the engine; only those that locate its hand model are used.

        Returns
        -------
        callable
            (rotation (..., 48), translation_m (..., 3), betas (..., 10), bone_scale, hand) -> joints_m (..., 21, 3), with the
            conventions of `handroll.hand.kinematics.hand_joints`.
        """

    def refine(self, pose, detections, camera, extrinsics, pressed_mm, progress):
        """Estimate the poses again, from the detections and the keys held down by each fingertip.

        Parameters
        ----------
        pose : dict of str to array (frame, hand 2, ...)
            Result of `fit`.
        detections, camera, extrinsics, progress
            See `fit`.
        pressed_mm : array (frame, hand 2, finger 5)
            For each fingertip that holds a key down: height of the top of this key above the white keys, when the key is not pressed.
            NaN for other fingertips.

        Returns
        -------
        dict of str to array (frame, hand 2, ...)
            Same columns as the result of `fit`.
        """

    def skeleton(self, options):
        """Return the hand model of this engine in torch.

        Parameters
        ----------
        options : dict
            See `joints`.

        Returns
        -------
        handroll.pose.hand_models.Skeleton
            The hand model of `joints`, as a right hand without translation.
        """


def load_engine(name):
    """Import the module of an engine; raise ValueError for an unknown name."""
    if name not in ENGINES:
        raise ValueError(f"pose engine: expected one of {', '.join(sorted(ENGINES))}, found {name!r}; set it in the config as pose.engine")
    return import_module(ENGINES[name])


def fit_pose(engine, video_path, detections, camera, extrinsics=None, options=None, scratch=None, progress=log_progress):
    """Estimate the hand poses of a video with the named engine.

    Parameters
    ----------
    engine : str
        One of `ENGINES`.
    video_path, detections, camera, extrinsics, options, progress
        See `Engine.fit`.
    scratch : path, optional
        Folder for intermediate results of an engine, from which an interrupted job resumes.

    Returns
    -------
    columns : dict of str to array (frame, hand 2, ...)
        Columns of `tables.POSE`.
    info : dict of str to str
        Keys `engine`, `engine_version`, and the provenance from `Engine.fit`.

    Raises
    ------
    ValueError
        The engine is unknown, or an option is unknown or invalid.
    """
    module = load_engine(engine)
    options = dict(options or {})
    if "scratch" in module.OPTIONS:
        options["scratch"] = scratch
    columns, extra = module.fit(video_path, detections, camera, extrinsics, options, progress)
    columns["joints_keyboard_mm"] = joints_in_keyboard_frame(columns["joints_m"], extrinsics)
    return columns, {"engine": engine, "engine_version": str(module.VERSION), **extra}


def refine_pose(engine, pose, detections, camera, extrinsics, pressed_mm, progress=log_progress):
    """Estimate the poses of a video again, given the keys that fingertips hold down, with the engine of the first estimate.

    Parameters
    ----------
    engine : str
        One of `ENGINES`.
    pose, detections, camera, extrinsics, pressed_mm, progress
        See `Engine.refine`.

    Returns
    -------
    dict of str to array (frame, hand 2, ...)
        Columns of `tables.POSE`.
    """
    columns = load_engine(engine).refine(pose, detections, camera, extrinsics, pressed_mm, progress)
    columns["joints_keyboard_mm"] = joints_in_keyboard_frame(columns["joints_m"], extrinsics)
    return columns


def refine_over_time(engine, pose, detections, camera, extrinsics, settings, pressed_mm=None, options=None, progress=log_progress):
    """Refine the poses of all frames of a video together; see `handroll.pose.temporal.refine_over_time`.

    Parameters
    ----------
    engine : str
        One of `ENGINES`: the engine that estimated the poses.
    pose, detections, camera, extrinsics, pressed_mm, progress
        See `Engine.refine`; extrinsics and pressed_mm may be None.
    settings : dict
        Fields of `handroll.pose.temporal.TemporalSettings`.
    options : dict, optional
        See `Engine.skeleton`.

    Returns
    -------
    dict of str to array (frame, hand 2, ...)
        Columns of `tables.POSE`.
    """
    from handroll.pose import temporal

    skeleton = load_engine(engine).skeleton(dict(options or {}))
    settings = temporal.TemporalSettings(**settings)
    return temporal.refine_over_time(pose, detections, camera, extrinsics, skeleton, settings, pressed_mm, progress)
