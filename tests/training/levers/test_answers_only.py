"""Head and loss on the answers alone give the same loss and the same gradients."""

from __future__ import annotations

from types import MethodType
from typing import Any

import pytest
import torch
from transformers import ChameleonForConditionalGeneration, LlavaForConditionalGeneration

from core.evaluation.scores import head_form, token_losses
from core.spec import Settings
from core.training.levers.answers import answers_only
from tests.training.levers.same_work import FAMILIES, adapted, assert_alike, encoder_of, loss_and_gradients, rows


@pytest.mark.parametrize("name", FAMILIES)
def test_loss_and_gradients_are_those_of_every_position(name: str) -> None:
    family = FAMILIES[name]()
    batch, model = encoder_of(family).training(rows()), adapted(family.model)
    assert head_form(model) == "positions"
    assert_alike(loss_and_gradients(model, batch), loss_and_gradients(model, batch, everywhere=True))


def test_a_model_that_takes_columns_only_gets_columns() -> None:
    family = FAMILIES["llava"]()
    batch, model = encoder_of(family).training(rows()), adapted(family.model)
    expected = loss_and_gradients(model, batch, everywhere=True)
    base, seen = model.get_base_model(), []
    original = base.forward

    def older(self: Any, logits_to_keep: Any = 0, **inputs: Any) -> Any:
        seen.append(logits_to_keep)
        return original(**inputs, logits_to_keep=logits_to_keep)

    base.forward = MethodType(older, base)
    assert head_form(model) == "columns"
    assert_alike(loss_and_gradients(model, batch), expected)
    assert seen[0].ndim == 1


def test_logits_that_a_model_changes_by_token_keep_their_axes() -> None:
    """Chameleon forbids its codes of pictures in logits [B, K, V], which single positions would make [N, V]."""
    assert head_form(ChameleonForConditionalGeneration) == "columns"
    assert head_form(LlavaForConditionalGeneration) == "positions"


def test_only_answers_go_through_the_head() -> None:
    family = FAMILIES["llava"]()
    batch, widths = encoder_of(family).training(rows()), []
    family.model.lm_head.register_forward_hook(lambda module, args, output: widths.append(tuple(output.shape[:-1])))
    losses, targets = token_losses(family.model, batch)
    learned = int((batch["labels"] != -100).sum())
    assert widths == [(learned,)]
    assert losses.shape == targets.shape == (3, targets.shape[1])
    assert int((losses != 0).sum()) == int((targets != -100).sum()) == learned


def test_smoothed_labels_agree_too() -> None:
    family = FAMILIES["demo"]()
    batch = encoder_of(family).training(rows())
    one, other = (token_losses(family.model, batch, 0.1, everywhere)[0] for everywhere in (False, True))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_it_says_what_became_of_it() -> None:
    model = FAMILIES["llava"]().model
    assert answers_only(model, Settings()).on
    assert not answers_only(model, Settings(without=("answers_only",))).on
    model.forward = lambda input_ids: None
    applied = answers_only(model, Settings())
    assert not applied.on
    assert "every position" in applied.reason
