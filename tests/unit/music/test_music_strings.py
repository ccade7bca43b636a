import numpy as np
import pytest

from handroll.music.strings import INHARMONICITY, fundamental_hz, inharmonicity, partials_hz


def test_fundamentals_are_equal_tempered():
    assert fundamental_hz(69) == 440.0 and fundamental_hz(81) == pytest.approx(880.0)
    assert fundamental_hz(69, cents=100.0) == pytest.approx(fundamental_hz(70))


def test_inharmonicity_doubles_every_nine_semitones_above_c3():
    assert inharmonicity(60) == INHARMONICITY and inharmonicity(69) == pytest.approx(2.0 * INHARMONICITY)
    assert inharmonicity(21) == inharmonicity(48) and inharmonicity(60, 1.5) == pytest.approx(1.5 * INHARMONICITY)


def test_partials_of_a_stiff_string_are_sharp():
    np.testing.assert_allclose(partials_hz(100.0, 0.0, 3), [100.0, 200.0, 300.0])
    partials = partials_hz(100.0, INHARMONICITY, 10)
    assert partials[0] == pytest.approx(100.0) and np.all(np.diff(partials / np.arange(1, 11)) > 0.0)
