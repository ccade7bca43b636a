import logging

import mido
import pytest

from handroll.music.midi import read_with_origins
from handroll.music.midi_hands import hands_of_tracks


def midi(path, tracks, kind=1):
    """A file of tracks: (name, channel, pitches), the pitches struck one after the other."""
    file = mido.MidiFile(type=kind)
    merged = mido.MidiTrack()
    for name, channel, pitches in tracks:
        track = mido.MidiTrack() if kind else merged
        if name:
            track.append(mido.MetaMessage("track_name", name=name))
        for pitch in pitches:
            track.append(mido.Message("note_on", channel=channel, note=pitch, velocity=64, time=0))
            track.append(mido.Message("note_off", channel=channel, note=pitch, velocity=0, time=480))
        if kind:
            file.tracks.append(track)
    if not kind:
        file.tracks.append(merged)
    file.save(path)
    notes, _, _, origins = read_with_origins(path)
    return notes, origins


def hand_of_pitch(path, tracks, force=False, kind=1):
    notes, origins = midi(path, tracks, kind)
    return dict(zip(notes["pitch"].tolist(), hands_of_tracks(notes, origins, "song.mid", force), strict=True))


@pytest.mark.parametrize(
    "names",
    [("Piano right", "Piano left"), ("RH", "LH"), ("R.H.", "L.H."), ("Main droite", "main gauche"), ("Rechte Hand", "Linke Hand")],
)
def test_names_of_tracks_give_the_hands_also_if_the_left_hand_is_higher(tmp_path, names, caplog):
    caplog.set_level(logging.INFO, logger="handroll")
    found = hand_of_pitch(tmp_path / "a.mid", [(names[0], 0, [60, 61]), ("tempo", 0, []), (names[1], 0, [63, 62])])
    assert found == {60: "right", 61: "right", 62: "left", 63: "left"}
    assert "song.mid: hands from the names of the tracks" in caplog.text


def test_two_tracks_are_hands_only_if_the_first_is_a_fifth_higher(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="handroll")
    assert hand_of_pitch(tmp_path / "a.mid", [("", 0, [60, 67]), ("", 0, [50, 55])]) == {60: "right", 67: "right", 50: "left", 55: "left"}
    assert "mean pitches of the tracks, 63.5 and 52.5" in caplog.text
    for tracks in ([("", 0, [60]), ("", 0, [54])], [("", 0, [50]), ("", 0, [60])], [("Bright piano", 0, [60]), ("Left", 0, [55])]):
        assert set(hand_of_pitch(tmp_path / "a.mid", tracks).values()) == {""}
    assert "the 2 tracks of the MIDI file are not taken as hands" in caplog.text
    assert set(hand_of_pitch(tmp_path / "a.mid", [("", 0, [60]), ("", 0, [50]), ("", 0, [40])]).values()) == {""}


def test_channels_of_one_track_can_be_hands(tmp_path):
    assert hand_of_pitch(tmp_path / "a.mid", [("", 0, [72]), ("", 1, [48])], kind=0) == {72: "right", 48: "left"}
    assert hand_of_pitch(tmp_path / "a.mid", [("Right hand", 0, [72, 48])], kind=0) == {72: "", 48: ""}


def test_the_option_takes_two_tracks_as_hands_and_refuses_other_numbers(tmp_path):
    assert hand_of_pitch(tmp_path / "a.mid", [("", 0, [50]), ("", 0, [52])], force=True) == {50: "left", 52: "right"}
    with pytest.raises(ValueError, match=r"song.mid: expected two tracks with notes.*found 3 tracks"):
        hand_of_pitch(tmp_path / "a.mid", [("", 0, [60]), ("", 0, [50]), ("", 0, [40])], force=True)


def test_a_note_in_both_tracks_has_one_hand(tmp_path):
    notes, origins = midi(tmp_path / "a.mid", [("right", 0, [60, 64]), ("left", 1, [60, 40])])
    assert notes["pitch"].tolist() == [60, 40, 64]
    assert hands_of_tracks(notes, origins, "song.mid").tolist() == ["left", "left", "right"]
