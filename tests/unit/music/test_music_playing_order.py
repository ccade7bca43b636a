import pytest

from handroll.music.playing_order import MAX_MEASURES, Measure, merge_measures, playing_order

# Measures in short: one word each, with the signs of the measure after its letter.
SIGNS = {
    "[": ("forward", True),
    "]": ("times", 2),
    "}": ("times", 3),
    "$": ("segno", "segno"),
    "@": ("coda", "coda"),
    ">": ("to_coda", "coda"),
    "C": ("da_capo", True),
    "S": ("dal_segno", "segno"),
    "F": ("fine", True),
}


def played(score):
    """Letters of the measures in the order of playing."""
    words, measures = score.split(), []
    for word in words:
        signs = dict(SIGNS[sign] for sign in word[1:] if sign in SIGNS)
        measures.append(Measure(length=1.0, endings=frozenset(int(sign) for sign in word if sign.isdigit()), **signs))
    return "".join(words[index][0] for index in playing_order(measures))


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("a b c", "abc"),
        ("a b] c", "ababc"),
        ("a b[ c] d", "abcbcd"),
        ("a[ b} c", "abababc"),
        ("a] b]", "aabb"),
        ("a[ b1] c2 d", "abacd"),
        ("a[ b1] c2] d", "abacd"),
        ("a[ b12] c3 d", "ababacd"),
        ("a[ b1] c", "abac"),
        ("a b] c2 d", "ababcd"),
        ("a[ b1] c2 d e] f", "abacdedef"),
        ("a[ b1 c1] d2 e2 f", "abcadef"),
        ("a[ b1] c2 d[ e1] f2", "abacdedf"),
        ("aF bC c", "aba"),
        ("a b$ cF dS e", "abcdbc"),
        ("a$ b> c dS e@ f", "abcdabef"),
        ("a[ b]> cC d@", "ababcabd"),
        ("a[ b1] c2F dC", "abacdac"),
        ("a bS c", "abc"),
        ("a@ b> cC", "abcabc"),
    ],
)
def test_signs_give_the_order(score, expected):
    assert played(score) == expected


def test_a_missing_sign_is_no_jump_and_names_choose_the_sign():
    measures = [Measure(1.0, segno="one"), Measure(1.0, segno="two"), Measure(1.0, dal_segno="two")]
    assert playing_order(measures) == [0, 1, 2, 1, 2]
    assert playing_order([Measure(1.0), Measure(1.0, dal_segno="two")]) == [0, 1]


def test_signs_of_one_part_apply_to_all():
    merged = merge_measures([[Measure(4.0), Measure(3.0)], [Measure(2.0, times=2, endings=frozenset({1})), Measure(4.0), Measure(1.0)]])
    assert [measure.length for measure in merged] == [4.0, 4.0, 1.0]
    assert merged[0].times == 2 and merged[0].endings == {1}


def test_endless_repeats_are_refused():
    with pytest.raises(ValueError, match=f"at most {MAX_MEASURES} measures"):
        playing_order([Measure(1.0, times=100) for _ in range(2000)])
