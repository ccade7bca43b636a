"""Which videos may leave the machine: by the performer's permission, and by the licence of the recording."""

import re
from collections import Counter
from enum import StrEnum
from pathlib import Path

import numpy as np

_LICENCE_PATH = re.compile(r"^(https?://)?(www\.)?creativecommons\.org/(licenses|publicdomain)/([a-z-]+)/(\d\.\d)(/.*)?$")
_ALIASES = {"cc0": "cc0-1.0", "cc-zero-1.0": "cc0-1.0"}
"""Other names of licences. Names that leave the version open, such as `CC BY`, are no names of one licence."""


class Withheld(StrEnum):
    """Why the clips of a video stay on the machine; reports name it."""

    PERMISSION_REFUSED = "permission_refused"
    PERMISSION_UNKNOWN = "permission_unknown"


def licence_key(licence):
    """A licence's name without its spelling: lower case, parts joined by `-`; addresses of Creative Commons become the name.

    `CC BY 4.0`, `cc-by-4.0`, `CC_BY_4.0` and `https://creativecommons.org/licenses/by/4.0/` have the same key.

    Parameters
    ----------
    licence : str or None

    Returns
    -------
    str, empty where there is no licence
    """
    key = "-".join(re.split(r"[\s_-]+", (licence or "").strip().lower())).strip("-")
    match = _LICENCE_PATH.match(key)
    if match:
        key = f"cc-{match[4]}-{match[5]}"
    return _ALIASES.get(key, key)


def withheld(permission, licence, permissions, licences):
    """Why a video may not leave the machine.

    Parameters
    ----------
    permission : str
        granted, unknown or refused.
    licence : str or None
        Of the recording, as its publisher states it.
    permissions : iterable of str
        Permissions that are enough by themselves.
    licences : iterable of str
        Licences that are enough where the permission is unknown.

    Returns
    -------
    Withheld or None
        None where it may. What is refused never may, whatever its licence.
    """
    if permission == "refused":
        return Withheld.PERMISSION_REFUSED
    key = licence_key(licence)
    if permission in permissions or (key and key in {licence_key(name) for name in licences}):
        return None
    return Withheld.PERMISSION_UNKNOWN


def published_source(info):
    """Where a video came from, as the dataset says it: its address, or the name of a local file.

    Where a file lay on this machine is nobody's business, and would make the same dataset differ from place to place.

    Parameters
    ----------
    info : dict
        What info.json holds; see `handroll.acquire.download.fetch`.
    """
    return info["source"] if info["kind"] == "url" else Path(info["source"]).name


def withhold(clips, rights, permissions, licences):
    """Leave out the clips of videos that may not leave the machine, and count them.

    Parameters
    ----------
    clips : dict of str to array (windows,)
        `handroll.tables.CLIPS` of all videos.
    rights : dict of (str, str) to (str, str or None)
        Permission and licence of each (subject, video).
    permissions, licences : iterable of str
        See `withheld`.

    Returns
    -------
    clips : dict of str to array (windows,)
        The windows of the other videos.
    left_out : dict of str to dict
        `Withheld` to `videos` and `clips` (those with accepted clips, and these) and `seconds` of the video that they cover, overlaps
        counted once. Reasons without any are left out.
    """
    reasons = {name: withheld(permission, licence, permissions, licences) for name, (permission, licence) in rights.items()}
    names = list(zip(clips["subject"], clips["video"], strict=True))
    leaves = np.array([reasons[name] is None for name in names], dtype=bool)
    left_out, covered_to_s = {}, {}
    for row in np.lexsort((clips["start_s"],)):
        if leaves[row] or not clips["accepted"][row]:
            continue
        name, start_s, end_s = names[row], float(clips["start_s"][row]), float(clips["end_s"][row])
        counts = left_out.setdefault(str(reasons[name]), Counter(videos=0, clips=0, seconds=0.0))
        seconds = end_s - max(start_s, covered_to_s.get(name, start_s))
        counts.update(videos=int(name not in covered_to_s), clips=1, seconds=max(seconds, 0.0))
        covered_to_s[name] = max(end_s, covered_to_s.get(name, end_s))
    kept = {name: values[leaves] for name, values in clips.items()}
    return kept, {reason: {**counts, "seconds": round(counts["seconds"], 3)} for reason, counts in sorted(left_out.items())}
