"""Why a video or a clip does not enter the dataset: the one enumeration that every step names its reasons from."""

from enum import StrEnum


class Reason(StrEnum):
    """A reason, equal to its name in lower case; tables and JSON files store that name.

    Attributes
    ----------
    stops : str
        "motion": no hand motion is taken from the video (or clip), so it gives nothing at all. "sound": the motion is
        good, but without the sound or notes that belong to it there is no dataset clip.
    description : str
        One sentence for reports.
    """

    stops: str
    description: str

    def __new__(cls, value, stops, description):
        """Make the member `value`, carrying what it stops and its description."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.stops = stops
        member.description = description
        return member

    REJECTED_BY_HAND = "rejected_by_hand", "motion", "A person rejected the video in the sheet."
    TAKEN_DOWN = "taken_down", "motion", "The video stands on the takedown list."

    SOURCE_MISSING = "source_missing", "motion", "The file that the video sheet names does not exist."
    SOURCE_EMPTY = "source_empty", "motion", "The file has zero bytes."
    DOWNLOAD_GONE = "download_gone", "motion", "The site says that the video was removed, is private, or never existed."
    UNREADABLE = "unreadable", "motion", "The file is not a media file that can be opened."
    NO_VIDEO_STREAM = "no_video_stream", "motion", "The file holds no video stream."
    NO_FRAMES = "no_frames", "motion", "The video stream holds no frame that can be decoded."
    SINGLE_FRAME = "single_frame", "motion", "The video stream holds one frame only: a picture, not a video."
    TRUNCATED = "truncated", "motion", "Fewer frames can be decoded than the container promises: the file was cut off or is damaged."
    TOO_SHORT = "too_short", "motion", "The video is shorter than the shortest duration accepted."
    TOO_LONG = "too_long", "motion", "The video is longer than the longest duration accepted."
    LOW_RESOLUTION = "low_resolution", "motion", "The picture is smaller than the smallest size accepted."
    NO_HANDS = "no_hands", "motion", "No hand was found in any frame."
    HANDS_RARELY_VISIBLE = "hands_rarely_visible", "motion", "Both hands are found in too small a share of the frames."
    CLIP_HANDS_HIDDEN = "clip_hands_hidden", "motion", "The hands are hidden in too large a share of the clip."

    NO_AUDIO = "no_audio", "sound", "The file holds no audio stream."
    AUDIO_EMPTY = "audio_empty", "sound", "The audio stream holds no sound during the video."
    MIDI_UNREADABLE = "midi_unreadable", "sound", "The given MIDI file cannot be read."
    MIDI_DISAGREES = "midi_disagrees", "sound", "The given MIDI file does not fit the recording."
    CLIP_NO_SOUND = "clip_no_sound", "sound", "The clip lies outside the sound of the video, or its sound is silent."
    CLIP_NO_NOTES = "clip_no_notes", "sound", "No note is played during the clip."


def join_reasons(reasons):
    """Reasons as one cell of a table: names in the given order, comma separated; empty where there is none."""
    return ",".join(Reason(reason) for reason in reasons)


def split_reasons(cell):
    """The inverse of `join_reasons`: a tuple of Reason."""
    return tuple(Reason(name) for name in cell.split(",") if name)
