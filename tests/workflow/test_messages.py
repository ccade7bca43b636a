"""What a wrong configuration or sheet says, before anything runs. All problems of a file are told at once."""

import pytest

SHEET = "subject\tvideo\tsource\nanna\tone\tone.mp4\n"
WRONG_ROWS = """subject\tvideo\tsource\tkeyboard
anna\tone\tone.mp4
anna\tone\ttwo.mp4
anna\t../one\ttwo.mp4
anna\ttwo
anna\tthree\tone.mp4\tA0-front 102 655; A0-bottom 1 2
anna\tfour\tone.mp4\tA0-front 10 20; A0-back 10 10; end-front 90 20
"""


def say(project, sheet, *arguments):
    """What planning says of a sheet and of settings, which it refuses."""
    (project.root / "videos.tsv").write_text(sheet, encoding="utf-8")
    done = project.run("--dry-run", *arguments, check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("sheet", "messages"),
    [
        ("subject\tvideo\tsuorce\nanna\tone\tone.mp4\n", ["line 1: unknown column 'suorce'; did you mean source?"]),
        (
            WRONG_ROWS,
            [
                "line 3: subject anna, video one is already in line 2",
                "line 4, column video: expected letters, digits",
                "line 5, column source: expected a value",
                "line 6, column keyboard: expected KEY-front X Y or KEY-back X Y",
                "line 7, column keyboard: expected at least 4 points, found 3",
            ],
        ),
        ("subject\tvideo\tsource\n", ["expected at least one video"]),
        ("", ["expected a header line"]),
    ],
)
def test_sheet(project, sheet, messages):
    said = say(project, sheet)
    assert [message for message in messages if message not in said] == []


def test_config(project):
    wrong = {
        "motion={hampel: {n_sigmas: 3, window: wide}}": [
            "motion.hampel.n_sigmas: unknown key; did you mean n_sigma?",
            "motion.hampel.window: input should be a valid number",
        ],
        "clips={min_visibility: 80}": ["clips.min_visibility: input should be less than or equal to 1; found '80'"],
        "keyboard={frames: 3, min_confidence: 0.9}": [
            "keyboard.frames: input should be greater than or equal to 4",
            "keyboard.min_confidence: unknown key; did you mean min_finger_confidence?",
        ],
        "pose={contacts: maybe}": ["pose.contacts: input should be a valid boolean"],
    }
    said = say(project, SHEET, "--config", *wrong)
    assert [message for messages in wrong.values() for message in messages if message not in said] == []


def test_a_sheet_that_is_not_there(project):
    assert "sheet nowhere.tsv: expected a tab-separated UTF-8 file" in say(project, SHEET, "--config", "sheet=nowhere.tsv")
