"""Liger's kernels: taken where they are there and allowed, kept only where they change nothing, else undone.

Liger itself needs a GPU. A small package of its name stands in for it here: what our side calls, with what, and what
becomes of the model are real.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import torch

from core.evaluation.scores import token_losses
from core.spec import Settings
from core.training.levers import kernels
from core.training.levers.kernels import PARTS, apply_kernels, why_not
from tests.data.tiny_families import qwen2_5_vl
from tests.training.levers.same_work import adapted, encoder_of, rows


class Liger:
    """Stands in for `liger_kernel.transformers`: remembers how it was called and does to the model what it is told."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.does: Callable[[Any], None] = lambda model: None

    def apply(self, model: Any, **parts: bool) -> None:
        self.calls.append({"model": model, **parts})
        self.does(model)


@pytest.fixture
def liger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Liger]:
    stand_in = Liger()
    package, inner, patch = (
        ModuleType(f"liger_kernel{name}") for name in ("", ".transformers", ".transformers.monkey_patch")
    )
    inner._apply_liger_kernel_to_instance = stand_in.apply  # type: ignore[attr-defined]
    patch.MODEL_TYPE_TO_APPLY_LIGER_FN = {"qwen2_5_vl": None}  # type: ignore[attr-defined]
    for module in (package, inner, patch):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(kernels, "installed", lambda: True)
    return stand_in


@pytest.fixture(scope="module")
def learner() -> tuple[Any, dict[str, Any]]:
    family = qwen2_5_vl()
    return adapted(family.model), encoder_of(family).training(rows((40, 40), (48, 40)))


def loss_of(model: Any, batch: dict[str, Any]) -> float:
    with torch.no_grad():
        return float(token_losses(model.eval(), batch)[0].sum())


def norms_of(model: Any) -> list[Any]:
    return [module for module in model.modules() if type(module).__name__.endswith("RMSNorm")]


def same_norm(norm: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    """The root mean square norm (arXiv:1910.07467), written in another way."""

    def forward(values: torch.Tensor) -> torch.Tensor:
        square = torch.einsum("...d,...d->...", values, values)[..., None] / values.shape[-1]
        return norm.weight * values / (square + norm.variance_epsilon).sqrt()

    return forward


def test_what_liger_takes_over_leaves_the_loss_to_us(liger: Liger, learner: tuple[Any, dict[str, Any]]) -> None:
    model, batch = learner
    liger.does = lambda base: [vars(norm).update(forward=same_norm(norm)) for norm in norms_of(base)]  # type: ignore
    before = loss_of(model, batch)
    done = apply_kernels(model, Settings(), "cuda", lambda: batch)
    assert done.on, done.reason
    assert liger.calls == [{"model": model.get_base_model(), **PARTS}]
    assert not PARTS["fused_linear_cross_entropy"]
    assert not PARTS["cross_entropy"]
    assert PARTS["rms_norm"]
    assert PARTS["rope"]
    assert PARTS["swiglu"]
    assert loss_of(model, batch) == pytest.approx(before, rel=1e-4)
    assert all("forward" in vars(norm) for norm in norms_of(model)), "it stays"
    assert all(parameter.grad is None for parameter in model.parameters())
    for norm in norms_of(model):
        del norm.forward


def _twice(base: Any) -> None:
    for norm in norms_of(base):
        norm.forward = lambda values, norm=norm: 2 * type(norm).forward(norm, values)


def _learns_less(base: Any) -> None:
    """The same loss, but some values are cut off from what made them."""
    norm = next(norm for name, norm in base.named_modules() if name.endswith("layers.1.post_attention_layernorm"))
    norm.forward = lambda values: type(norm).forward(norm, values.detach())


def _raises(base: Any) -> None:
    _twice(base)
    sys.modules[type(base).__module__].rotate_half = None  # type: ignore[attr-defined]
    raise ValueError("0 active drivers")


@pytest.mark.parametrize(
    ("does", "words"),
    [(_twice, "learn something else"), (_learns_less, "learn something else"), (_raises, "do not run")],
)
def test_kernels_that_learn_something_else_or_fail_are_taken_out_again(
    does: Callable[[Any], None], words: str, liger: Liger, learner: tuple[Any, dict[str, Any]]
) -> None:
    model, batch = learner
    liger.does, before = does, loss_of(model, batch)
    file = sys.modules[type(model.get_base_model()).__module__]
    rotation = file.rotate_half
    done = apply_kernels(model, Settings(), "cuda", lambda: batch)
    assert not done.on
    assert words in done.reason
    assert loss_of(model, batch) == before
    assert not any("forward" in vars(norm) for norm in norms_of(model))
    assert file.rotate_half is rotation


def test_kernels_are_left_off_with_the_reason(liger: Liger, learner: tuple[Any, dict[str, Any]]) -> None:
    model, _ = learner
    never = pytest.fail
    off = apply_kernels(model, Settings(without=("kernels",)), "cuda", never)
    assert (off.on, off.reason) == (False, "The settings leave it off.")
    assert "CUDA only" in apply_kernels(model, Settings(), "cpu", never).reason
    assert "no kernels for models of the type “idefics3”" in str(why_not("idefics3", "cuda"))
    assert why_not("qwen2_5_vl", "cuda") is None
    assert liger.calls == []


def test_without_the_package_nothing_is_tried(learner: tuple[Any, dict[str, Any]]) -> None:
    model, _ = learner
    if kernels.installed():
        pytest.skip("liger-kernel is installed here")
    assert "not installed" in apply_kernels(model, Settings(), "cuda", pytest.fail).reason


def test_kernels_for_another_transformers_name_both_versions(
    liger: Liger, learner: tuple[Any, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = learner

    def missing(base: Any) -> None:
        raise ImportError("cannot import name 'LigerOutput'")

    liger.does = missing
    monkeypatch.setattr(kernels, "version", {"liger-kernel": "0.8.5", "transformers": "5.23.0"}.__getitem__)
    done = apply_kernels(model, Settings(), "cuda", lambda: batch)
    assert not done.on
    assert done.reason == "liger-kernel 0.8.5 does not fit transformers 5.23.0 here."
