"""Measure how often the MIDI check detects simulated faults in MIDI files, and how often its findings are false.

    python evaluation/check_midi.py --seeds 8
    python evaluation/check_midi.py --seeds 0 --recordings FOLDER

Data: simulated performances of 30 s, whose dynamics are widened by a factor of 2.5 to resemble human players, and recordings with ground
truth. A recording is an audio file next to a text file of the same name. Each line of the text file contains onset (s), offset (s) and
MIDI pitch.

Each fault is simulated three times: in the true notes, compared with audio and transcription; in the true notes, compared with audio
alone; and in the transcription, compared with audio alone. The script prints how often each fault is reported, and all other findings.
Notes that a transposition moves beyond the keyboard are moved to the last key, and therefore also have a wrong pitch.

The ground truth of recordings has no velocities. Its notes get the velocities of the transcription, and velocity faults are not simulated.
Offset and drift between ground truth and audio are printed, and are corrected before faults are simulated.
"""

import argparse
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from handroll.config.pipeline import MidiCheck
from handroll.media.audio import load_audio
from handroll.music.alignment.midi_audio_scores import measure
from handroll.music.alignment.midi_selection import Finding, Limits, decide
from handroll.music.alignment.note_matching import align, match_notes
from handroll.music.alignment.time_map import TimeMap, map_times
from handroll.music.notes import note_table, pedal_table
from handroll.music.synthesis import synthesise
from handroll.music.transcribe import transcribe
from handroll.simulator.video import AUDIO_RATE_HZ, prepare_take
from handroll.storage import read_table, write_table
from handroll.tables import NOTES
from transcription import read_truth

# Factor that scales the deviation of simulated velocities from their median.
DYNAMICS = 2.5

# Default limits of the MIDI check.
LIMITS = Limits(**MidiCheck().model_dump(exclude={"correct"}))

# Table of pedal presses without rows.
NO_PEDAL = pedal_table([], [])


def faults(notes, rng, velocities=True):
    """Simulate every fault in notes; faults of velocities only if `velocities` is true.

    Yield (name of the fault, faulty notes, expected findings).
    """
    count, velocity = len(notes["pitch"]), notes["velocity"].astype(float)
    some = np.sort(rng.permutation(count)[: round(0.05 * count)])
    tenth = rng.permutation(count)[: round(0.1 * count)]
    upper = notes["pitch"].copy()
    upper[tenth] += np.where(upper[tenth] > 96, -12, 12).astype(upper.dtype)
    added = _changed(notes, onset_s=rng.uniform(notes["onset_s"][0], notes["onset_s"][-1], count), pitch=rng.permutation(notes["pitch"]))
    yield "clean", notes, set()
    for shift_ms in (10, -10, 30, 60, -60, 3000):
        yield f"shift {shift_ms:+d} ms", _moved(notes, TimeMap(shift_ms * 1e-3)), {Finding.SHIFTED}
    yield "drift 0.1 %", _moved(notes, TimeMap(0.0, 1e-3)), {Finding.DRIFTING}
    yield "drift -0.1 %, shift 1 s", _moved(notes, TimeMap(1.0, -1e-3)), {Finding.DRIFTING, Finding.SHIFTED}
    yield "times spread by 40 ms", _changed(notes, onset_s=notes["onset_s"] + rng.normal(0.0, 0.04, count)), {Finding.TIMING_OFF}
    for octaves in (1, -1, 2):
        yield f"{octaves:+d} octave", _changed(notes, pitch=np.clip(notes["pitch"] + 12 * octaves, 21, 108)), {Finding.WRONG_OCTAVE}
    yield "10 % an octave off", _changed(notes, pitch=upper), {Finding.WRONG_OCTAVE}
    yield "all a semitone up", _changed(notes, pitch=np.clip(notes["pitch"] + 1, 21, 108)), {Finding.WRONG_PITCH}
    yield "5 % deleted", {name: np.delete(values, some) for name, values in notes.items()}, {Finding.NOTES_MISSING}
    both = {name: np.concatenate([notes[name], added[name][tenth]]) for name in notes}
    yield "10 % added", _changed(both), {Finding.NOTES_EXTRA}
    if velocities:
        middle = np.median(velocity)
        yield "velocities x 0.7", _changed(notes, velocity=0.7 * velocity), {Finding.LEVELS_OFF}
        yield "velocities squared", _changed(notes, velocity=velocity**2 / middle), {Finding.LEVELS_OFF}
        yield "velocities shuffled", _changed(notes, velocity=rng.permutation(velocity)), {Finding.LEVELS_OFF}


def _changed(notes, **columns):
    """Replace columns of notes, and sort the notes. Durations do not change."""
    new = notes | columns
    length_s = notes["key_offset_s"] - notes["onset_s"]
    return note_table(new["onset_s"], new["onset_s"] + length_s, new["pitch"], np.round(new["velocity"]), NO_PEDAL)


def _moved(notes, clock):
    """Apply a time map to notes."""
    return map_times(notes, NO_PEDAL, clock)[0]


def performance(seed, seconds):
    """Simulate a performance of a medley. Return its notes, audio samples and sampling rate."""
    take = prepare_take(None, seed, seconds)
    notes = dict(take.performance.notes)
    middle = np.median(notes["velocity"])
    notes["velocity"] = np.clip(np.round(middle + DYNAMICS * (notes["velocity"] - middle)), 20, 120).astype(np.int8)
    return notes, synthesise(notes, take.score.pedal, seconds, seed, AUDIO_RATE_HZ), AUDIO_RATE_HZ


def recording(path):
    """Load the true notes, audio samples and sampling rate of a recording."""
    truth = read_truth(path.with_suffix(".txt"))
    return note_table(*(truth[name] for name in ("onset_s", "key_offset_s", "pitch", "velocity")), NO_PEDAL), *load_audio(path)


def transcription(name, samples, rate_hz, cache):
    """Transcribe audio. If a folder `cache` is given, read the transcription from it, or save it there."""
    path = cache / f"{name}.parquet" if cache else None
    if path and path.exists():
        return read_table(path, NOTES)[0]
    notes, _, _ = transcribe(samples, rate_hz, "transkun", {})
    if path:
        write_table(path, NOTES, notes)
    return notes


def lend_velocities(notes, transcribed):
    """Return notes with the velocities of the matching notes in a transcription. Notes without a match get the median velocity."""
    _, clock = align(notes, transcribed)
    mine, other = match_notes(clock(notes["onset_s"]), notes["pitch"], transcribed["onset_s"], transcribed["pitch"])
    velocity = np.full(len(notes["pitch"]), np.median(transcribed["velocity"]))
    velocity[mine] = transcribed["velocity"][other]
    return _changed(notes, velocity=velocity)


def examine(name, truth, samples, rate_hz, cache, tables, true_velocities):
    """Simulate every fault in one performance, and count the outcomes.

    `truth` are the true notes. `tables[comparison][fault]` is a counter with the entries "all" (tests), "right" (tests with all expected
    findings), and the number of each other finding. If `true_velocities` is false, velocities are those of the transcription.
    """
    transcribed = transcription(name, samples, rate_hz, cache)
    if not true_velocities:
        truth = lend_velocities(truth, transcribed)
    started = time.perf_counter()
    clean = measure(truth, samples, rate_hz, transcribed)
    seconds = (time.perf_counter() - started) / (len(samples) / rate_hz) * 60.0
    alone, own, clock = measure(truth, samples, rate_hz), measure(transcribed, samples, rate_hz), clean["clock"]
    found = [", ".join(decide(scores, LIMITS)) or "none" for scores in (clean, alone, own)]
    print(
        f"{name:<12}{len(truth['pitch']):>6}{len(transcribed['pitch']):>6}{1e3 * clock['lag_s']:>8.1f}{1e6 * clock['drift']:>7.0f}"
        f"{1e3 * alone['sound']['timing_p95_s']:>7.1f}{1e3 * clean['transcription']['timing_p95_s']:>7.1f}"
        f"{1e3 * own['clock']['lag_s']:>8.1f}{seconds:>7.1f}   {' | '.join(found)}",
        flush=True,
    )
    if not true_velocities:
        truth = _moved(truth, TimeMap(clock["offset_s"], clock["drift"]))
    ways = (
        ("notes, audio and transcription", truth, transcribed),
        ("notes, audio alone", truth, None),
        ("transcription, audio alone", transcribed, None),
    )
    for way, notes, reference in ways:
        for fault, faulty, expected in faults(notes, np.random.default_rng(0), true_velocities or notes is transcribed):
            findings = set(decide(measure(faulty, samples, rate_hz, reference), LIMITS))
            tables[way][fault]["right"] += expected <= findings
            tables[way][fault]["all"] += 1
            for finding in sorted(findings - expected):
                tables[way][fault][str(finding)] += 1


def main():
    """Measure all performances. Print a line per performance, then the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="number of simulated performances (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=2100, help="random seed of the first performance (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="duration of each performance in seconds (default: %(default)s)")
    parser.add_argument("--recordings", type=Path, metavar="FOLDER", help="recordings with ground truth")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="folder that keeps transcriptions for later runs")
    options = parser.parse_args()
    header = f"{'':<12}{'notes':>6}{'trans.':>7}{'lag ms':>8}{'ppm':>7}{'p95 ms':>7}{'vs tr.':>7}{'tr. lag':>8}{'s/min':>7}"
    print(f"{header}   findings of the clean file by both | audio alone | transcription by audio alone")
    tables = {kind: defaultdict(lambda: defaultdict(Counter)) for kind in ("synthetic", "recorded")}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        examine(str(seed), *performance(seed, options.seconds), options.cache, tables["synthetic"], True)
    paths = sorted(path for path in options.recordings.iterdir() if path.suffix != ".txt") if options.recordings else []
    for path in (path for path in paths if path.with_suffix(".txt").exists()):
        examine(path.stem, *recording(path), options.cache, tables["recorded"], False)
    for kind, ways in tables.items():
        for way, rows in ways.items():
            print(f"\n{kind}: {way}\n{'fault':<26}{'found':>9}   other findings")
            for fault, counts in rows.items():
                others = ", ".join(f"{name} {n}" for name, n in counts.items() if name not in ("right", "all"))
                print(f"{fault:<26}{counts['right']:>5}/{counts['all']}   {others}")


if __name__ == "__main__":
    main()
