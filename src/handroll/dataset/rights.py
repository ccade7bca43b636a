"""Publication rights: which videos a published dataset may contain, by the performer's permission and the licence of the recording."""

import re
from collections import Counter
from enum import StrEnum
from pathlib import Path

import numpy as np

# Pattern of the address of a Creative Commons licence. Groups 4 and 5 are its name and version.
_LICENCE_PATH = re.compile(r"^(https?://)?(www\.)?creativecommons\.org/(licenses|publicdomain)/([a-z-]+)/(\d\.\d)(/.*)?$")

# Other names of licences, and their keys. A name without a version, such as `CC BY`, is not listed, because it may mean several licences.
_ALIASES = {"cc0": "cc0-1.0", "cc-zero-1.0": "cc0-1.0"}


class Withheld(StrEnum):
    """Reason why the clips of a video are not published."""

    PERMISSION_REFUSED = "permission_refused"
    PERMISSION_UNKNOWN = "permission_unknown"


def licence_key(licence):
    """Normalise the name of a licence: lower case, parts joined by `-`. Addresses of Creative Commons licences become names.

    `CC BY 4.0`, `cc-by-4.0`, `CC_BY_4.0` and `https://creativecommons.org/licenses/by/4.0/` have the same key.

    Parameters
    ----------
    licence : str or None

    Returns
    -------
    str, empty without a licence
    """
    key = "-".join(re.split(r"[\s_-]+", (licence or "").strip().lower())).strip("-")
    match = _LICENCE_PATH.match(key)
    if match:
        key = f"cc-{match[4]}-{match[5]}"
    return _ALIASES.get(key, key)


def withheld(permission, licence, permissions, licences):
    """Return the reason why a video may not be published, or None.

    Parameters
    ----------
    permission : str
        "granted", "unknown" or "refused".
    licence : str or None
        Licence of the recording, as its publisher states it.
    permissions : iterable of str
        Values of `permission` that allow publication without a licence.
    licences : iterable of str
        Licences that allow publication if the permission is unknown.

    Returns
    -------
    Withheld or None
        None: the video may be published. A refused permission overrules every licence.
    """
    if permission == "refused":
        return Withheld.PERMISSION_REFUSED
    key = licence_key(licence)
    if permission in permissions or (key and key in {licence_key(name) for name in licences}):
        return None
    return Withheld.PERMISSION_UNKNOWN


def published_source(info):
    """Return the source of a video for publication: its address, or the name of a local file.

    The folder of a local file is omitted: it is private, and it differs between machines.

    Parameters
    ----------
    info : dict
        Content of info.json; see `handroll.acquire.download.fetch`.
    """
    return info["source"] if info["kind"] == "url" else Path(info["source"]).name


def withhold(clips, rights, permissions, licences):
    """Remove the clips of videos that may not be published, and count them.

    Parameters
    ----------
    clips : dict of str to array (window,)
        Columns of `handroll.tables.CLIPS`, of all videos.
    rights : dict of (str, str) to (str, str or None)
        Permission and licence of each (subject, video).
    permissions, licences : iterable of str
        Same as in `withheld`.

    Returns
    -------
    clips : dict of str to array (window,)
        The clips of videos that may be published.
    left_out : dict of str to dict
        For each `Withheld` reason that occurs: `videos`, number of videos with accepted clips; `clips`, number of accepted clips;
        `seconds`, duration of these clips, where time that two clips share counts once.
    """
    reasons = {name: withheld(permission, licence, permissions, licences) for name, (permission, licence) in rights.items()}
    names = list(zip(clips["subject"], clips["video"], strict=True))
    published = np.array([reasons[name] is None for name in names], dtype=bool)
    left_out, covered_to_s = {}, {}
    for row in np.lexsort((clips["start_s"],)):
        if published[row] or not clips["accepted"][row]:
            continue
        name, start_s, end_s = names[row], float(clips["start_s"][row]), float(clips["end_s"][row])
        counts = left_out.setdefault(str(reasons[name]), Counter(videos=0, clips=0, seconds=0.0))
        seconds = end_s - max(start_s, covered_to_s.get(name, start_s))
        counts.update(videos=int(name not in covered_to_s), clips=1, seconds=max(seconds, 0.0))
        covered_to_s[name] = max(end_s, covered_to_s.get(name, end_s))
    kept = {name: values[published] for name, values in clips.items()}
    return kept, {reason: {**counts, "seconds": round(counts["seconds"], 3)} for reason, counts in sorted(left_out.items())}
