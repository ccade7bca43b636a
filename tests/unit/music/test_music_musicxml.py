"""MusicXML scores, written here, and what is played of them."""

import io
import logging
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handroll.music import musicxml_file
from handroll.music.musicxml import DEFAULT_VELOCITY, GRACE_S, PEDAL_UP_S, read_musicxml
from handroll.music.musicxml_file import MusicXmlError, read_parts

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">\n'
)
START = "<attributes><divisions>2</divisions></attributes>"
PIANO = "<attributes><divisions>2</divisions><staves>2</staves></attributes>"
CONTAINER = '<container><rootfiles><rootfile full-path="{}"/></rootfiles></container>'
FORWARD, BACKWARD = '<barline location="left"><repeat direction="forward"/></barline>', '<barline><repeat direction="backward"/></barline>'


def note(name="C4", duration=2, *extra, staff=None, voice=1, chord=False, grace=False, fingers=(), ties=(), dynamics=None):
    """A note such as "C#4" with a duration in eighths (with two divisions of a quarter); None for a rest."""
    parts = ["<chord/>"] * chord + ["<grace/>"] * grace
    if name:
        alter = f"<alter>{name.count('#') - name.count('b')}</alter>" if len(name) > 2 else ""
        parts.append(f"<pitch><step>{name[0]}</step>{alter}<octave>{name[-1]}</octave></pitch>")
    parts += ["<rest/>"] * (not name) + [f"<duration>{duration}</duration>"] * (not grace)
    parts += [f'<tie type="{tie}"/>' for tie in ties] + [f"<voice>{voice}</voice>"] + [f"<staff>{staff}</staff>"] * bool(staff)
    if fingers:
        marks = "".join(f"<fingering>{mark}</fingering>" if isinstance(mark, (int, str)) else mark[0] for mark in fingers)
        parts.append(f"<notations><technical>{marks}</technical></notations>")
    attribute = f' dynamics="{dynamics}"' if dynamics else ""
    return f"<note{attribute}>{''.join([*parts, *extra])}</note>"


def direction(kind="", sound=""):
    return f"<direction><direction-type>{kind or '<words>x</words>'}</direction-type>{sound}</direction>"


def backup(duration):
    return f"<backup><duration>{duration}</duration></backup>"


def score(*parts):
    """A document of parts, each a list of the contents of its measures."""
    names = "".join(f'<score-part id="P{k}"><part-name>x</part-name></score-part>' for k in range(len(parts)))
    bodies = ""
    for k, part in enumerate(parts):
        bodies += f'<part id="P{k}">' + "".join(f'<measure number="{n}">{m}</measure>' for n, m in enumerate(part, 1)) + "</part>"
    return f'{HEAD}<score-partwise version="4.0"><part-list>{names}</part-list>{bodies}</score-partwise>'


@pytest.fixture
def read(tmp_path):
    def from_text(*parts):
        (tmp_path / "song.musicxml").write_text(score(*parts), encoding="utf-8")
        return read_musicxml(tmp_path / "song.musicxml")

    return from_text


def table(notes, *names):
    """Rows of (onset, release, pitch, other columns)."""
    columns = (np.round(notes["onset_s"], 4), np.round(notes["key_offset_s"], 4), notes["pitch"], *(notes[name] for name in names))
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_two_staves_with_chords_backup_and_fingers(read):
    upper = note("C4", 2, staff=1, fingers=[1]) + note("E4", 2, staff=1, chord=True, fingers=["3-2"]) + note("G#4", 2, staff=1)
    lower = note("Bb2", 4, staff=2, voice=5, fingers=[5])
    notes, pedal = read([PIANO + upper + backup(4) + lower, note(None, 2, staff=1) + note("C5", 2, staff=1)])
    assert table(notes, "hand", "finger") == [
        (0.0, 1.0, 46, "left", 5),
        (0.0, 0.5, 60, "right", 1),
        (0.0, 0.5, 64, "right", 3),
        (0.5, 1.0, 68, "right", 0),
        (1.5, 2.0, 72, "right", 0),
    ]
    assert notes["velocity"].tolist() == [DEFAULT_VELOCITY] * 5 and len(pedal["onset_s"]) == 0


def test_tempo_marks_of_every_kind_and_changes_within_a_measure(read):
    metronome = "<metronome><beat-unit>half</beat-unit><beat-unit-dot/><per-minute>ca. 20</per-minute></metronome>"
    notes, _ = read([
        START + direction(metronome) + note("C4") + direction(sound='<sound tempo="240"/>') + note("D4"),
        '<sound tempo="30"/>' + note("E4", "1.5") + note("F4", "0.5"),
    ])  # fmt: skip
    assert table(notes) == [(0.0, 1.0, 60), (1.0, 1.25, 62), (1.25, 2.75, 64), (2.75, 3.25, 65)]
    # A sound element has priority over the printed mark.
    notes, _ = read([START + direction(metronome, '<sound tempo="120"/>') + note()])
    assert table(notes) == [(0.0, 0.5, 60)]


def test_without_a_tempo_mark_the_tempo_is_120_and_this_is_logged(read, caplog):
    caplog.set_level(logging.INFO, logger="handroll")
    assert table(read([START + note()])[0]) == [(0.0, 0.5, 60)]
    assert "no tempo mark; the tempo is 120 quarter notes per minute" in caplog.text


def test_repeats_have_the_tempo_and_dynamics_of_their_measures(read):
    first = START + direction("<dynamics><p/></dynamics>", '<sound tempo="60"/>') + note("C4")
    second = direction(sound='<sound tempo="120" dynamics="100"/>') + note("D4") + BACKWARD
    notes, _ = read([first, second, note("E4", dynamics="50")])
    assert table(notes, "velocity") == [
        (0.0, 1.0, 60, 49),
        (1.0, 1.5, 62, 90),
        (1.5, 2.5, 60, 49),
        (2.5, 3.0, 62, 90),
        (3.0, 3.5, 64, 45),
    ]


def test_negative_dynamics_of_musescore_are_no_dynamics(read):
    mark = direction("<dynamics><f/></dynamics>", '<sound dynamics="-1.11"/>')
    assert read([START + mark + note("C4", dynamics="-1.11") + note("D4", dynamics="20")])[0]["velocity"].tolist() == [96, 18]


def test_endings_and_jumps_in_the_first_part_apply_to_both(read):
    def ending(number, end="stop"):
        return f'<barline location="left"><ending number="{number}" type="start"/></barline>', f'<ending number="{number}" type="{end}"/>'

    (one, one_end), (two, two_end) = ending("1"), ending("2", "discontinue")
    upper = [
        START + FORWARD + note("C5"),
        one + note("D5") + f'<barline>{one_end}<repeat direction="backward"/></barline>',
        two + note("E5") + f"<barline>{two_end}</barline>" + direction(sound='<sound fine="yes"/>'),
        note("F5") + direction(sound='<sound dacapo="yes"/>'),
    ]
    notes, _ = read(upper, [START + note(name) for name in ("C3", "D3", "E3", "F3")])
    right, left = notes["hand"] == "right", notes["hand"] == "left"
    assert notes["pitch"][right].tolist() == [72, 74, 72, 76, 77, 72, 76]
    assert notes["pitch"][left].tolist() == [48, 50, 48, 52, 53, 48, 52]
    np.testing.assert_allclose(notes["onset_s"][right], 0.5 * np.arange(7))


def test_ties_are_joined_across_measures_repeats_and_voices(read):
    three = note("C4", 4, ties=["start"]), note("C4", 4, ties=["stop", "start"]), note("C4", 2, ties=["stop"], voice=2) + note("C4", 2)
    assert table(read([START + three[0], *three[1:]])[0]) == [(0.0, 2.5, 60), (2.5, 3.0, 60)]
    # A tie that leads back to the start of a repeated section.
    notes, _ = read([START + note("C4", 2, ties=["stop"]) + note("D4") + note("C4", 2, ties=["start"]) + BACKWARD])
    assert table(notes) == [(0.0, 0.5, 60), (0.5, 1.0, 62), (1.0, 2.0, 60), (2.0, 2.5, 62), (2.5, 3.0, 60)]
    # Two voices in unison, both tied.
    both = [note(ties=[end]) + backup(2) + note(ties=[end], voice=2) for end in ("start", "stop")]
    notes, _ = read([START + both[0], both[1]])
    assert table(notes) == [(0.0, 1.0, 60)]


def test_grace_notes_are_short_before_the_beat_and_leave_room(read):
    graces = note("D4", grace=True) + note("F4", grace=True, chord=True) + note("E4", grace=True)
    notes, _ = read([START + note("C4", 4) + graces + note("C4", 4)])
    first, second = 1.0 - 2 * GRACE_S, 1.0 - GRACE_S
    assert table(notes) == [
        (0.0, 1.0, 60),
        (round(first, 4), round(second, 4), 62),
        (round(first, 4), round(second, 4), 65),
        (round(second, 4), 1.0, 64),
        (1.0, 2.0, 60),
    ]
    # Ten grace notes in half a second take half of it.
    notes, _ = read([START + note("C4") + "".join(note("DE"[k % 2] + "4", grace=True) for k in range(10)) + note("C5")])
    assert notes["onset_s"][1] == pytest.approx(0.25) and len(notes["pitch"]) == 12
    # Before the first beat, everything is later.
    notes, _ = read([START + note("D4", grace=True) + note("C4")])
    assert table(notes) == [(0.0, GRACE_S, 62), (GRACE_S, 0.5 + GRACE_S, 60)]


def test_the_pedal_is_pressed_changed_and_released(read):
    marks = [direction(f'<pedal type="{kind}" line="yes"/>') for kind in ("start", "change", "stop")]
    notes, pedal = read([START + marks[0] + note("C4") + marks[1] + note("D4"), note("E4") + marks[2] + note("F4"), marks[0] + note("G4")])
    np.testing.assert_allclose(pedal["onset_s"], [0.01, 0.5 + PEDAL_UP_S, 2.01])
    np.testing.assert_allclose(pedal["offset_s"], [0.5, 1.5, 2.5])
    np.testing.assert_allclose(notes["sounding_offset_s"], [0.5, 1.5, 1.5, 2.0, 2.5])


def test_fingers_of_a_chord_on_its_first_note_are_distributed(read):
    def chord(staff, names, fingers):
        marked = [note(names[0], staff=staff, fingers=fingers)]
        return "".join([*marked, *(note(name, staff=staff, chord=True) for name in names[1:])])

    notes, _ = read([PIANO + chord(1, ["C4", "E4", "G4"], [5, 3, 1]) + backup(2) + chord(2, ["C3", "E3", "G3"], [1, 2, 5])])
    assert notes["finger"].tolist() == [5, 2, 1, 1, 3, 5]
    substitution = ('<fingering substitution="yes">4</fingering>',)
    notes, _ = read([PIANO + chord(1, ["C4", "E4"], [2, substitution]) + chord(1, ["C4", "E4"], ["x"])])
    assert notes["finger"].tolist() == [2, 0, 0, 0]


def test_which_parts_are_played_and_whose_hands_are_known(read, caplog):
    caplog.set_level(logging.INFO, logger="handroll")
    voice, piano = [START + note("A4")], [PIANO + note("C4", staff=1) + backup(2) + note("C3", staff=2)]
    notes, _ = read(voice, piano)
    assert table(notes, "hand") == [(0.0, 0.5, 48, "left"), (0.0, 0.5, 60, "right")]
    assert "1 other parts are left out" in caplog.text
    assert read([START + note("C5")], [START + note("C3")])[0]["hand"].tolist() == ["left", "right"]
    for parts in ([[START + note("C3")], [START + note("C5")]], [voice], [voice, voice, [START + note("C3")]]):
        assert set(read(*parts)[0]["hand"]) == {""}
    three = "<attributes><divisions>2</divisions><staves>3</staves></attributes>"
    assert read([three + note("C4", staff=1) + note("C3", staff=3)])[0]["hand"].tolist() == ["", ""]


def test_rests_cues_unpitched_and_transposed_notes(read):
    drum = "<note><unpitched><display-step>C</display-step><display-octave>4</display-octave></unpitched><duration>2</duration></note>"
    transpose = "<attributes><transpose><chromatic>-2</chromatic><octave-change>1</octave-change></transpose></attributes>"
    cue = note("C6", 2, "<cue/>") + note("E6", 2, "<cue/>", chord=True)
    notes, _ = read([START + drum + cue + transpose + note("C4") + "<forward><duration>2</duration></forward>" + note("D4")])
    assert table(notes) == [(1.0, 1.5, 70), (2.0, 2.5, 72)]


def test_notes_outside_the_keys_are_dropped_and_an_empty_score_is_refused(read, caplog):
    notes, _ = read([START + note("C9") + note("C4") + note("C0")])
    assert table(notes) == [(0.5, 1.0, 60)] and "2 notes outside the piano's 88 keys were dropped" in caplog.text
    with pytest.raises(MusicXmlError, match=r"song.musicxml: expected notes on the piano's keys, found 1 notes, all outside"):
        read([START + note("C9")])
    with pytest.raises(MusicXmlError, match="found no notes"):
        read([START + note(None)])
    with pytest.raises(MusicXmlError, match="found no notes"):
        read()


def zipped(path, names, container="score.xml"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if container:
            archive.writestr("META-INF/container.xml", CONTAINER.format(container))
        for name, content in names.items():
            archive.writestr(name, content)
    return path


def test_compressed_files_and_other_encodings_give_the_same_notes(tmp_path):
    text = score([START + note("C4") + note("D4")])
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    (tmp_path / "b.xml").write_text(text.replace("UTF-8", "UTF-16"), encoding="utf-16")
    zipped(tmp_path / "c.mxl", {"score.xml": text, "other.xml": "<x/>"})
    read = [table(read_musicxml(path)[0]) for path in sorted(tmp_path.iterdir())]
    assert read[0] == read[1] == read[2] == [(0.0, 0.5, 60), (0.5, 1.0, 62)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "invalid XML"),
        ("not xml", "invalid XML"),
        ('<?xml version="1.0" encoding="UTF-9"?><x/>', "invalid XML"),
        ("<svg/>", "found the element 'svg'"),
        ("<score-timewise/>", "export the file as partwise"),
        ("<score-partwise><part><measure><note>", "invalid XML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><score-partwise/>', "found the entity 'a'"),
        ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><score-partwise>&a;</score-partwise>', "found the entity 'a'"),
        ('<!DOCTYPE x [<!ENTITY % a SYSTEM "http://localhost/a">%a;]><score-partwise/>', "found the entity 'a'"),
        ("<a>" * 1000, "found the element 'a'"),
        ("<score-partwise>" + "<a>" * 1000, "at most 100 levels"),
        (score([note(None, "x")]), "measure 1: expected a duration of 0 to 1e.06, found 'x'"),
        (score([note(None, -1)]), "measure 1: expected a duration"),
        (score([note(None, "nan")]), "measure 1: expected a duration"),
        (score(["<note><rest/></note>"]), "measure 1: expected a duration of 0 to 1e.06, found none"),
        (score([START, note("H4")]), "measure 2: expected a step C to B, found 'H'"),
        (score(["<attributes><divisions>0</divisions></attributes>"]), "measure 1: expected divisions"),
        (score([direction(sound='<sound tempo="0"/>')]), "expected a tempo in quarter notes per minute of 4 to 1000, found '0'"),
        (score([note(duration="1e6") + BACKWARD.replace("<repeat", '<repeat times="100"')] * 20), "at most 24 hours"),
    ],
)
def test_files_that_are_no_scores_are_refused(tmp_path, body, message):
    path = tmp_path / "song.musicxml"
    path.write_text(body.replace(HEAD, ""), encoding="utf-8")
    with pytest.raises(MusicXmlError, match=message) as raised:
        read_musicxml(path)
    assert str(raised.value).startswith(f"{path}: ")
    with pytest.raises(MusicXmlError, match="cannot be opened"):
        read_musicxml(tmp_path / "missing.xml")


def test_archives_that_are_no_scores_are_refused(tmp_path):
    text = score([START + note()])
    for names, container, message in (
        ({"score.xml": text}, None, "unreadable archive"),
        ({"score.xml": text}, "absent.xml", "unreadable archive"),
        ({"score.xml": text, "META-INF/container.xml": "<container/>"}, None, "expected a score in META-INF"),
        ({"score.xml": text, "META-INF/container.xml": "<cont"}, None, "list of contents"),
        ({"score.xml": "nothing"}, "score.xml", "invalid XML"),
    ):
        with pytest.raises(MusicXmlError, match=message):
            read_musicxml(zipped(tmp_path / "a.mxl", names, container))
    whole = zipped(tmp_path / "a.mxl", {"score.xml": text}).read_bytes()
    (tmp_path / "a.mxl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MusicXmlError, match="unreadable archive"):
        read_musicxml(tmp_path / "a.mxl")


def test_a_zip_bomb_is_refused_in_little_memory(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.mxl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", CONTAINER.format("score.xml"))
        with archive.open("score.xml", "w") as file:
            for _ in range(20 * 64):
                file.write(b" " * 2**20)
    tracemalloc.start()
    with pytest.raises(MusicXmlError, match="at most 64 MB of XML"):
        read_musicxml(tmp_path / "a.mxl")
    assert tracemalloc.get_traced_memory()[1] < 4 * musicxml_file.MAX_BYTES
    tracemalloc.stop()


def test_sizes_are_limited(tmp_path, monkeypatch, read):
    monkeypatch.setattr(musicxml_file, "MAX_NOTES", 3)
    monkeypatch.setattr("handroll.music.musicxml.MAX_NOTES", 3)
    assert len(read([START + note() + note() + note()])[0]["pitch"]) == 3
    with pytest.raises(MusicXmlError, match="at most 3 notes, found more"):
        read([START + note() * 4])
    with pytest.raises(MusicXmlError, match="at most 3 notes with all repeats, found 4"):
        read([START + note() * 2 + BACKWARD])
    with pytest.raises(MusicXmlError, match="at most 3 notes with all repeats"):
        read([START + note() * 2], [START + note() * 2], [START])
    with pytest.raises(MusicXmlError, match="at most 200000 elements in a measure"):
        read(["<x/>" * 200_000])
    with pytest.raises(MusicXmlError, match="at most 200 parts"):
        read(*[[START]] * 201)


MARKS = direction('<pedal type="start"/>', '<sound tempo="90"/>')
TEXT = score([PIANO + FORWARD + note(ties=["start"], fingers=[1]) + MARKS, note(grace=True) + BACKWARD])
BUFFER = io.BytesIO()
with zipfile.ZipFile(BUFFER, "w") as built:
    built.writestr("META-INF/container.xml", CONTAINER.format("score.xml"))
    built.writestr("score.xml", TEXT)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    whole=st.sampled_from([TEXT.encode(), BUFFER.getvalue()]), at=st.integers(0, 10_000), new=st.binary(max_size=4), cut=st.integers(0, 30)
)
def test_damaged_files_are_read_or_refused(tmp_path, whole, at, new, cut):
    at %= len(whole)
    (tmp_path / "a.mxl").write_bytes(whole[:at] + new + whole[at + cut :])
    try:
        parts = read_parts(tmp_path / "a.mxl")
        read_musicxml(tmp_path / "a.mxl")
    except MusicXmlError:
        return
    assert parts
