"""Measures against numbers that others have published or that were worked out by hand, and against the libraries."""

from __future__ import annotations

import random

import pytest

from core.evaluation.intervals import interval, wilson
from core.evaluation.metrics import anls, edits, part, token_f1
from core.evaluation.scores import Outcome, score
from core.spec import Score, from_json, to_json
from tests.evaluation.measured import measures


@pytest.mark.parametrize(
    ("answer", "expected", "value"),
    [
        ("Denver Broncos", "Denver Broncos", 1.0),
        ("the Denver Broncos!", "denver broncos", 1.0),  # articles, punctuation and case do not count
        ("Denver", "Denver Broncos", 2 / 3),  # precision 1, recall 1/2
        ("Denver Denver", "Denver Broncos", 1 / 2),  # a word counts as often as both have it
        ("Carolina Panthers", "Denver Broncos", 0.0),
        ("", "Denver", 0.0),
        ("the", "a", 1.0),  # nothing is left of both
        ("a cat sat on the mat", "the cat on a mat", 2 * (3 / 4) / (1 + 3 / 4)),  # cat, on, mat of cat, sat, on, mat
    ],
)
def test_token_f1_by_hand(answer: str, expected: str, value: float) -> None:
    assert token_f1(answer, expected) == pytest.approx(value)


def test_token_f1_normalises_as_squad_does() -> None:
    """The words of `normalize_answer` in SQuAD's evaluate-v2.0.py: lower, punctuation, articles, spaces, in this order.

    What stands in brackets joins its neighbour, since punctuation is taken away and not replaced.
    """
    assert token_f1("10,000", "10000") == 1.0
    assert token_f1("state-of-the-art", "stateoftheart") == 1.0
    assert token_f1("a.b.c.", "abc") == 1.0
    assert token_f1("A.", "an") == 1.0
    assert token_f1("theatre", "atre") == 0.0


@pytest.mark.parametrize(
    ("answer", "expected", "value"),
    [
        ("itc limited", "ITC Limited", 1.0),
        ("  itc   limited ", "ITC Limited", 1.0),
        ("itc 1imited", "itc limited", 10 / 11),
        ("kitten", "sitting", 1 - 3 / 7),  # the textbook example of Levenshtein's distance: 3
        ("abcd", "abxy", 0.5),  # half still counts in the official script of the challenge
        ("abc", "xyz", 0.0),
        ("", "abc", 0.0),
    ],
)
def test_anls_by_hand(answer: str, expected: str, value: float) -> None:
    assert anls(answer, expected) == pytest.approx(value)


SAID = ["this is the prediction", "there is an other sample"]
TRUE = ["this is the reference", "there is another one"]


def test_error_rates_as_torchmetrics_and_torcheval_publish_them() -> None:
    """lightning.ai/docs/torchmetrics, Char Error Rate 0.3415, Word Error Rate 0.5; torcheval, word_error_rate 0.6."""
    found = measured(SAID, TRUE, "cer", "wer")
    assert found == {"cer": pytest.approx(0.3415, abs=5e-5), "wer": pytest.approx(0.5)}
    assert measured(["hello world", "welcome to the facebook"], ["hello metaverse", "welcome to meta"], "wer") == {
        "wer": pytest.approx(0.6)
    }


def test_rows_add_up_to_what_the_library_says_of_all_at_once() -> None:
    import jiwer

    make = random.Random(0)
    texts = ["".join(make.choice("ab c") for _ in range(make.randint(3, 30))).strip() or "a" for _ in range(80)]
    said, true = texts[:40], texts[40:]
    found = measured(said, true, "cer", "wer")
    assert found["cer"] == pytest.approx(jiwer.cer(true, said))
    assert found["wer"] == pytest.approx(jiwer.wer(true, said))


def test_error_rates_at_the_edges() -> None:
    assert edits("", "abc") == (3, 3)
    assert edits("abc", "") == (3, 0)
    assert edits("two words", " ", words=True) == (2, 0)
    assert edits("ABC", "abc") == (3, 3), "case counts in what is read"
    assert "cer" not in score([Outcome("a", False, 0.0, 1, ("",))], measures("cer")).metrics


def test_the_best_of_several_accepted_answers_counts_where_the_field_does_so() -> None:
    accepted = ("red circle", "a red disc")
    assert part("token_f1", "the red disc", accepted) == (1.0, 1.0)
    assert part("anls", "a red disk", accepted) == (pytest.approx(0.9), 1.0)
    assert part("exact_match", "a red disc", accepted) == (0.0, 1.0)
    assert part("accuracy", "Red circle.", accepted) == (1.0, 1.0)


def test_a_score_holds_the_measures_and_survives_the_disk() -> None:
    outcomes = [Outcome("cat", True, 1.0, 2, ("cat",)), Outcome("cat", False, 1.0, 2, ("dog",))] * 2
    made = score(outcomes, measures("accuracy", kind="classes"))
    assert made.metrics == {"accuracy": 0.5, "majority": 0.5}
    assert made.metric == "accuracy"
    assert from_json(Score, to_json(made)) == made
    old = from_json(Score, '{"exact_match": 0.5, "correct": 1, "rows": 2}')
    assert (old.metrics, old.metric, old.interval) == ({}, "exact_match", None)


def test_wilsons_interval_as_newcombe_published_it() -> None:
    """Newcombe (1998), Statistics in Medicine 17, table I, method 3: 81/263, 15/148, 0/20, 1/29."""
    published = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0.0, 0.1611)}
    published[1, 29] = (0.0061, 0.1718)
    for (right, rows), ends in published.items():
        assert wilson(right, rows) == pytest.approx(ends, abs=5e-5)


def test_a_few_right_answers_are_not_called_certain() -> None:
    low, high = interval([(1.0, 1.0)] * 8)
    assert low < 0.7
    assert high == 1.0
    assert interval([]) is None
    assert interval([(2.0, 0.0)]) is None


def test_the_bootstrap_agrees_with_the_normal_distribution_on_many_rows() -> None:
    make = random.Random(1)
    values = [make.random() for _ in range(400)]
    mean = sum(values) / 400
    half = 1.96 * (sum((value - mean) ** 2 for value in values) / 400) ** 0.5 / 20
    low, high = interval([(value, 1.0) for value in values])
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.1 * half)
    assert interval([(value, 1.0) for value in values]) == (low, high), "it is the same each time"


def measured(said: list[str], true: list[str], *names: str) -> dict[str, float]:
    outcomes = [Outcome(answer, False, 0.0, 1, (expected,)) for answer, expected in zip(said, true, strict=True)]
    return score(outcomes, measures(*names)).metrics
