"""Rejection reasons: why a video or clip is not part of the dataset. Every step uses this enumeration."""

from enum import StrEnum

MOTION = "motion"
"""Value of `Reason.stops`: the video or clip gives no hand motion."""

AUDIO = "audio"
"""Value of `Reason.stops`: the hand motion is usable, but the audio or the notes are not."""


class Reason(StrEnum):
    """A rejection reason. As a string it is its name in lower case, which tables and JSON files contain.

    Attributes
    ----------
    stops : str
        "motion": the video or clip gives no hand motion, and therefore no other result. "audio": the hand motion is usable, but the
        audio or the notes are not, so there is no dataset clip.
    description : str
        What is wrong, as one sentence.
    advice : str
        What the user can do, as an imperative clause without a full stop.
    """

    stops: str
    description: str
    advice: str

    def __new__(cls, value, stops, description, advice):
        """Create a member from its value, which is its name in lower case, and its attributes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.stops = stops
        member.description = description
        member.advice = advice
        return member

    @property
    def sentence(self):
        """Description and advice in one sentence."""
        return f"{self.description.removesuffix('.')}: {self.advice}."

    REJECTED_BY_HAND = (
        "rejected_by_hand",
        MOTION,
        "A person rejected the video in the sheet.",
        "remove `reject` from the column `override` to use it again",
    )
    TAKEN_DOWN = "taken_down", MOTION, "The video is on the takedown list.", "remove its row from the sheet of videos"

    SOURCE_MISSING = "source_missing", MOTION, "There is no file at the given path.", "correct the path of the video"
    SOURCE_EMPTY = "source_empty", MOTION, "The file is empty (zero bytes).", "copy or record the video again"
    SOURCE_LOCKED = (
        "source_locked",
        MOTION,
        "You have no permission to read the file.",
        "change the permissions of the file and of the folders above it",
    )
    SOURCE_IS_FOLDER = (
        "source_is_folder",
        MOTION,
        "The path is that of a folder, but a video file was expected.",
        "give the path of the video file in it (one row or one argument for each video)",
    )
    SOURCE_IS_PICTURE = (
        "source_is_picture",
        MOTION,
        "The file is an image (or an animation made of images), but a video was expected.",
        "give a video file such as mp4, mov, mkv or webm",
    )
    SOURCE_IS_TEXT = (
        "source_is_text",
        MOTION,
        "The file contains text, but a video was expected.",
        "check that the path is that of the video itself, not of a web page, a list or a text file about it",
    )
    SOURCE_IS_PLAYLIST = (
        "source_is_playlist",
        MOTION,
        "The file is a playlist or script that only refers to other files, but a video was expected.",
        "give the video file to which it refers, or join the parts into one mp4 or mkv file first",
    )
    DOWNLOAD_GONE = (
        "download_gone",
        MOTION,
        "The site reports that the video was removed or never existed.",
        "check the address or remove the row",
    )
    DOWNLOAD_PRIVATE = "download_private", MOTION, "The site reports that the video is private.", "ask its owner for access or for the file"
    DOWNLOAD_GEO_BLOCKED = (
        "download_geo_blocked",
        MOTION,
        "The site does not offer the video in this country or blocks it by law.",
        "leave the video out or ask its owner for the file",
    )
    DOWNLOAD_NEEDS_LOGIN = (
        "download_needs_login",
        MOTION,
        "The site offers the video only after a login, a payment or an age check.",
        "set `HANDROLL_COOKIES` (docs/how-to/download.md) if the site's terms allow it",
    )
    DOWNLOAD_TOO_LARGE = (
        "download_too_large",
        MOTION,
        "The download is larger than the maximum size.",
        "raise `acquire.max_size_gb` or lower `acquire.max_height_px`",
    )
    DOWNLOAD_NOT_A_VIDEO = (
        "download_not_a_video",
        MOTION,
        "The address is that of a page without a video, or of another kind of file.",
        "give the address of the video's own page",
    )
    DOWNLOAD_IS_A_LIST = (
        "download_is_a_list",
        MOTION,
        "The address is that of a channel or playlist, but a single video was expected.",
        "add its videos to the sheet with `handroll list`",
    )
    DOWNLOAD_SHORTENED = (
        "download_shortened",
        MOTION,
        "The downloaded file is much shorter than the duration that the site reports; it may be a preview.",
        "set `HANDROLL_COOKIES` (docs/how-to/download.md) if the site's terms allow it, or leave the video out",
    )
    DOWNLOAD_REFUSED_ADDRESS = (
        "download_refused_address",
        MOTION,
        "The address is not an http or https URL with a host.",
        "correct the address in the sheet, or give the path of a file",
    )
    DOWNLOAD_UNSUPPORTED = (
        "download_unsupported",
        MOTION,
        "The site offers no format of the video that can be downloaded, for example only formats with DRM.",
        "ask its owner for the file",
    )
    DOWNLOAD_LIVE = "download_live", MOTION, "The video is a live stream or has not started yet.", "run again when the stream has ended"
    DOWNLOAD_NOT_UNDERSTOOD = (
        "download_not_understood",
        MOTION,
        "The site's response could not be parsed, for example because the site has changed.",
        "update yt-dlp and run again",
    )
    DOWNLOAD_FORBIDDEN = (
        "download_forbidden",
        MOTION,
        "The site refused the download without giving a reason.",
        "run again later, or download the file yourself and give its path",
    )
    DOWNLOAD_THROTTLED = (
        "download_throttled",
        MOTION,
        "The site limits the number of downloads and refused this one, even after several waits.",
        "run again later",
    )
    DOWNLOAD_SERVER_ERROR = "download_server_error", MOTION, "The site's server returned an error at every try.", "run again later"
    DOWNLOAD_NETWORK = (
        "download_network",
        MOTION,
        "The site could not be reached, or the connection was lost at every try.",
        "check the address and the network, then run again",
    )
    DOWNLOAD_INCOMPLETE = (
        "download_incomplete",
        MOTION,
        "Every try returned less data than the size that the site reports.",
        "run again: the download resumes",
    )
    DOWNLOAD_TOO_SLOW = (
        "download_too_slow",
        MOTION,
        "The site's server sends less than 1 kB/s.",
        "run again later: the download resumes",
    )
    UNREADABLE = (
        "unreadable",
        MOTION,
        "The file is not a video in a supported format, or it is damaged.",
        "check that it plays in a video player, and convert it to mp4 if it does",
    )
    NO_VIDEO_STREAM = (
        "no_video_stream",
        MOTION,
        "The file contains no video, only audio or other data.",
        "give the video file that shows the hands",
    )
    NO_FRAMES = (
        "no_frames",
        MOTION,
        "No frame of the video can be decoded.",
        "check that it plays in a video player, and convert it to H.264 in mp4 if it does",
    )
    SINGLE_FRAME = "single_frame", MOTION, "The video consists of a single frame.", "give a video of at least some seconds"
    TRUNCATED = (
        "truncated",
        MOTION,
        "The file is shorter than its header states, because it was cut off or is damaged.",
        "copy or download the file again, or save the readable part as a new file",
    )
    TOO_SHORT = (
        "too_short",
        MOTION,
        "The video is shorter than the minimum duration.",
        "give a longer video or lower `screening.duration.min_s`",
    )
    TOO_LONG = (
        "too_long",
        MOTION,
        "The video is longer than the maximum duration.",
        "cut it into parts or raise `screening.duration.max_s`",
    )
    LOW_RESOLUTION = (
        "low_resolution",
        MOTION,
        "The frames are smaller than the minimum size.",
        "give a larger version of the video or lower `screening.resolution`",
    )
    SIDE_VIEW = "side_view", MOTION, "The camera shows the keys from the side.", "film from straight above the keys"
    TILTED_VIEW = (
        "tilted_view",
        MOTION,
        "The camera's tilt from straight down is too large.",
        "film from more directly above the keys",
    )
    MORE_THAN_TWO_HANDS = (
        "more_than_two_hands",
        MOTION,
        "More than two hands are visible, so several people play.",
        "use videos of one pianist, or keep only the part in which one pianist plays",
    )
    CUT_UP = (
        "cut_up",
        MOTION,
        "Too little of the video is usable, because of cuts, titles, freeze frames, insets or camera motion.",
        "use the unedited recording from one camera",
    )
    CAMERA_MOVES = (
        "camera_moves",
        MOTION,
        "The camera moves during too large a share of the video.",
        "mount the camera on a stand",
    )
    NO_HANDS = (
        "no_hands",
        MOTION,
        "No hand was detected in any frame.",
        "check that both hands are in view, sharp and well lit",
    )
    HANDS_RARELY_VISIBLE = (
        "hands_rarely_visible",
        MOTION,
        "Both hands are detected in too small a share of the frames.",
        "check that both hands are in view, sharp and well lit while playing",
    )
    CLIP_HANDS_HIDDEN = (
        "clip_hands_hidden",
        MOTION,
        "The hands are hidden in too large a share of the clip.",
        "use other clips of the video or lower `clips.min_visibility`",
    )
    CLIP_MOTION_OFF_NOTES = (
        "clip_motion_off_notes",
        MOTION,
        "The fingertips press too few of the keys that the notes require.",
        "look in the overlay for a wrong keyboard registration, wrong notes or wrong hands, or lower `clips.min_key_press_f1`",
    )

    NO_AUDIO = "no_audio", AUDIO, "The video has no audio.", "record with audio or give the notes as a MIDI file"
    AUDIO_EMPTY = (
        "audio_empty",
        AUDIO,
        "The audio stream contains no samples during the video.",
        "export the video with its audio again",
    )
    SOUND_SILENT = (
        "sound_silent",
        AUDIO,
        "The audio is silent for the whole time, or for too large a share of it.",
        "record the piano with a microphone, or give the notes as a MIDI file",
    )
    SOUND_CLIPPED = (
        "sound_clipped",
        AUDIO,
        "Too many samples of the audio are clipped.",
        "record at a lower level",
    )
    SPEECH = "speech", AUDIO, "Somebody speaks during too large a share of the audio.", "remove the parts with speech"
    SOUND_IMPURE = (
        "sound_impure",
        AUDIO,
        "The audio contains other sounds than the piano, such as a voice, another instrument or noise.",
        "use a recording of the piano alone",
    )
    SOUND_NOISY = "sound_noisy", AUDIO, "The audio contains too much steady noise.", "record closer to the piano or remove the noise"
    MIDI_UNREADABLE = "midi_unreadable", AUDIO, "The given MIDI file cannot be read.", "export it again as a standard MIDI file"
    MIDI_DISAGREES = (
        "midi_disagrees",
        AUDIO,
        "The given MIDI file does not match the audio.",
        "give the MIDI file of this performance; without a MIDI file, the transcription is used",
    )
    CLIP_NO_SOUND = (
        "clip_no_sound",
        AUDIO,
        "The clip is silent or outside the video's audio.",
        "use the parts of the video in which the piano sounds",
    )
    CLIP_NO_NOTES = (
        "clip_no_notes",
        AUDIO,
        "No note is played during the clip.",
        "use the parts of the video in which the piano is played",
    )


def join_reasons(reasons):
    """Return reasons as one cell of a table: their names in the given order, separated by commas."""
    return ",".join(Reason(reason) for reason in reasons)


def split_reasons(cell):
    """Return the reasons of a cell written by `join_reasons`, as a tuple of Reason."""
    return tuple(Reason(name) for name in cell.split(",") if name)
