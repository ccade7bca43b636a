"""MusicXML files: decode the parts of a score, with positions in quarter notes as written.

Uncompressed (.musicxml, .xml) and compressed (.mxl) files with the root `score-partwise` are supported. Any input gives either parts or a
`MusicXmlError`, in limited time and memory: entities are refused, nothing outside the file is opened, and sizes are limited, also after
decompression. Only what is needed to play is decoded, see https://www.w3.org/2021/06/musicxml40/. The library partitura is not used: its
version 1.9.0 ignores metronome marks, pedal changes and decimal durations, and cannot unfold more than 52 sections.
"""

import io
import lzma
import re
import zipfile
import zlib
from dataclasses import dataclass, field
from xml.etree.ElementTree import TreeBuilder
from xml.parsers import expat

from handroll.music.playing_order import MAX_MEASURES, Measure

MAX_BYTES = 64 * 1024**2
"""Maximum size of the XML (bytes). 40,000 notes take 10 to 30 MB."""

MAX_COMPRESSED_BYTES = 8 * 1024**2
"""Maximum size of a compressed file (bytes). It also limits the number of files in the archive."""

MAX_PARTS = 200
"""Maximum number of parts. The largest orchestral scores have about 60."""

MAX_NOTES = 200_000
"""Maximum number of notes, also with all repeats. An hour of fast music has about 40,000."""

MIN_QUARTERS_PER_MIN, MAX_QUARTERS_PER_MIN = 4.0, 1000.0
"""Range of tempos, in quarter notes per minute."""

FORTE_VELOCITY = 90
"""MIDI velocity of 100 % in the attribute `dynamics`, as the MusicXML standard defines."""

# MIDI velocities of dynamic marks, as MuseScore plays them (MuseScore handbook, "Dynamics").
_VELOCITIES = {"pppp": 10, "ppp": 16, "pp": 33, "p": 49, "mp": 64, "mf": 80, "f": 96, "ff": 112, "fff": 126, "ffff": 127}

# Length in quarter notes of the note values in metronome marks.
_QUARTERS = {"breve": 8.0, "whole": 4.0, "half": 2.0, "quarter": 1.0, "eighth": 0.5, "16th": 0.25, "32nd": 0.125}

# Semitones of the natural notes above C.
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

# Maximum number of elements of a measure. A dense measure of piano music has about 3,000.
_MAX_ELEMENTS = 200_000

# Maximum depth of the elements outside measures.
_MAX_DEPTH = 100

# Maximum size of the list of contents of a compressed file (bytes).
_MAX_CONTENTS_BYTES = 65_536

# First bytes of a ZIP archive.
_ZIP_HEAD = b"PK"

_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, KeyError, ValueError, OSError, RuntimeError)


class MusicXmlError(ValueError):
    """Error for a MusicXML file that cannot be used."""


@dataclass(slots=True)
class ScoreNote:
    """A note as written.

    Attributes
    ----------
    measure : int
        Index of the measure.
    start, length : float
        Position in the measure and duration in quarter notes. The duration of a grace note is 0.
    pitch : int
        MIDI pitch. It may be outside the piano's keys.
    velocity : int
        MIDI velocity of the note's own attribute; 0 without one.
    staff : int
        1 for the upper staff.
    voice : str
    tied_before, tied_after : bool
        Whether a tie ends and whether a tie starts at the note.
    fingers : tuple of int
        Fingering marks of the note, 1 to 5, in the order of the file; of a substitution only the first.
    chord : int
        Index in the part of the first note of the chord to which the note belongs.
    grace : int
        Number of a group of grace notes in the part, from 1; 0 for other notes.
    slot : int
        Position of a grace note in its group, from 0. Notes of a chord have the same position.
    """

    measure: int
    start: float
    length: float
    pitch: int
    velocity: int
    staff: int
    voice: str
    tied_before: bool
    tied_after: bool
    fingers: tuple[int, ...]
    chord: int
    grace: int
    slot: int


@dataclass
class ScorePart:
    """A part of a score.

    Attributes
    ----------
    staves : int
        Number of staves.
    measures : list of Measure
    notes : list of ScoreNote
        In the order of the file.
    tempos, levels : list of (measure, position, value)
        Tempos in quarter notes per minute, and dynamic marks as MIDI velocities. The position in the measure is in quarter notes.
    pedal : list of (measure, position, type)
        Marks of the sustain pedal: "start", "stop" or "change".
    """

    staves: int = 1
    measures: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    tempos: list = field(default_factory=list)
    levels: list = field(default_factory=list)
    pedal: list = field(default_factory=list)


def read_parts(path):
    """Decode the parts of a MusicXML file.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of ScorePart

    Raises
    ------
    MusicXmlError
        The file is rejected. The message contains the path, what was expected and found.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise MusicXmlError(f"{path}: expected a MusicXML file, but the file cannot be opened ({error.strerror})") from error
    try:
        data = _decompress(data) if data[:2] == _ZIP_HEAD else data
        if len(data) > MAX_BYTES:
            raise MusicXmlError(f"expected at most {MAX_BYTES >> 20} MB of XML, found more; export only the piano part")
        decoder = _Decoder()
        decoder.parse(data)
    except MusicXmlError as error:
        raise MusicXmlError(f"{path}: {error}") from None
    return decoder.parts


def _decompress(data):
    """Return the score of a compressed MusicXML file; at most one byte more than `MAX_BYTES`."""
    if len(data) > MAX_COMPRESSED_BYTES:
        raise MusicXmlError(f"expected a compressed file of at most {MAX_COMPRESSED_BYTES >> 20} MB, found a larger one")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            with archive.open("META-INF/container.xml") as file:
                name = _name_of_score(file.read(_MAX_CONTENTS_BYTES))
            with archive.open(name) as file:
                return file.read(MAX_BYTES + 1)
    except MusicXmlError:
        raise
    except _ZIP_ERRORS as error:
        raise MusicXmlError(f"expected a compressed MusicXML file, found an unreadable archive ({error}); export it again") from error


def _name_of_score(data):
    """Return the name of the score in an archive: the first file in its list of contents."""
    names = []

    def start(tag, attributes):
        if tag == "rootfile" and "full-path" in attributes:
            names.append(attributes["full-path"])

    _parse(data, "a list of contents in META-INF/container.xml", start)
    if not names:
        raise MusicXmlError("expected a score in META-INF/container.xml, found none; export the file again")
    return names[0]


def _parse(data, expected, start, end=None, text=None):
    """Parse XML. Entities are refused, and nothing outside the data is opened.

    Parameters
    ----------
    data : bytes
    expected : str
        What the data should be, for messages.
    start, end, text : callable, optional
        Handlers of the start of an element (tag, attributes), of its end (tag), and of text.
    """

    def refuse(name, *_):
        raise MusicXmlError(f"expected XML without entities, found the entity {name[:40]!r}; export the file again")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except MusicXmlError:
        raise
    # Unknown encodings are LookupErrors, unsupported ones ValueErrors.
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise MusicXmlError(f"expected {expected}, found invalid XML ({error}); export the file again") from error


class _Decoder:
    """Decoder of a score: builds the tree of one measure at a time, so that memory is limited.

    Attributes
    ----------
    parts : list of ScorePart
    """

    def __init__(self):
        self.parts = []
        self._open, self._tree, self._reader = [], None, None
        self._elements, self._depth = 0, 0

    def parse(self, data):
        """Decode a document in bytes."""
        _parse(data, "a MusicXML file", self._start, self._end, self._text)

    def _start(self, tag, attributes):
        if self._tree is None:
            if not self._open and tag != "score-partwise":
                advice = "; export the file as partwise MusicXML" if tag == "score-timewise" else ""
                raise MusicXmlError(f"expected a MusicXML score (score-partwise), found the element {tag[:40]!r}{advice}")
            if len(self._open) >= _MAX_DEPTH:
                raise MusicXmlError(f"expected elements in at most {_MAX_DEPTH} levels, found more; export the file again")
            self._open.append(tag)
            if self._open == ["score-partwise", "part"]:
                if len(self.parts) >= MAX_PARTS:
                    raise MusicXmlError(f"expected at most {MAX_PARTS} parts, found more; export only the piano part")
                self.parts.append(ScorePart())
                self._reader = _PartReader(self.parts[-1])
            elif self._open == ["score-partwise", "part", "measure"]:
                self._open.pop()
                self._tree, self._elements, self._depth = TreeBuilder(), 0, 0
        if self._tree is not None:
            self._elements, self._depth = self._elements + 1, self._depth + 1
            if self._elements > _MAX_ELEMENTS:
                raise MusicXmlError(f"expected at most {_MAX_ELEMENTS} elements in a measure, found more; export the file again")
            self._tree.start(tag, attributes)

    def _text(self, text):
        if self._tree is not None:
            self._tree.data(text)

    def _end(self, tag):
        if self._tree is None:
            self._open.pop()
            return
        self._tree.end(tag)
        self._depth -= 1
        if not self._depth:
            self._reader.read(self._tree.close())
            self._tree = None


class _PartReader:
    """Reader of the measures of one part, with what one measure carries over to the next: divisions, transposition, open ending."""

    def __init__(self, part):
        self.part = part
        self.divisions, self.transposition, self.ending, self.graces = 1.0, 0, frozenset(), 0

    def read(self, element):
        """Append a measure, given as an element, to the part."""
        if len(self.part.measures) >= MAX_MEASURES:
            raise MusicXmlError(f"expected at most {MAX_MEASURES} measures, found more")
        self.number = f"measure {element.get('number', len(self.part.measures) + 1)!s:.20}"
        self.index, self.measure = len(self.part.measures), Measure(endings=self.ending)
        self.part.measures.append(self.measure)
        self.at, self.start, self.chord = 0.0, 0.0, None
        for child in element:
            if child.tag == "note":
                self._read_note(child)
            elif child.tag in ("backup", "forward"):
                self.at = max(0.0, self.at + self._length(child) * (-1 if child.tag == "backup" else 1))
            elif child.tag == "attributes":
                self._read_attributes(child)
            elif child.tag == "direction":
                self._read_direction(child)
            elif child.tag == "sound":
                self._read_sound(child, self.at)
            elif child.tag == "barline":
                self._read_barline(child)
            self.measure.length = max(self.measure.length, self.at)

    def _value(self, text, what, low, high):
        """Convert a text to a number; if it is not a number from `low` to `high`, raise an error."""
        try:
            value = float(text)
        except (TypeError, ValueError):
            value = float("nan")
        if not low <= value <= high:
            found = "none" if text is None else repr(text[:40])
            raise MusicXmlError(f"{self.number}: expected {what} of {low:g} to {high:g}, found {found}; export the file again")
        return value

    def _length(self, element):
        """Return the duration of a note, backup or forward element in quarter notes."""
        return self._value(element.findtext("duration"), "a duration", 0.0, 1e6) / self.divisions

    def _read_attributes(self, element):
        """Read divisions, staves and transposition."""
        if element.find("divisions") is not None:
            self.divisions = self._value(element.findtext("divisions"), "divisions of a quarter note", 1e-3, 1e6)
        if element.find("staves") is not None:
            self.part.staves = int(self._value(element.findtext("staves"), "a number of staves", 1, 20))
        transpose = element.find("transpose")
        if transpose is not None:
            steps, octaves = (
                self._value(transpose.findtext(tag, "0"), "a transposition", -60, 60) for tag in ("chromatic", "octave-change")
            )
            self.transposition = round(steps + 12 * octaves)

    def _read_note(self, element):
        """Read a note, or advance the position by a rest, a cue note or an unpitched note."""
        part, grace = self.part, element.find("grace") is not None
        length = 0.0 if grace else self._length(element)
        if element.find("chord") is None:
            self.start, self.chord = self.at, None
            self.at += length
        first, start = self.chord, self.start
        pitch = element.find("pitch")
        if pitch is None or element.find("cue") is not None:
            return
        if len(part.notes) >= MAX_NOTES:
            raise MusicXmlError(f"expected at most {MAX_NOTES} notes, found more; export only the piano part")
        voice, group, slot = element.findtext("voice", "1"), 0, 0
        if grace:
            last = part.notes[-1] if part.notes else None
            same = last is not None and last.grace and (last.measure, last.start, last.voice) == (self.index, start, voice)
            self.graces += not same
            group, slot = self.graces, last.slot + (first is None) if same else 0
        ties = {tie.get("type") for tie in element.findall("tie")}
        staff = int(self._value(element.findtext("staff", "1"), "a staff", 1, 20))
        note = ScoreNote(
            measure=self.index,
            start=start,
            length=length,
            pitch=self._pitch(pitch),
            velocity=self._velocity(element),
            staff=staff,
            voice=voice,
            tied_before="stop" in ties,
            tied_after="start" in ties,
            fingers=_fingers(element),
            chord=len(part.notes) if first is None else first.chord,
            grace=group,
            slot=slot,
        )
        part.notes.append(note)
        if first is None:
            self.chord = note

    def _pitch(self, element):
        """Return the MIDI pitch of a pitch element."""
        step, octave = element.findtext("step"), self._value(element.findtext("octave"), "an octave", 0, 9)
        if step not in _STEPS:
            raise MusicXmlError(f"{self.number}: expected a step C to B, found {step!r:.40}; export the file again")
        alter = self._value(element.findtext("alter", "0"), "an alteration", -3, 3)
        return round(12 * (octave + 1) + _STEPS[step] + alter) + self.transposition

    def _velocity(self, element):
        """Return the MIDI velocity of an element's attribute `dynamics`; 0 without one.

        MuseScore writes negative dynamics for notes and marks without a velocity of their own.
        """
        percent = self._value(element.get("dynamics", "-1"), "dynamics", -1e3, 1e3)
        return min(max(round(percent / 100 * FORTE_VELOCITY), 1), 127) if percent >= 0.0 else 0

    def _read_direction(self, element):
        """Read tempo, dynamics, pedal and signs of a direction."""
        offset, at = element.find("offset"), self.at
        if offset is not None and offset.get("sound") == "yes":
            at = max(0.0, at + self._value(offset.text, "an offset", -1e6, 1e6) / self.divisions)
        sound = element.find("sound")
        for mark in element.iterfind("direction-type/*"):
            if mark.tag == "dynamics":
                self.part.levels += [(self.index, at, _VELOCITIES[level.tag]) for level in mark if level.tag in _VELOCITIES]
            elif mark.tag == "pedal" and mark.get("type") in ("start", "stop", "change"):
                self.part.pedal.append((self.index, at, mark.get("type")))
            elif mark.tag == "metronome" and (sound is None or sound.get("tempo") is None):
                self._read_metronome(mark, at)
            elif mark.tag == "segno":
                self.measure.segno = self.measure.segno or "segno"
        if sound is not None:
            self._read_sound(sound, at)

    def _read_metronome(self, element, at):
        """Read a metronome mark such as "quarter = 120". Marks without a number, such as "quarter = half", are not tempos."""
        number = re.search(r"\d+(\.\d+)?", element.findtext("per-minute", ""))
        quarters = _QUARTERS.get(element.findtext("beat-unit", ""))
        if number and quarters:
            dots = len(element.findall("beat-unit-dot"))
            self._add_tempo(float(number.group()) * quarters * (2.0 - 0.5**dots), at)

    def _add_tempo(self, quarters_per_min, at):
        """Add a tempo at a position in the measure."""
        low, high = MIN_QUARTERS_PER_MIN, MAX_QUARTERS_PER_MIN
        self.part.tempos.append((self.index, at, self._value(str(quarters_per_min), "a tempo in quarter notes per minute", low, high)))

    def _read_sound(self, element, at):
        """Read the playback attributes of a sound element: tempo, dynamics and jumps."""
        if element.get("tempo") is not None:
            self._add_tempo(element.get("tempo"), at)
        velocity, measure = self._velocity(element), self.measure
        if velocity:
            self.part.levels.append((self.index, at, velocity))
        measure.segno, measure.coda = element.get("segno", measure.segno), element.get("coda", measure.coda)
        measure.dal_segno, measure.to_coda = element.get("dalsegno", measure.dal_segno), element.get("tocoda", measure.to_coda)
        measure.da_capo |= element.get("dacapo") == "yes"
        measure.fine |= element.get("fine") is not None

    def _read_barline(self, element):
        """Read the repeat sign and the ending of a barline."""
        for repeat in element.findall("repeat"):
            if repeat.get("direction") == "forward":
                self.measure.forward = True
            else:
                self.measure.times = int(self._value(repeat.get("times", "2"), "a number of repeats", 1, 100))
        for ending in element.findall("ending"):
            if ending.get("type") == "start":
                numbers = [int(number) for number in re.findall(r"\d{1,2}", ending.get("number", ""))]
                self.ending = self.measure.endings = frozenset(numbers)
            else:
                self.ending = frozenset()


def _fingers(element):
    """Return the fingers 1 to 5 in the fingering marks of a note element. Alternatives and substitutes are left out."""
    found = []
    for mark in element.iterfind("notations/technical/fingering"):
        finger = re.search("[1-5]", mark.text or "")
        if finger and mark.get("substitution") != "yes" and mark.get("alternate") != "yes":
            found.append(int(finger.group()))
    return tuple(found)
