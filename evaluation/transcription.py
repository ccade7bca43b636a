"""Measure the note onset F1 of a transcription engine on recordings with ground truth.

    python evaluation/transcription.py recordings/*.mp3

Each recording needs a text file of the same name in the same folder. Each line of the text file contains onset (s), offset (s) and MIDI
pitch of a note.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from handroll.media.audio import load_audio
from handroll.metrics.transcription import note_scores
from handroll.music.transcribe import transcribe


def read_truth(path):
    """Read reference notes from a text file. Their velocities are unknown, and are set to 64."""
    onset_s, offset_s, pitch = np.loadtxt(path, usecols=(0, 1, 2), ndmin=2).T
    return {"onset_s": onset_s, "key_offset_s": offset_s, "pitch": pitch.astype(int), "velocity": np.full(len(pitch), 64)}


def main():
    """Transcribe recordings, and print their scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="+", help="audio files")
    parser.add_argument("--engine", default="transkun", help="transcription engine (default: %(default)s)")
    options = parser.parse_args()
    print(f"{'recording':<24}{'notes':>8}{'found':>8}{'precision':>11}{'recall':>9}{'onset F1':>10}{'x real time':>13}")
    for path in options.recordings:
        reference = read_truth(path.with_suffix(".txt"))
        samples, rate_hz = load_audio(path)
        started = time.perf_counter()
        notes, _, _ = transcribe(samples, rate_hz, options.engine, {})
        factor = (time.perf_counter() - started) / (len(samples) / rate_hz)
        scores = note_scores(reference, notes)
        counts = f"{len(reference['pitch']):>8}{len(notes['pitch']):>8}"
        print(
            f"{path.stem:<24}{counts}{scores['precision']:>11.4f}{scores['recall']:>9.4f}{scores['f1']:>10.4f}{factor:>13.2f}", flush=True
        )


if __name__ == "__main__":
    main()
