"""The typed configuration: every key with type, unit and range, checked before anything runs.

`handroll.config.reference` makes `workflow/schemas/*.json` and `docs/configuration.md` of it.
"""

import difflib
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from handroll.config.experiment import Benchmark
from handroll.config.section import Angle, NotNegative, Positive, Section, Share
from handroll.text import LONGEST, plain, shown


class Acquire(Section):
    """Listing and fetching videos. What only says how, not what, may change without anything being fetched again."""

    channels: Annotated[str, Field(min_length=1)] = Field(
        "config/channels.tsv", description="the sheet of channels to list, relative to the working directory"
    )
    takedown: Annotated[str, Field(min_length=1)] = Field(
        "config/takedown.tsv", description="the sheet of videos to take down, relative to the working directory; need not exist"
    )
    max_listed: Annotated[int, Field(ge=1)] = Field(5000, description="most videos to list of one channel, the first ones it shows")
    max_height_px: Annotated[int, Field(ge=144)] = Field(
        1080, description="largest picture height to download (px; the shorter side); local files are taken as they are"
    )
    max_size_gb: Positive = Field(8.0, description="largest download (GB)")
    min_free_gb: NotNegative = Field(5.0, description="disk space that downloads leave free (GB)")
    tries: Annotated[int, Field(ge=1, le=20)] = Field(5, description="tries of a download within a run, as long as they bring nothing new")
    back_off_s: Positive = Field(5.0, description="wait before the second try (s), doubled before each later one, with jitter")
    max_wait_s: Positive = Field(
        600.0, description="longest wait between two tries (s); a site that asks for a longer one is left for the next run"
    )
    pause_s: NotNegative = Field(1.0, description="pause before each request for a page, and before each download (s)")
    max_rate_mb_s: Positive | None = Field(None, description="bandwidth of one download (MB/s); null: no limit")


class Detection(Section):
    """Finding hands (MediaPipe, tracking mode)."""

    max_width_px: Annotated[int, Field(ge=160)] = Field(960, description="frames are scaled down to this width before detection (px)")
    min_detection_confidence: Share = Field(0.5, description="least palm score that starts a track")
    min_tracking_confidence: Share = Field(0.5, description="least landmark score that keeps a track")


class Resolution(Section):
    """Least picture size, whichever way the picture stands."""

    min_short_side_px: Annotated[int, Field(ge=0)] = Field(720, description="least shorter side (px); the paper's 1080")
    min_long_side_px: Annotated[int, Field(ge=0)] = Field(960, description="least longer side (px); 960 x 720 is 4:3; the paper's 1920")


class Duration(Section):
    """Length of a video."""

    min_s: Annotated[float, Field(ge=0)] = Field(8.0, description="least duration (s); the paper's 30, one clip")
    max_s: Positive = Field(7200.0, description="greatest duration (s)")


class Audio(Section):
    """Sound of a video."""

    required: bool = Field(True, description="a video without audio gives no clips")


class Editing(Section):
    """Cuts, frozen and black pictures, titles, pictures in the picture: they are trimmed, and reject a video where too little is left."""

    min_usable_s: NotNegative = Field(8.0, description="least playable time in all (s); the paper's 30, one clip")
    min_longest_s: NotNegative = Field(8.0, description="least length of the longest playable segment (s); the paper's 30, one clip")


class CameraMotion(Section):
    """Movement of the camera."""

    max_moving_share: Share = Field(0.3, description="greatest share of the time in which the camera moves; what is left is trimmed to")


class Performers(Section):
    """How many hands play, in the frames of the first look."""

    max_more_than_two_hands: Share = Field(0.1, description="greatest share of looked-at frames with hands that show more than two")
    min_one_hand_seen: Share = Field(
        0.5, description="least share of looked-at frames that show a hand, lest every frame is looked at in vain"
    )
    min_two_hands_seen: Share = Field(0.4, description="least share that shows two; lower it together with visibility.min_both_hands")


class Viewpoint(Section):
    """From where the keys are seen: by the registered keyboard, else by the hands."""

    max_tilt_deg: Angle = Field(26.0, description="greatest angle between the camera's axis and straight down (degrees)")
    side_view_deg: Angle = Field(55.0, description="from this angle on it is called a side view (degrees)")


class Silence(Section):
    """Loudness of the sound."""

    min_loud_db: Annotated[float, Field(le=0)] = Field(-60.0, description="least level of the loud parts (dB of full scale)")
    max_silent_share: Share = Field(0.2, description="greatest share of the time in silences longer than 5 s")


class Clipping(Section):
    """Sound that is cut off at the limit."""

    max_clipped_share: Share = Field(0.002, description="greatest share of samples near the peak")


class Speech(Section):
    """Talking, by the classifier named in survey.speech_classifier."""

    max_speech_share: Share = Field(0.03, description="greatest share of the time in which somebody speaks")


class Purity(Section):
    """Piano alone: what the transcribed notes do not explain of the sound."""

    max_foreign_db: Annotated[float, Field(le=0)] = Field(-8.0, description="greatest power of foreign sound (dB of the recording's power)")
    max_lasting_db: Annotated[float, Field(le=0)] = Field(
        -55.0, description="greatest power of foreign sound without the tenth of the time that has most of it (dB of the recording's power)"
    )
    max_noise_db: Annotated[float, Field(le=0)] = Field(-20.0, description="greatest power of steady noise (dB of the recording's power)")


class Visibility(Section):
    """Hands over the playable segments."""

    min_both_hands: Share = Field(0.8, description="least share of frames with both hands found; the paper's 80 %")
    min_any_hand: Share = Field(0.8, description="least share of frames with at least one hand found")


class Screening(Section):
    """Thresholds a video must pass. Scores are measured without them, so changing one reruns only the cheap steps."""

    motion_without_audio: bool = Field(
        True, description="videos whose audio is missing or rejected still give hand motion, though no clips; false: they give nothing"
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
    """A first look at every video."""

    samples: Annotated[int, Field(ge=8)] = Field(48, description="frames, evenly spread, in which hands are looked for")
    speech_classifier: Literal["silero"] = Field("silero", description="what tells speech from music")


class Temporal(Section):
    """Refinement of the poses over time, for any engine; not part of the paper."""

    enabled: bool = Field(
        False, description="all poses of a hand are fitted again as one motion, which takes most of an engine's jitter and keeps strokes"
    )
    smoothness: Annotated[float, Field(ge=0.01, le=100)] = Field(
        1.0,
        description="weight of smooth motion against what is seen, relative to the tuned one; 2 takes up to a tenth of the strokes' speed, 0.5 a third less of the jitter",
    )
    window_s: Annotated[float, Field(ge=1, le=600)] = Field(
        8.0, description="length of what is fitted at once (s), beside 0.5 s on both sides that windows share; memory grows with it"
    )


class Hamer(Section):
    """The engine HaMeR, whose files you get yourself: docs/hamer.md."""

    checkpoint: Annotated[str, Field(min_length=1)] = Field(
        "resources/weights/hamer/hamer_ckpts/checkpoints/hamer.ckpt",
        description="the released checkpoint, with model_config.yaml one folder above its own, as in the archive",
    )
    mano: Annotated[str, Field(min_length=1)] = Field("resources/weights/mano/MANO_RIGHT.pkl", description="MANO's right hand, v1.2")
    precision: Literal["bf16", "fp32"] = Field("bf16", description="of the backbone's matrices; all else is fp32")
    batch: Annotated[int, Field(ge=1)] = Field(64, description="hands at a time, across frames; on a CPU 2 to 4 are fastest")
    rescale: Annotated[float, Field(ge=1)] = Field(2.0, description="how much larger than the hand's box its crop is; HaMeR's 2")
    shape: Literal["video", "frame"] = Field("video", description="one shape a hand and video (robust mean), or HaMeR's own one a frame")
    refit: bool = Field(True, description="with one shape a video: poses are fitted to it; false: rotations stay as HaMeR gives them")
    compile: bool = Field(True, description="on a GPU: compile the network, which takes minutes once and pays in long videos")


class Pose(Section):
    """From hands in the picture to MANO parameters."""

    engine: Literal["landmarks", "hamer"] = Field(
        "landmarks", description="which engine fits the pose: the detected landmarks alone, or HaMeR's network on the picture"
    )
    camera: Literal["keyboard", "hamer"] = Field(
        "keyboard",
        description="the camera that poses are before: that of the registered keyboard where there is one; or always HaMeR's convention, as in PianoMotion10M, which is over no keys",
    )
    focal_px: Positive | None = Field(
        None,
        description="true focal length of every camera (px of the shown picture); a sheet's focal_px wins; null: as the keyboard tells it, and where none is registered 5000/256 x longer side, HaMeR's convention",
    )
    hand_length_m: Positive | None = Field(
        None,
        description="wrist to middle fingertip of the player (m); null: by how large the hands look above the keyboard, and where none is registered the template's 0.186",
    )
    contacts: bool = Field(
        True,
        description="fingertips that the notes place on keys are fitted at the height of a key held down; false: heights by sight alone",
    )
    temporal: Temporal = Temporal()
    hamer: Hamer = Hamer()


class Hampel(Section):
    """Outliers become missing."""

    window: Positive = Field(20, description="width of the running window (frames or s, see motion.units); the paper's 20 frames")
    n_sigma: Positive = Field(3.0, description="how many robust standard deviations from the running median is an outlier")
    floor_m: NotNegative = Field(0.008, description="least scale of x and y (m); 0: none, as in the paper")
    floor_depth: NotNegative = Field(0.03, description="least scale of depth, as a share of it; 0: none")
    floor_rad: NotNegative = Field(0.0175, description="least scale of angles (rad); 0: none")


class Gap(Section):
    """Missing stretches."""

    shorter_than: NotNegative = Field(
        30, description="gaps shorter than this are interpolated, others hidden (frames or s; the paper's 30)"
    )


class Run(Section):
    """Visible stretches."""

    shorter_than: NotNegative = Field(15, description="visible runs shorter than this are hidden (frames or s; the paper's 15)")


class Savgol(Section):
    """Savitzky-Golay smoothing."""

    order: Annotated[int, Field(ge=0, le=7)] = Field(3, description="degree of the local polynomial; the paper's 3")
    window: Positive = Field(11, description="width of the local fit (frames or s); the paper's 11 frames")


class Motion(Section):
    """Cleaning of the fitted poses; the paper's defaults, with a floor under its outlier filter."""

    units: Literal["frames", "seconds"] = Field("frames", description="unit of every length in this section")
    hampel: Hampel = Hampel()
    gap: Gap = Gap()
    run: Run = Run()
    savgol: Savgol = Savgol()


class MidiCheck(Section):
    """Is a MIDI file the sound of its recording? Below these limits it is."""

    correct: bool = Field(True, description="a given MIDI whose only faults are offset and drift is used, corrected; false: it is not used")
    max_offset_s: NotNegative = Field(0.005, description="greatest offset between notes and sound (s)")
    max_drift_s: NotNegative = Field(0.015, description="most that drift may amount to from the first note to the last (s)")
    max_late_share: Share = Field(
        0.05, description="greatest share of notes more than the paper's 30 ms from their time, offset and drift taken back"
    )
    max_silent_share: Share = Field(
        0.4, description="greatest share of notes that do not sound at their pitch; 0 to 20 % in true files, the more the faster the music"
    )
    max_wrong_share: Share = Field(
        0.03, description="greatest share of notes of another pitch, and of another octave, than the transcription and the sound tell"
    )
    max_missing_share: Share = Field(0.03, description="greatest share of transcribed, sounding notes that are missing")
    max_extra_share: Share = Field(
        0.05, description="greatest share of notes neither transcribed nor sounding; keys brushed without a sound are 4 % of a true file"
    )
    max_level_deviation: NotNegative = Field(
        0.1,
        description="greatest median deviation of velocities from the transcribed, as a share, beyond the engine's own error, scale and trend over the keyboard taken back; the paper's 10 %",
    )
    max_level_scale: NotNegative = Field(
        0.2, description="greatest factor above 1 (or below its inverse) between velocities and the transcribed; 0.2: from 1/1.2 to 1.2"
    )
    min_level_correlation: Annotated[float, Field(ge=-1, le=1)] = Field(
        0.25,
        description="least rank correlation of velocities with the transcribed, or with the sound's levels where nothing is transcribed",
    )


class Transkun(Section):
    """The engine Transkun, which hears segments of 16 s, one at a time."""

    hop_s: Annotated[float, Field(gt=0, le=16)] = Field(
        8.0, description="from one segment's start to the next (s); 16 is twice as fast, with less context where two segments meet"
    )


class Kong(Section):
    """The engine Kong et al. 2021, the paper's; its weights are a file that you put there (docs/weights.md)."""

    checkpoint: Annotated[str, Field(min_length=1)] = Field(
        "resources/weights/kong/note_F1=0.9677_pedal_F1=0.9186.pth", description="the weights, relative to the working directory"
    )


class Music(Section):
    """Transcription, and whether given notes are those of the sound."""

    engine: Literal["transkun", "kong"] = Field(
        "transkun", description="which engine transcribes the sound; kong hears the end of a note's sound, not of the key"
    )
    transkun: Transkun = Transkun()
    kong: Kong = Kong()
    midi_check: MidiCheck = MidiCheck()


class Keyboard(Section):
    """Registering the keyboard and labelling the fingers."""

    frames: Annotated[int, Field(ge=4)] = Field(48, description="frames, evenly spread, whose median shows the keys without the hands")
    min_finger_confidence: Share = Field(0.7, description="labels of hand and finger with less confidence are withheld")


class Clips(Section):
    """Cutting videos into clips."""

    length_s: Positive = Field(30.0, description="length of a clip (s); the paper's 30")
    hop_s: Positive = Field(24.0, description="from one clip's start to the next (s); the paper's 24")
    min_length_s: Positive = Field(
        8.0,
        description="a playable segment shorter than length_s gives one shorter clip where it is at least this long (s); the paper's 30: none",
    )
    min_visibility: Share = Field(0.8, description="least share of frames x hands that are observed or interpolated; the paper's 80 %")
    min_key_press_f1: Share = Field(
        0.1,
        description="minimum key press F1 of a clip with a registered keyboard and at least 10 notes; other music scores 0.02, 0 accepts any",
    )


class Splits(Section):
    """Which videos go to train, valid and test; by a hash of the video's name, so that adding one moves no other."""

    seed: int = Field(0, description="another seed deals the videos anew")
    train: Annotated[float, Field(ge=0)] = Field(0.8, description="share of train, relative to the sum of the three")
    valid: Annotated[float, Field(ge=0)] = Field(0.1, description="share of valid")
    test: Annotated[float, Field(ge=0)] = Field(0.1, description="share of test")


class Rights(Section):
    """Whose clips the published files hold: those of either list. What is refused never leaves, whatever its licence."""

    permissions: list[Literal["granted", "unknown"]] = Field(["granted"], description="permissions that are enough by themselves")
    licences: list[str] = Field(
        ["CC0-1.0", "CC-BY-3.0", "CC-BY-4.0"],
        description="licences that allow it where the permission is unknown; SPDX names, spelt as you like (`cc by 4.0`)",
    )


class Dataset(Section):
    """The published files."""

    name: Annotated[str, Field(min_length=1, max_length=80)] = Field("handroll dataset", description="title of the dataset card")
    shard_mb: Positive = Field(128.0, description="target size of a Parquet shard (MB)")
    row_group_rows: Annotated[int, Field(ge=1)] = Field(8, description="clips a row group: what a reader holds at least")
    rights: Rights = Rights()


class PianoMotion10M(Section):
    """The released dataset PianoMotion10M, to import, and its layout, to export to: docs/pianomotion10m.md."""

    folder: Annotated[str, Field(min_length=1)] = Field(
        "resources/pianomotion10m", description="the released tree: annotation, audio, midi and the lists of videos"
    )
    subjects: list[Annotated[str, Field(coerce_numbers_to_str=True)]] = Field([], description="import only these; empty: all")
    mean_pose: Literal["absolute", "subtracted"] = Field(
        "absolute",
        description="what its rotations are relative to, read and written: the flat hand, or MANO's mean pose, which needs the file pose.hamer.mano",
    )


class Synthetic(Section):
    """A training set of invented music, without videos; cut by `clips`, dealt by the shares of `splits`, packed as `dataset` says."""

    hours: Positive = Field(0.5, description="length of all takes (h), rounded up to whole ones")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="another seed makes other music, hands, cameras and pianos")
    take_s: Annotated[float, Field(ge=20)] = Field(120.0, description="length of a take (s); at least clips.length_s")
    fps: Annotated[float, Field(ge=10, le=240)] = Field(30.0, description="frames a second")
    audio: bool = Field(True, description="with audio; false: clips have none")
    audio_rate_hz: Annotated[int, Field(ge=8000, le=48000)] = Field(16000, description="sampling rate of the sound (Hz)")


class Overlay(Section):
    """Hands drawn on the video."""

    max_height_px: Annotated[int, Field(ge=144)] = Field(720, description="largest height of the source picture in the overlay (px)")


class Evaluation(Section):
    """How accurate every stage is, against the truth of simulated performances: docs/evaluation.md."""

    performances: Annotated[int, Field(ge=1)] = Field(6, description="simulated performances, each with a seed of its own")
    first_seed: Annotated[int, Field(ge=0)] = Field(5101, description="seed of the first; those below 1000 served development")
    duration_s: Annotated[float, Field(ge=4)] = Field(20.0, description="length of each (s)")
    width_px: Annotated[int, Field(ge=320)] = Field(1920, description="width of the frames (px), 16:9")
    fps: Annotated[float, Field(ge=10, le=240)] = Field(30.0, description="frames a second")
    scenes: Annotated[int, Field(ge=0)] = Field(
        8, description="scenes of each kind in which only the registration is scored; twice as many with a reflection or a lamp"
    )
    recordings: str | None = Field(
        None, description="a sheet of real videos, relative to the working directory, to measure what needs no truth; null: none"
    )


class Config(Section):
    """All of handroll's configuration."""

    sheet: Annotated[str, Field(min_length=1)] = Field(
        "config/videos.tsv", description="the sheet of videos, relative to the working directory"
    )
    device: Literal["cpu", "cuda"] = Field("cpu", description="where networks run; cuda: a GPU, without which the rules that want it fail")
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
"""Keys of earlier versions and what they are called now; a configuration that uses one is rejected with the new name."""


class ConfigError(ValueError):
    """The configuration is not right; the message lists every problem."""


def parse_config(values):
    """The configuration from nested plain values (as YAML gives), defaults filled in.

    Raises
    ------
    ConfigError
        Unknown keys (with the likely meant one), wrong types or values out of range, all in one message.
    """
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        lines = "\n".join(f"  {_explain(problem)}" for problem in error.errors())
        raise ConfigError(f"the configuration has {error.error_count()} problem(s):\n{lines}") from None
    if config.splits.train + config.splits.valid + config.splits.test <= 0:
        raise ConfigError("the configuration: splits.train, valid and test are all 0; give at least one a share above 0")
    if config.benchmark.weights.released and config.benchmark.frame != "camera":
        raise ConfigError("the configuration: benchmark.weights.released: its motion is before the camera; set benchmark.frame: camera")
    if config.benchmark.data == "pianomotion10m" and config.benchmark.frame != "camera":
        raise ConfigError("the configuration: benchmark.data: PianoMotion10M has no registered keyboards; set benchmark.frame: camera")
    for name in ("position", "gesture", "autoencoder", "tuning"):
        batch = getattr(config.benchmark, name).training.batch
        if config.device == "cuda" and batch < config.benchmark.gpus:
            raise ConfigError(
                f"the configuration: benchmark.{name}.training.batch: expected at least a window for each of {config.benchmark.gpus} GPUs "
                f"(benchmark.gpus), found {batch}; use fewer GPUs or a larger batch"
            )
    frames = config.benchmark.rate_hz * config.benchmark.window_s
    if frames != round(frames) or round(frames) % 8:
        raise ConfigError(f"the configuration: benchmark.window_s x rate_hz: expected a multiple of 8 frames, found {frames:g}")
    return config


def _explain(problem):
    """One line on a pydantic error: where, what was expected, what was found."""
    where = plain(".".join(str(part) for part in problem["loc"]))
    if problem["type"] == "extra_forbidden":
        if where in RENAMED:
            return f"{where}: this key is now called {RENAMED[where]}; rename it"
        known = _keys_of(problem["loc"][:-1])
        close = difflib.get_close_matches(str(problem["loc"][-1])[:LONGEST], known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
        return f"{where}: unknown key; {hint}"
    return f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}; found {shown(problem['input'])}"


def _keys_of(path):
    section = Config
    for part in path:
        section = section.model_fields[part].annotation
    return list(section.model_fields)


def lookup(config, key):
    """The plain value at a dotted key, such as `motion.hampel.window`; raises KeyError naming the key."""
    value = config
    for part in key.split("."):
        if part not in type(value).model_fields:
            raise KeyError(f"no configuration key {key!r}")
        value = getattr(value, part)
    return value.model_dump() if isinstance(value, Section) else value
