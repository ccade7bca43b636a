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
    DOWNLOAD_GONE = "download_gone", "motion", "The site says that the video was removed, or never existed."
    DOWNLOAD_PRIVATE = "download_private", "motion", "The site says that the video is private."
    DOWNLOAD_GEO_BLOCKED = "download_geo_blocked", "motion", "The site does not show the video here, for its country or a law."
    DOWNLOAD_NEEDS_LOGIN = "download_needs_login", "motion", "The site shows the video only after a login, a payment or a check of the age."
    DOWNLOAD_TOO_LARGE = "download_too_large", "motion", "The download is larger than the largest accepted."
    DOWNLOAD_NOT_A_VIDEO = "download_not_a_video", "motion", "The address gives no video, but a page without one, or another file."
    DOWNLOAD_IS_A_LIST = "download_is_a_list", "motion", "The address is that of a list of videos, which has to be listed first."
    DOWNLOAD_SHORTENED = "download_shortened", "motion", "The file is much shorter than the site says that the video is, as a preview is."
    DOWNLOAD_REFUSED_ADDRESS = (
        "download_refused_address",
        "motion",
        "The address, or one that it leads on to, is not of the public internet.",
    )
    DOWNLOAD_UNSUPPORTED = "download_unsupported", "motion", "The site gives the video in no way that can be downloaded, as with DRM."
    DOWNLOAD_LIVE = "download_live", "motion", "The video is a live stream, or is yet to come."
    DOWNLOAD_NOT_UNDERSTOOD = "download_not_understood", "motion", "The site's answer could not be understood, as when it has changed."
    DOWNLOAD_FORBIDDEN = "download_forbidden", "motion", "The site refused to give the video, without saying why."
    DOWNLOAD_THROTTLED = "download_throttled", "motion", "The site asked for patience, and went on asking for it."
    DOWNLOAD_SERVER_ERROR = "download_server_error", "motion", "The site's server had an error, and went on having it."
    DOWNLOAD_NETWORK = "download_network", "motion", "The site could not be reached, or the connection kept breaking."
    DOWNLOAD_INCOMPLETE = "download_incomplete", "motion", "Less came than the site had announced, at every try."
    UNREADABLE = "unreadable", "motion", "The file is not a media file that can be opened."
    NO_VIDEO_STREAM = "no_video_stream", "motion", "The file holds no video stream."
    NO_FRAMES = "no_frames", "motion", "The video stream holds no frame that can be decoded."
    SINGLE_FRAME = "single_frame", "motion", "The video stream holds one frame only: a picture, not a video."
    TRUNCATED = "truncated", "motion", "Fewer frames can be decoded than the container promises: the file was cut off or is damaged."
    TOO_SHORT = "too_short", "motion", "The video is shorter than the shortest duration accepted."
    TOO_LONG = "too_long", "motion", "The video is longer than the longest duration accepted."
    LOW_RESOLUTION = "low_resolution", "motion", "The picture is smaller than the smallest size accepted."
    SIDE_VIEW = "side_view", "motion", "The keys are seen from the side, not from above."
    TILTED_VIEW = "tilted_view", "motion", "The camera looks at the keys at too large an angle from straight down."
    MORE_THAN_TWO_HANDS = "more_than_two_hands", "motion", "More than two hands play: several people are seen."
    CUT_UP = "cut_up", "motion", "Too little of the video is one uninterrupted view of the keys."
    CAMERA_MOVES = "camera_moves", "motion", "The camera moves during too large a share of the video."
    NO_HANDS = "no_hands", "motion", "No hand was found in any frame."
    HANDS_RARELY_VISIBLE = "hands_rarely_visible", "motion", "Both hands are found in too small a share of the frames."
    CLIP_HANDS_HIDDEN = "clip_hands_hidden", "motion", "The hands are hidden in too large a share of the clip."
    CLIP_MOTION_OFF_NOTES = (
        "clip_motion_off_notes",
        "motion",
        "The fingertips press hardly any of the notes: the keyboard, the notes or the hands are wrong.",
    )

    NO_AUDIO = "no_audio", "sound", "The file holds no audio stream."
    AUDIO_EMPTY = "audio_empty", "sound", "The audio stream holds no sound during the video."
    SOUND_SILENT = "sound_silent", "sound", "The sound is silent, or falls silent for too large a share of the time."
    SOUND_CLIPPED = "sound_clipped", "sound", "The sound is clipped: too many of its samples lie at its limit."
    SPEECH = "speech", "sound", "Somebody speaks during too large a share of the sound."
    SOUND_IMPURE = (
        "sound_impure",
        "sound",
        "There is sound that the piano's notes do not explain: a voice, another instrument, passing noise.",
    )
    SOUND_NOISY = "sound_noisy", "sound", "There is too much steady noise behind the piano."
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
