"""Measure precision and recall of the screening criteria for audio: sound other than a piano, silence, and clipping.

    python evaluation/screen_sound.py --cache FOLDER
    python evaluation/screen_sound.py --cache FOLDER --real RECORDINGS

Test recordings are medleys of 16 s on synthetic and sampled pianos, in simulated rooms, often after a codec. Speech, singing, choirs,
instruments, drums or noise are added during 25, 50 or 100 % of the time, at -20 to 0 dB relative to the piano while both sound. Recordings
without other sound are clean, and so are recordings of two pianos. To measure silence and clipping, clean recordings are muted and clipped.

Transkun transcribes all recordings, which takes most of the time. The cache keeps audio and notes for later runs. A folder of real piano
recordings (`--real`) adds clean recordings of up to a minute, and excerpts for mixtures. Recordings whose sources are not installed are
left out; `foreign_sound.py` lists the Debian packages.

The script prints the scores of each recording, the number of detected mixtures by kind and level, and precision and recall of each
criterion. "impure" means a rejection because of speech, other sound or noise.
"""

import argparse
import json
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

from foreign_sound import KINDS, PACKAGES, RATE_HZ, SECONDS, SETS, coded, fitted, foreign, in_room, missing, mixed, notes_of, piano, seeded
from handroll.media.audio import load_audio
from handroll.music.alignment.unexplained_energy import measure_unexplained_energy
from handroll.music.speech import speech_probability
from handroll.music.transcribe import transcribe
from handroll.reasons import Reason
from handroll.screening.audio_quality import measure_clipping, measure_silence, measure_speech
from handroll.screening.criteria import CRITERIA
from handroll.screening.purity import measure_purity
from handroll.storage import read_table, write_table
from handroll.tables import NOTES

LEVELS_DB = (-20, -15, -10, -5, 0)
"""Levels of the other sound relative to the piano (dB)."""

SHARES = (0.25, 0.5, 1.0)
"""Shares of the time in which the other sound is present, 0..1."""

REAL_S = 60.0
"""Maximum duration of a real recording that is measured (s)."""

CLIPPED = (0.003, 0.01, 0.03)
"""Shares of clipped samples, 0..1."""

# Rejection reasons that count as "impure".
IMPURE = {Reason.SPEECH, Reason.SOUND_IMPURE, Reason.SOUND_NOISY}

# Thresholds of each criterion.
THRESHOLDS = {
    "silence": {"min_loud_db": -60.0, "max_silent_share": 0.2},
    "clipping": {"max_clipped_share": 0.002},
    "speech": {"max_speech_share": 0.03},
    "purity": {"max_foreign_db": -8.0, "max_lasting_db": -55.0, "max_noise_db": -20.0},
}


@dataclass(frozen=True)
class Item:
    """A test recording: its random seed and piano; kind, level (dB, relative to the piano) and share of the time of its other sound."""

    seed: int
    piano: str
    kind: str
    level_db: int | None
    share: float


def plan(material, first, each, clean, real, shares=SHARES, kinds=KINDS, levels_db=LEVELS_DB):
    """List the test recordings of a run, as `Item`: `clean` clean ones per piano, and `each` mixtures per kind and level of other sound.

    `first` is the random seed of the first recording. `real` are paths of real piano recordings, from which mixtures may be made.
    """
    pianos, seed, items = [*material.pianos, *real], first, []
    for name in (*material.pianos, "two pianos"):
        for _ in range(clean):
            own = material.pianos[seed % len(material.pianos)] if name == "two pianos" else name
            items.append(Item(seed, own, "second piano" if name == "two pianos" else "clean", None, 0.0))
            seed += 1
    for turn in range(each):
        for level_db in levels_db:
            for kind in kinds:
                name = str(seeded("piano", seed).choice(pianos))
                items.append(Item(seed, name, kind, level_db, shares[(seed + turn) % len(shares)]))
                seed += 1
    return items


def sound(item, material):
    """Make the audio (sample,) of a test recording, and a description of its other sound."""
    rng, what, recorded = seeded("mix", item.seed), "", item.piano not in material.pianos
    if recorded:
        samples, _ = load_audio(item.piano, RATE_HZ)
        first = int(rng.integers(0, max(len(samples) - round(SECONDS * RATE_HZ), 0) + 1))
        samples, notes = fitted(samples[first:].astype(float)), notes_of(item.seed)[0]
    else:
        samples, notes = piano(item.piano, item.seed)
    if item.kind == "second piano":
        other, _ = piano(item.piano, item.seed + 50_000)
        samples = samples / np.std(samples) + other / np.std(other) * 10.0 ** (rng.uniform(-12.0, 0.0) / 20.0)
    elif item.kind != "clean":
        other, what = foreign(item.kind, material, item.seed, notes)
        samples, _ = mixed(samples, other, item.level_db, item.share, rng)
    return (samples / max(1.0, np.abs(samples).max() / 0.95) if recorded else in_room(samples, item.seed)), what


def load_or_make(item, material, cache, name):
    """Return audio (sample,), description of the other sound, and transcription of a test recording.

    They are read from the folder `cache` if they exist there. Otherwise they are made, and saved there under `name`.
    """
    audio, table, facts = (cache / f"{name}{suffix}" for suffix in (".flac", ".parquet", ".json"))
    if not facts.exists():
        samples, what = sound(item, material)
        soundfile.write(audio, samples, RATE_HZ)
        facts.write_text(json.dumps({"what": what, **asdict(item)}), encoding="utf-8")
    samples, _ = load_audio(audio)
    if not table.exists():
        write_table(table, NOTES, transcribe(samples, RATE_HZ, "transkun", {})[0])
    return samples, json.loads(facts.read_text(encoding="utf-8"))["what"], read_table(table, NOTES)[0]


def judge(samples, notes, seconds):
    """Compute all scores and the set of rejection reasons of a recording. Add the CPU time of each criterion to `seconds`.

    If `notes` is None, purity is not measured.
    """
    scores = {}

    def timed(name, measured):
        began = time.process_time()
        scores[name] = measured()
        seconds[name] += time.process_time() - began

    timed("silence", lambda: measure_silence(samples, RATE_HZ))
    timed("clipping", lambda: measure_clipping(samples))
    timed("speech", lambda: measure_speech(speech_probability(samples, RATE_HZ, "silero")[0]))
    if notes is not None:
        timed("purity", lambda: _purity(samples, notes))
    seconds["sound"] += len(samples) / RATE_HZ
    reasons = {reason for name in scores for reason in CRITERIA[name].decide(scores[name], THRESHOLDS[name])}
    return {name: value for measured in scores.values() for name, value in measured.items()}, reasons


def _purity(samples, notes):
    """Compute the scores of the criterion purity."""
    found = measure_unexplained_energy(samples, RATE_HZ, notes)
    return measure_purity(found.power, found.foreign, found.noise, found.counted)


def spoilt(samples, seed):
    """Mute and clip a clean recording. Yield name, audio and expected rejection reason of each version."""
    rng = seeded("spoilt", seed)
    yield "silent", 10.0 ** (-85.0 / 20.0) * rng.standard_normal(len(samples)), Reason.SOUND_SILENT
    muted = samples.copy()
    first = int(rng.integers(0, 0.6 * len(samples)))
    muted[first : first + round(0.4 * len(samples))] = 0.0
    yield "muted 40 %", muted, Reason.SOUND_SILENT
    share = CLIPPED[seed % len(CLIPPED)]
    limit = np.quantile(np.abs(samples), 1.0 - share)
    cut = np.clip(samples, -limit, limit) / limit * 0.99
    coded_too = seed % 2 == 0
    yield f"clipped {share:.1%}{', coded' * coded_too}", coded(cut, 96) if coded_too else cut, Reason.SOUND_CLIPPED


def line(name, item, what, scores, reasons):
    """Print the scores and rejection reasons of a recording as a row of the table."""
    noise = "" if scores.get("noise_db") is None else f"{scores['noise_db']:.1f}"
    level = "" if item is None or item.level_db is None else f"{item.level_db} dB {item.share:.0%}"
    foreign_db = f"{scores['foreign_db']:8.1f}{scores['lasting_db']:8.1f}{noise:>7}" if "foreign_db" in scores else " " * 23
    print(
        f"{name:<14}{what[:22]:<23}{level:<13}{scores['loud_db']:6.1f}{scores['silent_share']:6.2f}{scores['clipped_share']:9.5f}"
        f"{scores['speech_share']:7.3f}{foreign_db}  {', '.join(sorted(reasons))}",
        flush=True,
    )


def main():
    """Make, transcribe and score the test recordings, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=sorted(SETS), default="held-out", help="set of sources (default: %(default)s)")
    parser.add_argument("--first-seed", type=int, default=7000, help="random seed of the first recording (default: %(default)s)")
    parser.add_argument("--each", type=int, default=1, help="number of mixtures of each kind and level (default: %(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="kinds of other sound (default: all)")
    parser.add_argument(
        "--shares", nargs="+", type=float, default=SHARES, help="time shares of the other sound, 0..1 (default: %(default)s)"
    )
    parser.add_argument("--levels", nargs="+", type=int, default=LEVELS_DB, help="levels of the other sound, dB (default: %(default)s)")
    parser.add_argument("--clean", type=int, default=6, help="number of clean recordings of each piano (default: %(default)s)")
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="real recordings of a piano alone")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", required=True, help="folder that keeps audio and notes")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    material, lacking = SETS[options.set], missing(SETS[options.set])
    if lacking:
        print(f"not installed: {', '.join(lacking)}; recordings that need them are left out. Debian packages: {PACKAGES}")
    real = [str(path) for path in sorted(options.real.iterdir())] if options.real else []
    results, seconds = [], defaultdict(float)
    print(f"{'piano':<14}{'kind':<23}{'level':<13}{'loud':>6}{'silent':>6}{'clip':>9}{'speech':>7}{'foreign':>8}{'lasting':>8}{'noise':>7}")
    for item in plan(material, options.first_seed, options.each, options.clean, real, options.shares, options.kinds, options.levels):
        name = f"{options.set}-{item.seed}"
        try:
            samples, what, notes = load_or_make(item, material, options.cache, name)
        except FileNotFoundError as error:
            print(f"left out: {item.kind} with {Path(item.piano).stem}, {error}")
            continue
        scores, reasons = judge(samples, notes, seconds)
        line(Path(item.piano).stem, item, f"{item.kind} {what}".strip(), scores, reasons)
        expected = None if item.kind in ("clean", "second piano") else "impure"
        results.append((item.kind, item.level_db, expected, reasons))
        if item.kind == "clean":
            for name, changed, reason in spoilt(samples, item.seed):
                scores, reasons = judge(changed, None, seconds)
                line(item.piano, None, name, scores, reasons)
                results.append((name, None, reason, reasons))
    for path in real:
        samples, _ = load_audio(path, RATE_HZ)
        samples, table = samples[: round(REAL_S * RATE_HZ)], options.cache / f"{Path(path).stem}.parquet"
        if not table.exists():
            write_table(table, NOTES, transcribe(samples, RATE_HZ, "transkun", {})[0])
        scores, reasons = judge(samples, read_table(table, NOTES)[0], seconds)
        line(Path(path).stem, None, "real, clean", scores, reasons)
        results.append(("real", None, None, reasons))
    summarise(results, seconds)


def summarise(results, seconds):
    """Print the number of detected mixtures by kind and level, and precision, recall and CPU time of each criterion."""
    print(f"\n{'found of':<18}" + "".join(f"{level} dB".rjust(9) for level in LEVELS_DB))
    for kind in KINDS:
        cells = []
        for level in LEVELS_DB:
            found = [bool(reasons & IMPURE) for name, level_db, _, reasons in results if (name, level_db) == (kind, level)]
            cells.append(f"{sum(found)}/{len(found)}".rjust(9))
        print(f"{kind:<18}{''.join(cells)}")
    print(f"\n{'criterion':<18}{'right':>7}{'missed':>7}{'wrong':>7}{'clean':>7}{'precision':>11}{'recall':>8}")
    for name, names in (("impure", IMPURE), ("silent", {Reason.SOUND_SILENT}), ("clipped", {Reason.SOUND_CLIPPED})):
        # Muted and clipped recordings are not transcribed, so they are not judged for "impure".
        judged = [row for row in results if name != "impure" or row[2] in (None, "impure")]
        wanted = [row[2] == name if name == "impure" else row[2] in names for row in judged]
        rejected = [bool(row[3] & names) for row in judged]
        right = sum(w and s for w, s in zip(wanted, rejected, strict=True))
        wrong, total, others = sum(rejected) - right, sum(wanted), len(judged) - sum(wanted)
        precision, recall = right / max(right + wrong, 1), right / max(total, 1)
        print(f"{name:<18}{right:>7}{total - right:>7}{wrong:>7}{others:>7}{precision:>11.3f}{recall:>8.3f}")
    minutes = max(seconds["sound"], 1e-9) / 60.0
    print(
        "\nCPU seconds per minute of audio:",
        ", ".join(f"{name} {value / minutes:.2f}" for name, value in seconds.items() if name != "sound"),
    )


if __name__ == "__main__":
    main()
