"""The folder of a download that is under way: what has come, and the formats that were chosen, so that it goes on after any break.

The folder lies beside the video and is named `.download`; Snakemake does not know it, so it outlives a job that is killed.
"""

import hashlib
import json
import shutil
from pathlib import Path

from handroll.storage import write_json

FOLDER = ".download"
"""Name of the folder, beside the video."""

VERSIONS = 8
"""How many files' versions are kept: picture and sound need two, while a stream may come in thousands of parts."""

_STATE = "state.json"


class Partial:
    """A download under way.

    Attributes
    ----------
    folder : Path
    formats : dict or None
        What was chosen when the download began: `format_id`, `description`, `parts` (a dict a stream); None before that.
    """

    def __init__(self, folder, request):
        self.folder, self._request = Path(folder), request
        self.formats, self._versions = None, {}

    @classmethod
    def open(cls, folder, **request):
        """Go on with the download in a folder, or start one there: where it is of another request, or cannot be read.

        Parameters
        ----------
        folder : path
        **request : str or int
            What is downloaded: source and settings that choose the formats.
        """
        partial = cls(folder, request)
        try:
            state = json.loads((partial.folder / _STATE).read_text(encoding="utf-8"))
            known = state["request"] == request
            partial.formats, partial._versions = state["formats"], dict(state["versions"])
        except (OSError, ValueError, KeyError, TypeError):
            known = False
        if not known:
            partial.restart()
        return partial

    def save(self):
        """Write what is known beside what has come."""
        write_json(self.folder / _STATE, {"request": self._request, "formats": self.formats, "versions": self._versions})

    def choose(self, formats):
        """Take note of the formats; what has come of others, or of files that have changed, is thrown away."""
        if self.formats is not None and self.formats != formats:
            self.restart()
        self.formats = formats
        self.save()

    def restart(self):
        """Throw away what has come."""
        self.drop()
        self.folder.mkdir(parents=True)
        self.formats, self._versions = None, {}
        self.save()

    def version_of(self, url):
        """What the server called the version of a file of which a part has come; None where it called it nothing."""
        return self._versions.get(_key(url))

    def note_version(self, url, version):
        """Take note of the version of a file that is coming; None: it has no name."""
        if self.version_of(url) != version:
            self._versions[_key(url)] = version
            self._versions = dict(list(self._versions.items())[-VERSIONS:])
            self.save()

    def size_bytes(self):
        """Bytes that have come so far."""
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.name != _STATE)

    def drop(self):
        """Remove the folder."""
        if self.folder.is_symlink():
            self.folder.unlink()
        elif self.folder.exists():
            shutil.rmtree(self.folder)


def _key(url):
    """A file's name in the state: its address may hold what gives access to it."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]
