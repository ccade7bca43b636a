"""Make piano audio that is mixed with other sound, for `screen_sound.py`: pianos, rooms, speech, singing, instruments, noise.

Audio depends only on installed Debian packages and a random seed. There are two sets of sources, one for choosing thresholds and one for
measurements. They have no speaker, singer, instrument, noise or seed in common, and no piano except the synthetic one. A level is the
energy of the other sound relative to the piano, measured while both sound.
"""

import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zlib import crc32

import librosa
import mido
import numpy as np
import soundfile
import soxr
from imageio_ffmpeg import get_ffmpeg_exe
from scipy.signal import butter, fftconvolve, sosfilt

from handroll.music.midi import write_midi
from handroll.music.synthesis import synthesise
from handroll.simulator.score import random_score

RATE_HZ = 44_100
"""Sampling rate of all audio (Hz)."""

SECONDS = 16.0
"""Default duration of audio (s)."""

DYNAMICS = 2.0
"""Factor by which the dynamics of simulated performances are widened, to resemble human players."""

# Folder with the voice prompts of the telephone system Asterisk.
ASTERISK = Path("/usr/share/asterisk/sounds")

# Folder with the speech recordings of the package pocketsphinx-testdata.
SPHINX = Path("/usr/share/pocketsphinx/test/data")

# File of each sound font.
FONTS = {
    "FluidR3": Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"),
    "TimGM": Path("/usr/share/sounds/sf2/TimGM6mb.sf2"),
    "MuseScore": Path("/usr/share/sounds/sf3/MuseScore_General_Full.sf3"),
}

PACKAGES = (
    "fluidsynth fluid-soundfont-gm timgm6mb-soundfont musescore-general-soundfont espeak-ng flite pocketsphinx-testdata "
    "asterisk-core-sounds-en-wav asterisk-core-sounds-it-wav asterisk-core-sounds-fr-wav asterisk-core-sounds-ru-wav"
)
"""Debian packages that contain all sources."""

# Texts for speech synthesis.
TEXT = (
    "Welcome to my channel, today I am going to play a new piece.",
    "In the second part the left hand takes over the melody and we slow down a little.",
    "Thank you so much for listening and see you next week.",
)

# Syllables for singing.
SYLLABLES = ("la", "no", "mi", "see", "you", "dah", "loo", "ray")


@dataclass(frozen=True)
class Material:
    """Sources of one set of audio.

    Attributes
    ----------
    pianos : tuple of str
        Pianos: "synthetic", or a name in `FONTS`.
    font : str
        Sound font of the other instruments, a name in `FONTS`.
    instruments, voices : dict of str to (program, lowest pitch, highest pitch)
        General MIDI programs, counted from 0, and the range of MIDI pitches of their melodies.
    drums : int
        General MIDI program of the drum kit.
    speakers : tuple of str
        Folders of speech recordings, or a voice of the speech synthesiser flite ("flite VOICE").
    singers : tuple of str
        Voices of the speech synthesiser espeak-ng.
    noises : tuple of str
        Kinds of noise; see `_noise`.
    """

    pianos: tuple[str, ...]
    font: str
    instruments: dict[str, tuple[int, int, int]]
    voices: dict[str, tuple[int, int, int]]
    drums: int
    speakers: tuple[str, ...]
    singers: tuple[str, ...]
    noises: tuple[str, ...]


# The two sets of sources: "tuning" for choosing thresholds, "held-out" for measurements.
SETS = {
    "tuning": Material(
        ("synthetic", "FluidR3"),
        "FluidR3",
        {"violin": (40, 55, 90), "flute": (73, 60, 90), "guitar": (24, 45, 76), "strings": (48, 45, 80), "electric guitar": (27, 45, 76)},
        {"aahs": (52, 48, 76)},
        0,
        (f"{ASTERISK}/en_US_f_Allison", f"{ASTERISK}/it_IT_m_Carlo", "flite awb", "flite kal16"),
        ("en+m3", "it+f2"),
        ("pink", "hum 50", "traffic"),
    ),
    "held-out": Material(
        ("synthetic", "TimGM", "MuseScore"),
        "MuseScore",
        {
            "cello": (42, 40, 70),
            "clarinet": (71, 50, 82),
            "saxophone": (65, 50, 80),
            "steel guitar": (25, 45, 76),
            "trumpet": (56, 55, 80),
            "bass": (32, 28, 50),
        },
        {"oohs": (53, 50, 76), "synth voice": (54, 50, 76)},
        8,
        (f"{ASTERISK}/ru_RU_f_IvrvoiceRU", f"{ASTERISK}/fr_CA_f_June", f"{SPHINX}/librivox", f"{SPHINX}/cards", "flite slt"),
        ("fr+m1", "de+f4"),
        ("brown", "hum 60", "rain", "crowd"),
    ),
}

KINDS = ("speech", "singing", "choir", "instrument", "drums", "noise")
"""Kinds of other sound."""


def seeded(*words):
    """Return a random generator whose seed is a sequence of words and numbers."""
    return np.random.default_rng([crc32(str(word).encode()) for word in words])


def missing(material):
    """List the files and programs of a set that are not installed."""
    files = [*(FONTS[name] for name in (*material.pianos, material.font) if name in FONTS)]
    files += [Path(speaker) for speaker in material.speakers if speaker.startswith("/")]
    programs = {"fluidsynth", "espeak-ng", *(speaker.split()[0] for speaker in material.speakers if not speaker.startswith("/"))}
    found = [str(path) for path in dict.fromkeys(files) if not path.exists()]
    return found + sorted(name for name in programs if not _installed(name))


@cache
def _installed(program):
    """Return whether a program is installed."""
    return any((Path(folder) / program).exists() for folder in ("/usr/bin", "/usr/local/bin"))


def _run(*arguments):
    """Run a program and discard its output. Raise an exception if the program fails."""
    subprocess.run([str(argument) for argument in arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def fitted(samples, seconds=SECONDS):
    """Cut samples, or pad them with silence, to a duration."""
    size = round(seconds * RATE_HZ)
    return np.pad(samples, (0, max(size - len(samples), 0)))[:size]


def notes_of(seed, seconds=SECONDS):
    """Make notes and pedal of a random medley, with the dynamics of human players."""
    score = random_score(seed, seconds)
    notes = dict(score.notes)
    middle = np.median(notes["velocity"])
    notes["velocity"] = np.clip(np.round(middle + DYNAMICS * (notes["velocity"] - middle)), 20, 120).astype(np.int8)
    return notes, score.pedal


def piano(name, seed, seconds=SECONDS):
    """Make piano audio (sample,) without room acoustics, and its notes."""
    notes, pedal = notes_of(seed, seconds)
    if name == "synthetic":
        return synthesise(notes, pedal, seconds, seed, RATE_HZ).astype(float), notes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "piano.mid"
        write_midi(path, notes, pedal)
        return fitted(_fluidsynth(path, FONTS[name]), seconds), notes


def _fluidsynth(path, font):
    """Synthesise a MIDI file with a sound font. Return mono audio (sample,)."""
    out = path.with_suffix(".wav")
    _run("fluidsynth", "-niq", "-R", "0", "-C", "0", "-g", "0.5", "-r", RATE_HZ, "-F", out, font, path)
    return soundfile.read(out, always_2d=True)[0].mean(axis=1)


def in_room(samples, seed):
    """Simulate the recording of audio: reverberation (0.15 to 0.7 s), band limits, and noise at -60 to -42 dB.

    In 60 % of the cases, audio is also encoded as AAC and decoded.
    """
    rng = seeded("room", seed)
    decay_s = rng.uniform(0.15, 0.7)
    time_s = np.arange(round(decay_s * RATE_HZ)) / RATE_HZ
    echo = rng.standard_normal(len(time_s)) * 10.0 ** (-3.0 * time_s / decay_s)
    echo = sosfilt(butter(1, rng.uniform(2500.0, 7000.0), fs=RATE_HZ, output="sos"), echo)
    echo *= 10.0 ** (-rng.uniform(2.0, 10.0) / 20.0) / np.linalg.norm(echo)
    echo[0] += 1.0
    recorded = fftconvolve(samples, echo)[: len(samples)]
    recorded = sosfilt(butter(1, [rng.uniform(30.0, 90.0), rng.uniform(9000.0, 16000.0)], "band", fs=RATE_HZ, output="sos"), recorded)
    hiss = coloured(len(recorded), rng, lambda hz: hz**-0.5)
    recorded += hiss * np.std(recorded) / np.std(hiss) * 10.0 ** (-rng.uniform(42.0, 60.0) / 20.0)
    recorded *= rng.uniform(0.3, 0.9) / max(np.abs(recorded).max(), 1e-9)
    return coded(recorded, rng.choice([64, 96, 128])) if rng.random() < 0.6 else recorded


def coded(samples, kbps):
    """Encode audio as AAC, and decode it."""
    with tempfile.TemporaryDirectory() as folder:
        plain, packed, back = (Path(folder) / name for name in ("a.wav", "a.m4a", "b.wav"))
        soundfile.write(plain, samples, RATE_HZ)
        _run(get_ffmpeg_exe(), "-i", plain, "-c:a", "aac", "-b:a", f"{kbps}k", packed)
        _run(get_ffmpeg_exe(), "-i", packed, "-ac", "1", back)
        return fitted(soundfile.read(back)[0], len(samples) / RATE_HZ)


def foreign(kind, material, seed, notes, seconds=SECONDS):
    """Make other sound (sample,) of a kind, and a description of it.

    About 60 % of the notes of melodies have the pitch class of a note that the piano plays at the same time.
    """
    rng = seeded(kind, seed)
    if kind == "speech":
        name = str(rng.choice(material.speakers))
        return _speech(name, rng, seconds), Path(name).name
    if kind == "singing":
        name = str(rng.choice(material.singers))
        return _singing(name, rng, notes, seconds), name
    if kind == "noise":
        name = str(rng.choice(material.noises))
        return _noise(name, material, rng, seconds), name
    if kind == "drums":
        return _instrument(material.font, material.drums, _beats(rng, seconds), 9, seconds), f"kit {material.drums}"
    programs = material.voices if kind == "choir" else material.instruments
    name = str(rng.choice(sorted(programs)))
    program, low, high = programs[name]
    return _instrument(material.font, program, _melody(rng, notes, seconds, low, high), 0, seconds), name


def _speech(speaker, rng, seconds):
    """Make speech (sample,) from the recordings in a folder, or with a voice of flite; `speaker` is one of `Material.speakers`."""
    parts, length = [], 0
    while length < seconds * RATE_HZ:
        if speaker.startswith("/"):
            path = rng.choice(_recordings(speaker))
            said, rate_hz = soundfile.read(path)
        else:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "said.wav"
                _run("flite", "-voice", speaker.split()[1], "-t", rng.choice(TEXT), "-o", path)
                said, rate_hz = soundfile.read(path)
        said = soxr.resample(said, rate_hz, RATE_HZ)
        parts += [said / max(np.abs(said).max(), 1e-6), np.zeros(round(rng.uniform(0.05, 0.5) * RATE_HZ))]
        length += len(parts[-2]) + len(parts[-1])
    return fitted(np.concatenate(parts), seconds)


@cache
def _recordings(folder):
    """List the WAV files of a folder that are long enough."""
    return sorted(str(path) for path in Path(folder).rglob("*.wav") if path.stat().st_size > 30_000)


def _melody(rng, notes, seconds, low, high):
    """Make a random melody as rows (start_s, length_s, pitch, velocity). `low` and `high` limit the MIDI pitch.

    `notes` are the notes of the piano. About 60 % of the pitches have the pitch class of a note that sounds at the same time.
    """
    at_s, rows = 0.0, []
    while at_s < seconds:
        length_s = float(np.exp(rng.uniform(np.log(0.2), np.log(1.5))))
        near = notes["pitch"][(notes["onset_s"] <= at_s + 0.1) & (notes["sounding_offset_s"] > at_s)]
        pitch = int(rng.choice(near)) if len(near) and rng.random() < 0.6 else int(rng.integers(low, high))
        pitch = low + (pitch - low) % 12 + 12 * int(rng.integers(0, max((high - low) // 12, 1)))
        if rng.random() < 0.9:
            rows.append((at_s, 0.95 * length_s, pitch, int(rng.integers(70, 110))))
        at_s += length_s
    return rows


def _beats(rng, seconds):
    """Make a drum beat as rows (start_s, length_s, pitch, velocity)."""
    rows = []
    for number, at_s in enumerate(np.arange(0.0, seconds, rng.uniform(0.18, 0.3))):
        keys = [42] + [36] * (number % 4 == 0) + [38] * (number % 4 == 2)
        rows += [(at_s, 0.1, key, int(rng.integers(70, 110))) for key in keys]
    return rows


def _instrument(font, program, rows, channel, seconds):
    """Synthesise audio (sample,) from rows (start_s, length_s, pitch, velocity), with a General MIDI program of a sound font."""
    events = [(0.0, mido.Message("program_change", channel=channel, program=program))]
    for at_s, length_s, pitch, velocity in rows:
        events.append((at_s, mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)))
        events.append((at_s + length_s, mido.Message("note_off", channel=channel, note=pitch)))
    file, track, last = mido.MidiFile(ticks_per_beat=480), mido.MidiTrack(), 0
    for at_s, message in sorted(events, key=lambda event: event[0]):
        tick = round(at_s * 960)
        track.append(message.copy(time=tick - last))
        last = tick
    file.tracks.append(track)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "other.mid"
        file.save(path)
        return fitted(_fluidsynth(path, FONTS[font]), seconds)


def _singing(voice, rng, notes, seconds):
    """Make singing (sample,) from spoken syllables, which are shifted in pitch and stretched to a melody, with vibrato (5.5 Hz, 1.4 %)."""
    out = np.zeros(round(seconds * RATE_HZ))
    for at_s, length_s, pitch, _ in _melody(rng, notes, seconds, *((43, 64) if "+m" in voice else (55, 76))):
        sung, hz = _syllable(voice, str(rng.choice(SYLLABLES)))
        steps = 12.0 * np.log2(440.0 * 2.0 ** ((pitch - 69) / 12.0) / hz)
        sung = librosa.effects.pitch_shift(sung, sr=RATE_HZ, n_steps=float(np.clip(steps, -12.0, 14.0)))
        sung = librosa.effects.time_stretch(sung, rate=float(np.clip(len(sung) / RATE_HZ / length_s, 0.3, 2.0)))
        time_s = np.arange(len(sung)) / RATE_HZ
        swing_s = 4e-4 * np.sin(2.0 * np.pi * 5.5 * time_s) * np.clip(time_s / 0.3, 0.0, 1.0)
        sung = np.interp(time_s + swing_s, time_s, sung)
        first = round(at_s * RATE_HZ)
        out[first : first + len(sung)] += sung[: len(out) - first]
    return out


@cache
def _syllable(voice, word):
    """Synthesise a spoken syllable. Return its audio (sample,) and its pitch (Hz)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        _run("espeak-ng", "-v", voice, "-s", "80", "-m", f'<speak><prosody range="0">{word}</prosody></speak>', "-w", path)
        said, rate_hz = soundfile.read(path)
    said = soxr.resample(said, rate_hz, RATE_HZ)
    loud = np.flatnonzero(np.abs(said) > 1e-3)
    said = said[loud[0] : loud[-1]]
    hz = librosa.yin(soxr.resample(said, RATE_HZ, 16_000), fmin=60.0, fmax=500.0, sr=16_000, frame_length=1024)
    return said, float(np.median(hz))


def coloured(size, rng, amplitude):
    """Make noise (sample,) with a given spectrum. `amplitude` maps frequency (Hz) to amplitude."""
    hz = np.maximum(np.fft.rfftfreq(size, 1.0 / RATE_HZ), 20.0)
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) * amplitude(hz), size)


def _noise(name, material, rng, seconds):
    """Make noise (sample,) of the kind `name`, one of `Material.noises`. A crowd consists of all speakers of the set."""
    size = round(seconds * RATE_HZ)
    time_s = np.arange(size) / RATE_HZ
    if name == "pink":
        return coloured(size, rng, lambda hz: hz**-0.5)
    if name == "brown":
        return coloured(size, rng, lambda hz: hz**-0.8)
    if name.startswith("hum"):
        hz = float(name.split()[1])
        return sum(rng.uniform(0.3, 1.0) / k * np.sin(2.0 * np.pi * hz * k * time_s + rng.uniform(0.0, 6.0)) for k in range(1, 12))
    if name == "traffic":
        at_s = np.arange(0.0, seconds + 1.0, 0.7)
        passing = np.interp(time_s, at_s, np.exp(rng.normal(0.0, 0.7, len(at_s))))
        return coloured(size, rng, lambda hz: 1.0 / (1.0 + (hz / 150.0) ** 1.2)) * passing
    if name == "rain":
        hiss = coloured(size, rng, lambda hz: np.exp(-(np.log(hz / 2500.0) ** 2)))
        drops = (rng.random(size) < 40.0 / RATE_HZ) * rng.exponential(1.0, size)
        drop = rng.standard_normal(300) * np.exp(-np.arange(300) / 60.0)
        return hiss / np.std(hiss) + 0.5 * fftconvolve(drops, drop)[:size]
    return sum(_speech(speaker, rng, seconds) for speaker in material.speakers if Path(speaker).exists())


def mixed(played, other, level_db, share, rng):
    """Mix piano and other sound.

    The other sound is present during a share of the time, in stretches of about 6 s. `level_db` is its energy relative to the piano while
    both sound.

    Returns
    -------
    samples : array (sample,)
    present : bool array (sample,)
        Whether the other sound is present.
    """
    size = len(played)
    stretches = max(1, round(share * size / RATE_HZ / 6.0))
    length, present = round(share * size / stretches), np.zeros(size, bool)
    for slot in range(stretches):
        room = size // stretches - length
        first = slot * (size // stretches) + int(rng.integers(0, room + 1)) if room > 0 else slot * length
        present[first : first + length] = True
    fade = np.hanning(round(0.02 * RATE_HZ))
    other = other * fftconvolve(present, fade / fade.sum(), "same")
    both = _sounding(played) & _sounding(other)
    if not both.any():
        raise ValueError("mix: expected a time at which piano and other sound are both audible, found none; use another random seed")
    scale = np.sqrt(np.sum(played[both] ** 2) / np.sum(other[both] ** 2)) * 10.0 ** (level_db / 20.0)
    return played + scale * other, present


def _sounding(samples):
    """Return whether audio sounds at each sample: in steps of 50 ms, its energy is within 40 dB of loud parts (95 % quantile)."""
    size = RATE_HZ // 20
    energy = np.add.reduceat(samples**2, np.arange(0, len(samples), size))
    return np.repeat(energy > 1e-4 * np.quantile(energy, 0.95), size)[: len(samples)]
