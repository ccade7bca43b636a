"""The engines that turn detections into MANO poses, by name. A new engine is a module that offers `Engine`, and a line here."""

from importlib import import_module
from typing import Protocol

from handroll.camera import joints_in_keyboard_frame
from handroll.logs import progress as log_progress

VERSION = 1
"""Raised by hand when the same poses of an engine give another table, or another refinement."""

ENGINES = {"landmarks": "handroll.pose.landmarks", "hamer": "handroll.pose.hamer.engine"}
"""Name of each engine and the module that holds it; imported when it is used, since engines need heavy libraries."""


class Engine(Protocol):
    """What a module must offer to be an engine.

    Attributes
    ----------
    VERSION : int
        Raised by hand when the same input gives other poses.
    OPTIONS : dict
        Every option with its default.
    KNOWS_KEYS : bool
        `refine` makes use of the keys held down; else it is not called.
    """

    VERSION: int
    OPTIONS: dict
    KNOWS_KEYS: bool

    def fit(self, video_path, detections, camera, extrinsics, options, progress):
        """Pose every hand that the detections found.

        Parameters
        ----------
        video_path : path
            For engines that look at the picture.
        detections : dict of str to array (frame, hand 2, ...)
            `tables.DETECTIONS` by `schema.by_frame`; NaN where nothing is found.
        camera : handroll.camera.Camera
            Of the shown picture, whose pixels the detections are in.
        extrinsics : handroll.camera.Extrinsics or None
            Where it is over the keys; None where no keyboard is registered.
        options : dict
            The engine's own; an unknown one is a ValueError.
        progress : callable
            (items, total, unit) -> iterator over the items, as `handroll.logs.progress`.

        Returns
        -------
        columns : dict of str to array (frame, hand 2, ...)
            `tables.POSE` without `joints_keyboard_mm`: left hands are true left hands in the camera frame, rotations continuous
            in time, `joints_m` what rotation, translation and shape give, NaN where not found.
        info : dict of str to str
            What else made the poses (template, weights), for the table's metadata.
        """

    def joints(self, options):
        """How joints follow from a pose of this engine.

        Parameters
        ----------
        options : dict
            Of the engine's own, those that say where its hand model is.

        Returns
        -------
        callable
            (rotation (..., 48), translation_m (..., 3), betas (..., 10), bone_scale, hand) -> joints_m (..., 21, 3), with the
            conventions of `handroll.hand.kinematics.hand_joints`.
        """

    def refine(self, pose, detections, camera, extrinsics, pressed_mm, progress):
        """Pose the hands again, now that it is known which fingertip holds which key.

        Parameters
        ----------
        pose : dict of str to array (frame, hand 2, ...)
            What `fit` gave.
        detections, camera, extrinsics, progress
            As of `fit`.
        pressed_mm : array (frame, hand 2, finger 5)
            Height above the white keys of the top at rest of the key that a fingertip holds down; NaN where it holds none.

        Returns
        -------
        dict of str to array (frame, hand 2, ...)
            As of `fit`.
        """

    def skeleton(self, options):
        """The hand whose poses `fit` gives, in torch.

        Parameters
        ----------
        options : dict
            As of `joints`.

        Returns
        -------
        handroll.pose.skeletons.Skeleton
            The right hand of what `joints` gives, without translation.
        """


def load_engine(name):
    """The module of an engine; ValueError with the names that exist where there is none of this name."""
    if name not in ENGINES:
        raise ValueError(f"pose engine: expected one of {', '.join(sorted(ENGINES))}, found {name!r}; set it in the config as pose.engine")
    return import_module(ENGINES[name])


def fit_pose(engine, video_path, detections, camera, extrinsics=None, options=None, scratch=None, progress=log_progress):
    """Pose the hands of a video with the engine of this name.

    Parameters
    ----------
    engine : str
        One of `ENGINES`.
    video_path, detections, camera, extrinsics, options, progress
        As of `Engine.fit`.
    scratch : path, optional
        A folder in which an engine may keep what is finished, so that a job that is killed goes on from there.

    Returns
    -------
    columns : dict of str to array (frame, hand 2, ...)
        `tables.POSE`.
    info : dict of str to str
        engine, engine_version, and what the engine adds.

    Raises
    ------
    ValueError
        No engine has this name, or it refuses an option.
    """
    module = load_engine(engine)
    options = dict(options or {})
    if "scratch" in module.OPTIONS:
        options["scratch"] = scratch
    columns, extra = module.fit(video_path, detections, camera, extrinsics, options, progress)
    columns["joints_keyboard_mm"] = joints_in_keyboard_frame(columns["joints_m"], extrinsics)
    return columns, {"engine": engine, "engine_version": str(module.VERSION), **extra}


def refine_pose(engine, pose, detections, camera, extrinsics, pressed_mm, progress=log_progress):
    """Refine the poses of a video where fingertips hold keys down, with the engine that made them.

    Parameters
    ----------
    engine : str
        One of `ENGINES`.
    pose, detections, camera, extrinsics, pressed_mm, progress
        As of `Engine.refine`.

    Returns
    -------
    dict of str to array (frame, hand 2, ...)
        `tables.POSE`.
    """
    columns = load_engine(engine).refine(pose, detections, camera, extrinsics, pressed_mm, progress)
    columns["joints_keyboard_mm"] = joints_in_keyboard_frame(columns["joints_m"], extrinsics)
    return columns


def refine_over_time(engine, pose, detections, camera, extrinsics, settings, pressed_mm=None, options=None, **how):
    """Refine the poses of a video as parts of one motion; see `handroll.pose.temporal.refine_over_time`.

    Parameters
    ----------
    engine : str
        One of `ENGINES`: the one that made the poses.
    pose, detections, camera, extrinsics, pressed_mm
        As of `Engine.refine`; extrinsics and pressed_mm may be None.
    settings : dict
        Values of `handroll.pose.temporal.TemporalSettings`.
    options : dict, optional
        As of `Engine.skeleton`.
    **how
        progress, device, threads.

    Returns
    -------
    dict of str to array (frame, hand 2, ...)
        `tables.POSE`.
    """
    from handroll.pose import temporal

    skeleton = load_engine(engine).skeleton(dict(options or {}))
    settings = temporal.TemporalSettings(**settings)
    return temporal.refine_over_time(pose, detections, camera, extrinsics, skeleton, settings, pressed_mm, **how)
