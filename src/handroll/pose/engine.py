"""The engines that turn detections into MANO poses, by name. A new engine is a module with `VERSION` and `fit`, and a line here."""

from importlib import import_module
from typing import Protocol

from handroll.logs import progress as log_progress

ENGINES = {"landmarks": "handroll.pose.landmarks"}
"""Name of each engine and the module that holds it; imported when it is used, since engines need heavy libraries."""


class Engine(Protocol):
    """What a module must offer to be an engine.

    Attributes
    ----------
    VERSION : int
        Raised by hand when the same input gives other poses.
    """

    VERSION: int

    def fit(self, video_path, detections, camera, options, progress):
        """Pose every hand that the detections found.

        Parameters
        ----------
        video_path : path
            For engines that look at the picture.
        detections : dict of str to array (frame, hand 2, ...)
            `schema.DETECTIONS` by `schema.by_frame`; NaN where nothing is found.
        camera : handroll.camera.Camera
            Of the shown picture, whose pixels the detections are in.
        options : dict
            The engine's own; an unknown one is a ValueError.
        progress : callable
            (items, total, unit) -> iterator over the items, as `handroll.logs.progress`.

        Returns
        -------
        columns : dict of str to array (frame, hand 2, ...)
            `schema.POSE`: left hands are true left hands in the camera frame, rotations continuous in time, `joints_m` what
            rotation, translation and shape give, NaN where not found.
        info : dict of str to str
            What else made the poses (template, weights), for the table's metadata.
        """


def load_engine(name):
    """The module of an engine; ValueError with the names that exist where there is none of this name."""
    if name not in ENGINES:
        raise ValueError(f"pose engine: expected one of {', '.join(sorted(ENGINES))}, found {name!r}; set it in the config as pose.engine")
    return import_module(ENGINES[name])


def fit_pose(engine, video_path, detections, camera, options=None, progress=log_progress):
    """Pose the hands of a video with the engine of this name.

    Parameters
    ----------
    engine : str
        One of `ENGINES`.
    video_path, detections, camera, options, progress
        As of `Engine.fit`.

    Returns
    -------
    columns : dict of str to array (frame, hand 2, ...)
        `schema.POSE`.
    info : dict of str to str
        engine, engine_version, focal_px, focal_source, and what the engine adds.

    Raises
    ------
    ValueError
        No engine has this name, or it refuses an option.
    """
    module = load_engine(engine)
    columns, extra = module.fit(video_path, detections, camera, dict(options or {}), progress)
    info = {
        "engine": engine,
        "engine_version": str(module.VERSION),
        "focal_px": f"{camera.focal_px:.10g}",
        "focal_source": camera.focal_source,
        **extra,
    }
    return columns, info
