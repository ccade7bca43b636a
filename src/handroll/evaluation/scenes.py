"""Registration of the keyboard in simulated scenes of several kinds."""

KINDS = ()


def score_scene(kind, seed): ...


def summarise_scenes(kind, scenes): ...
