import hashlib
import json
from dataclasses import fields

import numpy as np
import pytest

from handroll.cli import main
from handroll.generation.fingering import FingeringCosts
from handroll.generation.fingering_costs_file import digest, read_costs, write_costs
from handroll.storage import SchemaError

LEFT = FingeringCosts(stretch=1.5, use=np.arange(5.0), pair=np.random.default_rng(0).normal(0.0, 9.0, (5, 5, 25)).round(3))
RIGHT = FingeringCosts(passing=80.25)


@pytest.fixture
def path(tmp_path):
    write_costs(tmp_path / "fingering.json", (LEFT, RIGHT))
    return tmp_path / "fingering.json"


def test_costs_are_read_as_written(path):
    for wanted, found in zip((LEFT, RIGHT), read_costs(path), strict=True):
        for field in fields(FingeringCosts):
            np.testing.assert_array_equal(getattr(found, field.name), getattr(wanted, field.name))


def test_the_digest_is_that_of_the_file(path):
    assert digest((LEFT, RIGHT)) == hashlib.sha256(path.read_bytes()).hexdigest() != digest((RIGHT, LEFT))


def test_generate_rejects_a_bad_file(path, capsys):
    path.write_text("{}")
    assert main(["generate", "song.mid", "--fingering", str(path)]) == 2
    assert f"{path}, key format: expected" in capsys.readouterr().err


def test_the_file_has_one_line_for_each_list(path):
    text = path.read_text()
    assert '"use": [0.0, 1.0, 2.0, 3.0, 4.0],' in text and len(text.splitlines()) < 100


def change(value, where, new):
    for key in where[:-1]:
        value = value[key]
    value[where[-1]] = new


@pytest.mark.parametrize(
    ("where", "new", "message"),
    [
        (["format"], "handroll fingering costs 0", "key format: expected 'handroll fingering costs 1', found 'handroll fingering costs 0'"),
        (["left"], [1], "left: expected an object with the keys stretch, .*found \\[1\\]"),
        (["left", "stretch"], "3", 'left.stretch: expected a number from -10000 to 10000, found "3"'),
        (["left", "passing"], True, "left.passing: expected a number .* found true"),
        (["left", "passing"], 10**400, "left.passing: expected a number"),
        (["right", "movement"], float("nan"), "right.movement: expected a number .* found NaN"),
        (["right", "use"], [1, 2, 3, 4], "right.use: expected a list of 5 numbers, found \\[1, 2, 3, 4\\]"),
        (["right", "pair", "1-2"], 3.0, "right.pair.1-2: expected a list of 25 numbers, found 3.0"),
        (["right", "pair", "1-6"], [0.0] * 25, "right.pair: .*missing: none; unknown: 1-6"),
        (["centre"], {}, "the file: .*missing: none; unknown: centre"),
    ],
)
def test_bad_files_are_rejected(path, where, new, message):
    value = json.loads(path.read_text())
    change(value, where, new)
    path.write_text(json.dumps(value))
    with pytest.raises(SchemaError, match=message):
        read_costs(path)


def test_missing_keys_and_other_files_are_rejected(path):
    value = json.loads(path.read_text())
    del value["left"]["crossing"]
    path.write_text(json.dumps(value))
    with pytest.raises(SchemaError, match="left: .*missing: crossing; unknown: none"):
        read_costs(path)
    path.write_text("[1, 2]")
    with pytest.raises(SchemaError, match="key format: expected .* found None"):
        read_costs(path)
    path.write_text('{"format": ')
    with pytest.raises(SchemaError, match="expected JSON"):
        read_costs(path)
