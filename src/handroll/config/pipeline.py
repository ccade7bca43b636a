"""Typed configuration: every key with type, unit and range. Values are validated before anything runs.

`handroll.config.reference` generates `config/config.yaml`, `workflow/schemas/*.json` and `docs/configuration.md` from this module.
"""

import difflib
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from handroll.config.experiment import Benchmark
from handroll.config.section import Angle, Name, NotNegative, Positive, Section, Share
from handroll.text import MAX_LENGTH, printable, short_repr


class Acquire(Section):
    """Listing and fetching videos. Changing transfer settings never triggers a new download."""

    channels: Annotated[str, Field(min_length=1)] = Field(
        "config/channels.tsv", description="sheet of channels to list, relative to the working directory"
    )
    takedown: Annotated[str, Field(min_length=1)] = Field(
        "config/takedown.tsv", description="sheet of videos to take down, relative to the working directory; optional"
    )
    max_listed: Annotated[int, Field(ge=1)] = Field(
        5000, description="maximum number of videos to list of one channel, in the order of the site"
    )
    max_height_px: Annotated[int, Field(ge=144)] = Field(
        1080, description="maximum frame height to download (px; the shorter side); local files are not scaled"
    )
    max_size_gb: Positive = Field(8.0, description="maximum size of a download (GB)")
    min_free_gb: NotNegative = Field(5.0, description="disk space that downloads leave free (GB)")
    tries: Annotated[int, Field(ge=1, le=20)] = Field(
        5, description="maximum number of tries of a download in a run; a try that makes progress restarts the count"
    )
    back_off_s: Positive = Field(5.0, description="wait before the second try (s); it doubles before each later try, with random jitter")
    max_wait_s: Positive = Field(
        600.0,
        description="maximum wait between two tries (s); if a site asks for a longer wait, this run gives up and the next run tries again",
    )
    pause_s: NotNegative = Field(1.0, description="pause before each page request and before each download (s)")
    max_rate_mb_s: Positive | None = Field(None, description="maximum bandwidth of one download (MB/s); null: no limit")


class Detection(Section):
    """Hand detection (MediaPipe, tracking mode)."""

    max_width_px: Annotated[int, Field(ge=160)] = Field(960, description="frames are scaled down to this width before detection (px)")
    min_detection_confidence: Share = Field(0.5, description="minimum palm score that starts a track")
    min_tracking_confidence: Share = Field(0.5, description="minimum landmark score that continues a track")


class Resolution(Section):
    """Minimum frame size, in any orientation."""

    min_short_side_px: Annotated[int, Field(ge=0)] = Field(720, description="minimum shorter side (px); the paper: 1080")
    min_long_side_px: Annotated[int, Field(ge=0)] = Field(960, description="minimum longer side (px); 960 x 720 is 4:3; the paper: 1920")


class Duration(Section):
    """Length of a video."""

    min_s: Annotated[float, Field(ge=0)] = Field(8.0, description="minimum duration (s); the paper: 30, one clip")
    max_s: Positive = Field(7200.0, description="maximum duration (s)")


class Audio(Section):
    """Presence of audio."""

    required: bool = Field(True, description="true: a video without audio gives no clips")


class Editing(Section):
    """Usable segments: cuts, freeze frames, black frames, titles and insets are removed; a video with too little left is rejected."""

    min_usable_s: NotNegative = Field(8.0, description="minimum total length of the usable segments (s); the paper: 30, one clip")
    min_longest_s: NotNegative = Field(8.0, description="minimum length of the longest usable segment (s); the paper: 30, one clip")


class CameraMotion(Section):
    """Motion of the camera."""

    max_moving_share: Share = Field(0.3, description="maximum share of the time in which the camera moves; shorter movements are trimmed")


class Performers(Section):
    """Number of hands in the surveyed frames."""

    max_more_than_two_hands: Share = Field(
        0.1, description="maximum share of frames with more than two hands, among the surveyed frames with hands"
    )
    min_one_hand_seen: Share = Field(
        0.5,
        description="minimum share of the surveyed frames that show a hand; below it, the video is rejected before hands are detected in every frame",
    )
    min_two_hands_seen: Share = Field(
        0.4, description="minimum share of surveyed frames with two hands; if you lower visibility.min_both_hands, lower this value, too"
    )


class Viewpoint(Section):
    """Viewpoint of the camera, measured on the registered keyboard, or else on the hands."""

    max_tilt_deg: Angle = Field(26.0, description="maximum angle between the camera's axis and straight down (degrees)")
    side_view_deg: Angle = Field(55.0, description="minimum angle that counts as a side view (degrees)")


class Silence(Section):
    """Loudness of the audio."""

    min_loud_db: Annotated[float, Field(le=0)] = Field(-60.0, description="minimum level of the loud parts (dB of full scale)")
    max_silent_share: Share = Field(0.2, description="maximum share of the time that belongs to silences longer than 5 s")


class Clipping(Section):
    """Clipping of the audio."""

    max_clipped_share: Share = Field(0.002, description="maximum share of audio samples near the maximum level")


class Speech(Section):
    """Speech in the audio, detected by the classifier survey.speech_classifier."""

    max_speech_share: Share = Field(0.03, description="maximum share of the time with speech")


class Purity(Section):
    """Foreign audio and noise: audio that the transcribed notes do not explain."""

    max_foreign_db: Annotated[float, Field(le=0)] = Field(-8.0, description="maximum power of foreign audio (dB of the recording's power)")
    max_lasting_db: Annotated[float, Field(le=0)] = Field(
        -55.0,
        description="maximum power of foreign audio, measured without the tenth of the time in which the foreign audio is loudest (dB of the recording's power)",
    )
    max_noise_db: Annotated[float, Field(le=0)] = Field(-20.0, description="maximum power of steady noise (dB of the recording's power)")


class Visibility(Section):
    """Visibility of the hands in the usable segments."""

    min_both_hands: Share = Field(0.8, description="minimum share of frames with both hands detected; the paper: 80 %")
    min_any_hand: Share = Field(0.8, description="minimum share of frames with at least one hand detected")


class Screening(Section):
    """Thresholds of the screening criteria. A changed threshold reruns only cheap steps, since scores do not depend on thresholds."""

    motion_without_audio: bool = Field(
        True, description="videos with missing or rejected audio still give hand motion, but no clips; false: they give nothing"
    )
    resolution: Resolution = Resolution()
    duration: Duration = Duration()
    audio: Audio = Audio()
    editing: Editing = Editing()
    camera_motion: CameraMotion = CameraMotion()
    performers: Performers = Performers()
    viewpoint: Viewpoint = Viewpoint()
    silence: Silence = Silence()
    clipping: Clipping = Clipping()
    speech: Speech = Speech()
    visibility: Visibility = Visibility()
    purity: Purity = Purity()


class Survey(Section):
    """Survey: a first, fast measurement of every video."""

    samples: Annotated[int, Field(ge=8)] = Field(48, description="number of frames, evenly spaced, in which hands are detected")
    speech_classifier: Literal["silero"] = Field("silero", description="classifier of speech and music")


class Temporal(Section):
    """Refinement of the poses over time, available for all engines. It is not part of the paper."""

    enabled: bool = Field(
        False,
        description="true: fit all poses of a hand again as one motion; this removes most of an engine's jitter and keeps key strokes",
    )
    smoothness: Annotated[float, Field(ge=0.01, le=100)] = Field(
        1.0,
        description="weight of smooth motion relative to the detections, as a multiple of the tuned weight; 2 reduces the speed of key strokes by up to a tenth, 0.5 removes a third less jitter",
    )
    window_s: Annotated[float, Field(ge=1, le=600)] = Field(
        8.0,
        description="length of the windows in which a motion is fitted (s), without their overlap of 0.5 s on both sides; longer windows need more memory",
    )


class Hamer(Section):
    """The engine HaMeR. Its files are not included: docs/tutorials/hamer.md."""

    checkpoint: Annotated[str, Field(min_length=1)] = Field(
        "resources/weights/hamer/hamer_ckpts/checkpoints/hamer.ckpt",
        description="released checkpoint; model_config.yaml is in the folder above, as in the archive",
    )
    mano: Annotated[str, Field(min_length=1)] = Field("resources/weights/mano/MANO_RIGHT.pkl", description="MANO's right hand model, v1.2")
    precision: Literal["bf16", "fp32"] = Field("bf16", description="precision of the backbone's matrix products; everything else is fp32")
    batch: Annotated[int, Field(ge=1)] = Field(64, description="number of hand crops in a batch; on a CPU 2 to 4 are fastest")
    rescale: Annotated[float, Field(ge=1)] = Field(2.0, description="size of a hand's crop relative to its bounding box; HaMeR: 2")
    shape: Literal["video", "frame"] = Field(
        "video", description="hand shape; video: one shape for each hand of a video (robust mean); frame: HaMeR's shape in each frame"
    )
    refit: bool = Field(True, description="with `shape: video`, fit the rotations to the common shape; false: keep HaMeR's rotations")
    compile: bool = Field(True, description="compile the network on a GPU; this takes minutes once and saves time on long videos")


class Pose(Section):
    """Hand poses (MANO parameters) from detected hands."""

    engine: Literal["landmarks", "hamer"] = Field(
        "landmarks", description="pose engine: from the detected landmarks alone, or HaMeR's network on the frames"
    )
    camera: Literal["keyboard", "hamer"] = Field(
        "keyboard",
        description="camera of the poses; keyboard: the camera fitted to the registered keyboard, if there is one; hamer: always HaMeR's convention, as in PianoMotion10M; the hands are then not over the keys",
    )
    focal_px: Positive | None = Field(
        None,
        description="true focal length of every camera (px of the displayed frame); focal_px in the sheet takes precedence; null: fitted to the keyboard; without a registered keyboard, HaMeR's convention (5000/256 x longer side)",
    )
    hand_length_m: Positive | None = Field(
        None,
        description="length of the performer's hand, from wrist to middle fingertip (m); null: from the size of the hands above the keyboard; without a registered keyboard, the template's 0.186",
    )
    contacts: bool = Field(
        True,
        description="fit fingertips that hold keys down to the height of these keys; false: heights from the landmarks alone",
    )
    temporal: Temporal = Temporal()
    hamer: Hamer = Hamer()


class Hampel(Section):
    """Outlier filter (Hampel): outliers become missing values."""

    window: Positive = Field(20, description="width of the running window (frames or s, see motion.units); the paper: 20 frames")
    n_sigma: Positive = Field(3.0, description="minimum distance of an outlier from the running median, in robust standard deviations")
    floor_m: NotNegative = Field(0.008, description="minimum robust standard deviation of x and y (m); 0: no minimum, as in the paper")
    floor_depth: NotNegative = Field(0.03, description="minimum robust standard deviation of depth, as a share of the depth; 0: no minimum")
    floor_rad: NotNegative = Field(0.0175, description="minimum robust standard deviation of angles (rad); 0: no minimum")


class Gap(Section):
    """Gaps: sequences of frames in which a hand is missing."""

    shorter_than: NotNegative = Field(
        30, description="gaps shorter than this are interpolated, others are hidden (frames or s); the paper: 30 frames"
    )


class Run(Section):
    """Visible runs: sequences of frames in which a hand is visible."""

    shorter_than: NotNegative = Field(15, description="visible runs shorter than this are hidden (frames or s); the paper: 15 frames")


class Savgol(Section):
    """Savitzky-Golay smoothing."""

    order: Annotated[int, Field(ge=0, le=7)] = Field(3, description="degree of the local polynomial; the paper: 3")
    window: Positive = Field(11, description="width of the local fit (frames or s); the paper: 11 frames")


class MapnetCorrection(Section):
    """Correction of the cleaned motion by the model MAPnet, which receives the motion and the music: docs/how-to/correct-motion.md."""

    checkpoint: Name = Field(
        "resources/weights/mapnet.safetensors",
        description="file of the trained model, relative to the working directory",
    )
    max_gap_s: NotNegative = Field(2.0, description="maximum duration of a hidden gap that the model fills (s)")


class Motion(Section):
    """Cleaning of the fitted poses. Defaults are those of the paper, with an additional minimum standard deviation in the outlier filter."""

    units: Literal["frames", "seconds"] = Field("frames", description="unit of every length of the cleaning")
    hampel: Hampel = Hampel()
    gap: Gap = Gap()
    run: Run = Run()
    savgol: Savgol = Savgol()
    correction: Literal["none", "mapnet"] = Field("none", description="correction of the cleaned motion by a trained model")
    mapnet: MapnetCorrection = MapnetCorrection()


class MidiCheck(Section):
    """Limits within which a given MIDI file counts as matching the audio."""

    correct: bool = Field(
        True, description="correct a given MIDI file whose only faults are offset and drift, and use it; false: do not use it"
    )
    max_offset_s: NotNegative = Field(0.005, description="maximum offset between notes and audio (s)")
    max_drift_s: NotNegative = Field(0.015, description="maximum drift from the first note to the last (s)")
    max_late_share: Share = Field(
        0.05,
        description="maximum share of notes more than 30 ms (the paper's limit) from their onset in the audio, after correction of offset and drift",
    )
    max_silent_share: Share = Field(
        0.4, description="maximum share of notes without audio energy at their pitch; matching files have 0 to 20 %, more in faster music"
    )
    max_wrong_share: Share = Field(
        0.03, description="maximum share of notes whose pitch or octave differs from both the transcription and the audio"
    )
    max_missing_share: Share = Field(0.03, description="maximum share of transcribed and sounding notes that are missing in the MIDI file")
    max_extra_share: Share = Field(
        0.05,
        description="maximum share of the MIDI file's notes that are neither transcribed nor sounding; a matching file has 4 %, which are silent key presses",
    )
    max_level_deviation: NotNegative = Field(
        0.1,
        description="maximum relative difference between given and transcribed velocities (median over the notes), in addition to the transcription's own error; a common factor and a trend along the keyboard do not count; the paper: 10 %",
    )
    max_level_scale: NotNegative = Field(
        0.2, description="maximum deviation from 1 of the factor between given and transcribed velocities; 0.2: from 1/1.2 to 1.2"
    )
    min_level_correlation: Annotated[float, Field(ge=-1, le=1)] = Field(
        0.25,
        description="minimum rank correlation between given and transcribed velocities, or between velocities and audio levels if nothing is transcribed",
    )


class Transkun(Section):
    """The engine Transkun, which transcribes segments of 16 s."""

    hop_s: Annotated[float, Field(gt=0, le=16)] = Field(
        8.0,
        description="time between the starts of two segments (s); 16 is twice as fast as 8, but less accurate near the borders of segments",
    )


class Kong(Section):
    """The engine of Kong et al. 2021, which the paper uses. Its weights are not included: docs/how-to/weights.md."""

    checkpoint: Annotated[str, Field(min_length=1)] = Field(
        "resources/weights/kong/note_F1=0.9677_pedal_F1=0.9186.pth", description="file of the weights, relative to the working directory"
    )


class Music(Section):
    """Transcription of the audio, and comparison of given MIDI files with it."""

    engine: Literal["transkun", "kong"] = Field(
        "transkun", description="transcription engine; kong detects the end of a note's sound instead of the key release"
    )
    transkun: Transkun = Transkun()
    kong: Kong = Kong()
    midi_check: MidiCheck = MidiCheck()


class Keyboard(Section):
    """Keyboard registration and fingering."""

    frames: Annotated[int, Field(ge=4)] = Field(
        48, description="number of frames, evenly spaced, whose median shows the keys without the hands"
    )
    min_finger_confidence: Share = Field(0.7, description="minimum confidence of a hand and finger label; labels below it are left empty")


class Clips(Section):
    """Clips: parts of a video that enter the dataset."""

    length_s: Positive = Field(30.0, description="length of a clip (s); the paper: 30")
    hop_s: Positive = Field(24.0, description="time between the starts of two clips (s); the paper: 24")
    min_length_s: Positive = Field(
        8.0,
        description="minimum length of a usable segment (s); a segment shorter than clips.length_s gives one shorter clip; the paper: 30, no shorter clips",
    )
    min_visibility: Share = Field(
        0.8, description="minimum share of hand poses (frames x 2 hands) that are observed or interpolated; the paper: 80 %"
    )
    min_key_press_f1: Share = Field(
        0.1,
        description="minimum key press F1 of a clip with a registered keyboard and at least 10 notes; with the notes of other music, clips reach 0.02; 0: accept all clips",
    )


class Splits(Section):
    """Assignment of videos to train, valid and test by a hash of their names. Adding a video does not change the split of others."""

    seed: int = Field(0, description="random seed of the assignment")
    train: Annotated[float, Field(ge=0)] = Field(0.8, description="share of train, relative to train + valid + test")
    valid: Annotated[float, Field(ge=0)] = Field(0.1, description="share of valid, relative to train + valid + test")
    test: Annotated[float, Field(ge=0)] = Field(0.1, description="share of test, relative to train + valid + test")


class Rights(Section):
    """Clips to publish: those whose permission or licence is in the lists below. A refused permission always excludes a clip."""

    permissions: list[Literal["granted", "unknown"]] = Field(["granted"], description="permissions that suffice without a licence")
    licences: list[str] = Field(
        ["CC0-1.0", "CC-BY-3.0", "CC-BY-4.0"],
        description="licences that suffice if the permission is unknown; SPDX names in any spelling (`cc by 4.0`)",
    )


class Dataset(Section):
    """Files of the published dataset."""

    name: Annotated[str, Field(min_length=1, max_length=80)] = Field("handroll dataset", description="title of the dataset card")
    shard_mb: Positive = Field(128.0, description="target size of a Parquet shard (MB)")
    row_group_rows: Annotated[int, Field(ge=1)] = Field(
        8, description="number of clips in a Parquet row group; a reader loads at least one row group"
    )
    rights: Rights = Rights()


class PianoMotion10M(Section):
    """The released dataset PianoMotion10M: import, and export to its layout; docs/how-to/pianomotion10m.md."""

    folder: Annotated[str, Field(min_length=1)] = Field(
        "resources/pianomotion10m", description="folder of the release: annotation, audio, midi and the lists of videos"
    )
    subjects: list[Annotated[str, Field(coerce_numbers_to_str=True)]] = Field([], description="subjects to import; empty: all")
    mean_pose: Literal["absolute", "subtracted"] = Field(
        "absolute",
        description="reference of the rotations in the release, for import and export; absolute: the flat hand; subtracted: MANO's mean pose, which needs the file pose.hamer.mano",
    )


class Synthetic(Section):
    """A synthetic training set of generated music, without videos. The sections clips, splits and dataset apply to it."""

    hours: Positive = Field(0.5, description="total length of all takes (h), rounded up to whole takes")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="random seed of music, hands, cameras and pianos")
    pianist: Annotated[int, Field(ge=0)] = Field(
        0,
        description="pianist who plays all takes; 0: the standard pianist, with varied hand sizes; N >= 1: random pianist N, with a hand size, style and fingering of its own, whose set is results/synthetic-N",
    )
    take_s: Annotated[float, Field(ge=20)] = Field(120.0, description="length of a take (s); at least clips.length_s")
    fps: Annotated[float, Field(ge=10, le=240)] = Field(30.0, description="frames a second")
    audio: bool = Field(True, description="synthesise audio; false: clips have none")
    audio_rate_hz: Annotated[int, Field(ge=8000, le=48000)] = Field(16000, description="sampling rate of the audio (Hz)")


class Overlay(Section):
    """Overlay: a video with the hands drawn on it."""

    max_height_px: Annotated[int, Field(ge=144)] = Field(720, description="maximum height of the source frame in the overlay (px)")


class Evaluation(Section):
    """Accuracy of every step on simulated performances, whose ground truth is known: docs/measurements.md."""

    performances: Annotated[int, Field(ge=1)] = Field(6, description="number of simulated performances, each with its own seed")
    first_seed: Annotated[int, Field(ge=0)] = Field(
        5101, description="seed of the first performance; handroll was developed with seeds below 1000, so do not score on them"
    )
    duration_s: Annotated[float, Field(ge=4)] = Field(20.0, description="length of a performance (s)")
    width_px: Annotated[int, Field(ge=320)] = Field(1920, description="width of the frames (px), 16:9")
    fps: Annotated[float, Field(ge=10, le=240)] = Field(30.0, description="frames a second")
    scenes: Annotated[int, Field(ge=0)] = Field(
        8,
        description="number of rendered scenes of each kind, in which only the keyboard registration is scored; kinds with a reflection or a lamp have twice as many",
    )
    recordings: str | None = Field(
        None, description="sheet of real videos, relative to the working directory, for measures without ground truth; null: none"
    )


class Config(Section):
    """The complete configuration."""

    sheet: Annotated[str, Field(min_length=1)] = Field(
        "config/videos.tsv", description="sheet of videos, relative to the working directory"
    )
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="device of neural networks; cuda: a GPU; without a GPU, the rules that use it fail"
    )
    acquire: Acquire = Acquire()
    survey: Survey = Survey()
    detection: Detection = Detection()
    screening: Screening = Screening()
    pose: Pose = Pose()
    motion: Motion = Motion()
    music: Music = Music()
    keyboard: Keyboard = Keyboard()
    clips: Clips = Clips()
    splits: Splits = Splits()
    dataset: Dataset = Dataset()
    pianomotion10m: PianoMotion10M = PianoMotion10M()
    synthetic: Synthetic = Synthetic()
    overlay: Overlay = Overlay()
    evaluation: Evaluation = Evaluation()
    benchmark: Benchmark = Benchmark()


RENAMED = {
    "screen": "screening",
    "detect": "detection",
    "screening.sound": "screening.audio",
    "screening.motion_without_sound": "screening.motion_without_audio",
    "screening.editing.min_playable_s": "screening.editing.min_usable_s",
    "music.check": "music.midi_check",
    "synthetic.sound": "synthetic.audio",
    "synthetic.sound_rate_hz": "synthetic.audio_rate_hz",
    "evaluation.seconds": "evaluation.duration_s",
    "benchmark.samplings": "benchmark.samplers",
}
"""Old name of each renamed key, and its new name. A configuration with an old name is rejected; the message contains the new name."""


class ConfigError(ValueError):
    """Raised for an invalid configuration; the message lists every problem."""


def parse_config(values):
    """Validate a configuration, nested dicts as read from YAML, and fill in the defaults.

    Returns
    -------
    Config

    Raises
    ------
    ConfigError
        There are unknown keys (the message suggests a known key), wrong types, or values out of range.
    """
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        lines = "\n".join(f"  {_explain_problem(problem)}" for problem in error.errors())
        raise ConfigError(f"the configuration has {error.error_count()} problem(s):\n{lines}") from None
    if config.splits.train + config.splits.valid + config.splits.test <= 0:
        raise ConfigError("the configuration: splits.train, splits.valid and splits.test are all 0; set at least one of them above 0")
    if config.benchmark.weights.released and config.benchmark.frame != "camera":
        raise ConfigError(
            "the configuration: benchmark.weights.released: the released model generates motion in the camera frame; set benchmark.frame: camera"
        )
    if config.benchmark.data == "pianomotion10m" and config.benchmark.frame != "camera":
        raise ConfigError("the configuration: benchmark.data: PianoMotion10M has no registered keyboards; set benchmark.frame: camera")
    if config.benchmark.frame == "camera" and "fingering" in config.benchmark.features:
        raise ConfigError("the configuration: benchmark.features: fingering needs registered keyboards; set benchmark.frame: keyboard")
    if config.benchmark.frame == "camera" and config.benchmark.correction.rows:
        raise ConfigError(
            "the configuration: benchmark.correction.rows: the models need registered keyboards; set benchmark.frame: keyboard"
        )
    names = ("position", "gesture", "fingertips", "autoencoder", "tuning", "correction")
    sections = {name: getattr(config.benchmark, name) for name in names}
    for name, network in (sections | {f"networks.{stage}": of for stage, of in config.benchmark.networks.items()}).items():
        batch = network.training.batch
        if config.device == "cuda" and batch < config.benchmark.gpus:
            raise ConfigError(
                f"the configuration: benchmark.{name}.training.batch: expected at least one window for each of {config.benchmark.gpus} GPUs "
                f"(benchmark.gpus), found {batch}; use fewer GPUs or a larger batch"
            )
    frames = config.benchmark.rate_hz * config.benchmark.window_s
    if frames != round(frames) or round(frames) % 8:
        raise ConfigError(
            f"the configuration: benchmark.window_s x benchmark.rate_hz: expected a multiple of 8 frames, found {frames:g}; change benchmark.window_s or benchmark.rate_hz"
        )
    return config


def _explain_problem(problem):
    """Describe a pydantic error in one line: the key, what was expected, what was found."""
    where = printable(".".join(str(part) for part in problem["loc"]))
    if problem["type"] == "extra_forbidden":
        if where in RENAMED:
            return f"{where}: this key is now called {RENAMED[where]}; rename it"
        known = _known_keys(problem["loc"][:-1])
        close = difflib.get_close_matches(str(problem["loc"][-1])[:MAX_LENGTH], known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
        return f"{where}: unknown key; {hint}"
    return f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}; found {short_repr(problem['input'])}"


def _known_keys(path):
    """Return the names of the keys of a section. `path`: the parts of the section's dotted key, a tuple."""
    section = Config
    for part in path:
        section = section.model_fields[part].annotation
    return list(section.model_fields)


def lookup(config, key):
    """Return the plain value of a dotted key, such as `motion.hampel.window`; a section gives a dict. Raises KeyError for an unknown key."""
    value = config
    for part in key.split("."):
        if part not in type(value).model_fields:
            raise KeyError(f"no configuration key {key!r}; docs/configuration.md lists all keys")
        value = getattr(value, part)
    return value.model_dump() if isinstance(value, Section) else value
