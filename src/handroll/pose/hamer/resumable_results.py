"""Keep the network's outputs of a video in chunks while a job runs, so that a killed job resumes where it stopped."""

import json
import logging
import zipfile
from pathlib import Path

import numpy as np

from handroll.provenance import atomic_path

LOGGER = logging.getLogger("handroll")

CHUNK_FRAMES = 2048
"""Number of frames in a chunk: about a minute of video, the maximum that a killed job loses."""


class ResumableResults:
    """Store of the finished chunks of a job. A chunk contains the outputs for `CHUNK_FRAMES` consecutive frames.

    Parameters
    ----------
    folder : path or None
        Folder that only this job uses; with None, nothing is stored.
    made_by : dict
        All values that determine the outputs, such as the hash of the weights. Stored chunks with other values are removed.
    shape : (frames, hands, outputs)
        Shape of the outputs of the whole video.
    """

    def __init__(self, folder, made_by, shape):
        self.folder = None if folder is None else Path(folder)
        self.shape = shape
        self.count = -(-shape[0] // CHUNK_FRAMES)
        if self.folder is None:
            return
        record, text = self.folder / "made_by.json", json.dumps({**made_by, "shape": list(shape)}, sort_keys=True)
        if not record.is_file() or record.read_text(encoding="utf-8") != text:
            for old in self.folder.glob("*.npz"):
                old.unlink()
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_path(record) as temporary:
                temporary.write_text(text, encoding="utf-8")

    def frames_of(self, chunk):
        """Return the frame range of a chunk as a slice."""
        return slice(chunk * CHUNK_FRAMES, min((chunk + 1) * CHUNK_FRAMES, self.shape[0]))

    def load(self, numbers):
        """Copy the stored chunks into the array `numbers` (frame, hand, output), and return the set of their indices."""
        done = set()
        for chunk in range(self.count if self.folder else 0):
            path = self._path(chunk)
            if not path.is_file():
                continue
            try:
                with np.load(path, allow_pickle=False) as file:
                    numbers[self.frames_of(chunk)] = file["numbers"]
                done.add(chunk)
            except (OSError, ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile) as error:
                # MemoryError: a damaged header can declare an array of any size.
                LOGGER.warning("%s: damaged (%s); its frames are computed again", path, error)
                path.unlink()
        return done

    def save(self, chunk, numbers):
        """Store the part of the array `numbers` (frame, hand, output) that belongs to a chunk."""
        if self.folder:
            with atomic_path(self._path(chunk)) as temporary:
                np.savez(temporary, numbers=numbers[self.frames_of(chunk)])

    def _path(self, chunk):
        """Return the path of a chunk's file."""
        return self.folder / f"{chunk:06d}.npz"
