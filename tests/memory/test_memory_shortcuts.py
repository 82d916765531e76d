"""What makes estimates fast changes none of them: results by shape, models used again, remembered refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import InspectionError
from core.memory import estimate as estimates
from core.memory.cards import Card
from core.memory.dry_run import prepared, pretend
from core.memory.dry_run.simulation import simulate
from core.memory.estimate import CUDA_CONTEXT, estimate
from core.memory.verdict import ROOM, verdict
from core.memory.workload import Workload
from tests.memory.measuring import plan_of
from tests.memory.small_models import SIDE, small_source

WORK = Workload(batch=4, image_size=(SIDE, SIDE), text_tokens=48, precision="bf16", device="cuda")
WORKS = (
    WORK,
    WORK.but(checkpointing=True),
    WORK.but(quantization="4bit"),
    WORK.but(batch=1, accumulation=4, quantization="8bit", checkpointing=True),
    WORK.but(image_size=(2 * SIDE, SIDE)),
)


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "mllama"])
def test_a_model_that_was_run_before_gives_what_a_new_one_gives(family: str, tmp_path: Path) -> None:
    resolved = small_source(family, tmp_path)
    plan = plan_of(resolved, "all")
    again = [simulate(resolved, plan, work) for work in (*WORKS, *WORKS)]
    assert prepared._kept, "it was not kept"
    for work, first, second in zip(WORKS, again, again[len(WORKS) :], strict=False):
        prepared._kept.clear()
        assert simulate(resolved, plan, work) == first == second, work


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "smolvlm"])
def test_a_result_by_shape_is_what_torch_itself_makes(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = small_source(family, tmp_path)
    plan = plan_of(resolved, "all")
    for work in WORKS[:4]:
        short = simulate(resolved, plan, work)
        with monkeypatch.context() as patched:
            patched.setattr(pretend, "recalled", _as_torch_does)
            assert simulate(resolved, plan, work) == short, work


def _as_torch_does(mode: Any, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)


@pytest.fixture
def _no_checkpointing(monkeypatch: pytest.MonkeyPatch) -> None:
    """BLIP as a model whose layers cannot be computed again."""
    from transformers import BlipForConditionalGeneration

    monkeypatch.setattr(BlipForConditionalGeneration, "supports_gradient_checkpointing", False)


@pytest.mark.usefixtures("_no_checkpointing")
def test_a_refusal_is_remembered_and_raised_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = small_source("blip", tmp_path)
    plan, work = plan_of(resolved, "all"), WORK.but(checkpointing=True, device="cpu", precision="fp32")
    with pytest.raises(InspectionError) as first:
        estimate(resolved, plan, work)
    monkeypatch.setattr(estimates, "simulate", None)  # whoever asks again would fail
    with pytest.raises(InspectionError) as second:
        estimate(resolved, plan, work)
    assert str(first.value) == str(second.value)
    assert first.value is not second.value


@pytest.mark.usefixtures("_no_checkpointing")
def test_a_change_that_cannot_be_run_is_left_out(tmp_path: Path) -> None:
    resolved = small_source("blip", tmp_path)
    plan = plan_of(resolved, "all")
    peak = estimate(resolved, plan, WORK).peak_bytes
    card = Card("a card", int(CUDA_CONTEXT / ROOM + (peak - CUDA_CONTEXT) / 1.2))
    made = verdict(resolved, plan, WORK, card, frozenset({"checkpointing", "batch"}))
    assert made.answer != "fits"
    assert made.change is None or not made.change.setup.work.checkpointing
