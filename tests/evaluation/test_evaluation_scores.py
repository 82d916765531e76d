"""What counts as right, and how outcomes add up."""

from __future__ import annotations

import pytest
import torch

from core.data.wording import normal_form
from core.evaluation.answers import batches, evaluating
from core.evaluation.scores import Outcome, is_match, score


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        ("7", "7", True),
        (" Red circle. ", "red circle", True),
        ("red  circle", "red circle", False),
        ("red, circle", "red circle", False),
        ("7.", "7", True),
        ("7..", "7", False),
        ("", "7", False),
        ("77", "7", False),
    ],
)
def test_exact_match(answer: str, expected: str, right: bool) -> None:
    assert is_match(answer, expected) is right
    assert is_match(expected, answer) is right
    assert is_match(answer, answer) or normal_form(answer) == ""


def test_outcomes_add_up_by_token() -> None:
    made = score([Outcome("a", True, 3.0, 3), Outcome("b", False, 5.0, 1)])
    assert (made.exact_match, made.correct, made.rows, made.loss) == (0.5, 1, 2, 2.0)


def test_a_loss_that_is_no_number_is_none() -> None:
    assert score([Outcome("a", True, float("inf"), 3)]).loss is None
    assert score([Outcome("a", True, float("nan"), 3)]).loss is None


def test_no_outcomes_score_nothing() -> None:
    made = score([])
    assert (made.exact_match, made.rows, made.loss) == (0.0, 0, None)


def test_batches_keep_the_order_and_the_rest() -> None:
    assert [list(part) for part in batches(range(5), 2)] == [[0, 1], [2, 3], [4]]


def test_the_mode_is_given_back_even_after_an_error() -> None:
    model = torch.nn.Dropout().train()
    with evaluating(model):
        assert not model.training
    with pytest.raises(KeyError), evaluating(model):
        raise KeyError
    assert model.training
