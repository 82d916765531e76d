"""A frozen tower stays out of the backward pass, with checkpointing too, and no hook is left behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from core.data.batches.collate import IGNORED, Batch, Encoder
from core.data.source import load_dataset
from core.evaluation.answers import evaluating
from core.evaluation.scores import token_losses
from core.spec import Settings, Source
from core.training.levers.applied import Applied
from core.training.levers.frozen import frozen_first, input_hooks, no_input_hooks
from core.training.levers.plain_pass import plain_pass, sight_learns
from core.training.trainer import make_trainer
from tests.training.levers.same_work import (
    EVERYTHING,
    FAMILIES,
    adapted,
    assert_alike,
    encoder_of,
    loss_and_gradients,
    rows,
)


def checkpointed(model: Any) -> Any:
    """As TRL and transformers do it: both ask for hooks, and the first ones cannot be taken off any more."""
    base = model.get_base_model()
    base.enable_input_require_grads()
    base.activation_checkpointing_enable({"use_reentrant": False})
    return model


def said(model: Any, batch: Batch) -> Applied:
    """What a job says of the lever."""
    with no_input_hooks(model):
        return frozen_first(plain_pass(model, batch).asking, Settings())


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("part", ["language", "everything"])
def test_loss_and_gradients_are_those_with_the_hooks(name: str, part: str) -> None:
    family = FAMILIES[name]()
    batch = encoder_of(family).training(rows())
    model = checkpointed(adapted(family.model, EVERYTHING) if part == "everything" else adapted(family.model))
    hooked = loss_and_gradients(model, batch)
    assert input_hooks(model) >= 2
    with no_input_hooks(model):
        assert_alike(loss_and_gradients(model, batch), hooked)
    model.get_base_model().activation_checkpointing_disable()
    assert_alike(loss_and_gradients(model, batch), hooked)


@pytest.mark.parametrize("name", FAMILIES)
def test_features_of_a_frozen_tower_ask_for_nothing(name: str) -> None:
    family = FAMILIES[name]()
    batch, model = encoder_of(family).training(rows()), checkpointed(adapted(family.model))
    if name != "qwen3_vl":  # its tower names no embedding
        assert any(plain_pass(model, batch).asking.values()), "the hooks make them ask"
    applied = said(model, batch)
    assert applied.on
    assert "stay" in applied.reason
    assert not sight_learns(model)
    with no_input_hooks(model):
        assert not any(plain_pass(model, batch).asking.values())
        model.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
        assert not any(plain_pass(model, batch).asking.values()), "nobody can put them back meanwhile"
    assert input_hooks(model) == 0


def test_what_is_trained_is_said() -> None:
    family = FAMILIES["llava"]()
    batch, model = encoder_of(family).training(rows()), adapted(family.model, EVERYTHING)
    applied = said(model, batch)
    assert not applied.on
    assert applied.reason.startswith("The backward pass goes through the vision tower")
    assert not frozen_first({}, Settings(without=("frozen_first",))).on
    assert sight_learns(model)


def test_a_projector_alone_leaves_the_tower_out() -> None:
    family = FAMILIES["llava"]()
    batch, model = encoder_of(family).training(rows()), adapted(family.model, r".*multi_modal_projector.linear_1")
    applied = said(model, batch)
    assert applied.on
    assert applied.reason == "The vision tower stays out of the backward pass, which goes through the projector."


def test_a_check_leaves_the_random_numbers_and_the_mode_alone() -> None:
    family = FAMILIES["llava"]()
    batch, model = encoder_of(family).training(rows()), adapted(family.model).eval()
    before = torch.random.get_rng_state()
    said(model, batch)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not model.training


def test_a_pass_that_keeps_nothing_says_what_one_that_keeps_all_says() -> None:
    family = FAMILIES["llava"]()
    batch, model = encoder_of(family).training(rows()), adapted(family.model, EVERYTHING)
    losses = plain_pass(model, batch).losses
    assert not losses.requires_grad
    with evaluating(model):
        expected, targets = token_losses(model, batch)
    assert torch.equal(losses, expected[targets != IGNORED].detach())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("without", [(), ("frozen_first",)], ids=["on", "off"])
def test_training_leaves_no_hook_behind(without: tuple[str, ...], colours: Source, tmp_path: Path) -> None:
    family = FAMILIES["demo"]()
    encoder: Encoder = encoder_of(family)
    model = adapted(family.model)
    hooks = sum(len(module._forward_hooks) for module in model.modules())
    settings = Settings(steps=1, batch_size=2, checkpointing=True, without=without)
    trainer = make_trainer(model, encoder, load_dataset(colours).train, settings, tmp_path, "cpu", bf16=False)
    during = []
    trainer.before_batch = lambda batch: during.append(input_hooks(model))
    trainer.train()
    assert (during[0] > 0) is bool(without)
    assert sum(len(module._forward_hooks) for module in model.modules()) == hooks
