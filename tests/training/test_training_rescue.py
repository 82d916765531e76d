"""What is left of a training that failed is looked at as after any other; where that cannot be, it is said why."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.data.batches.collate import Encoder
from core.evaluation.scores import Outcome
from core.spec import Status
from core.training import looks
from core.training.rescue import NOTHING_LEARNED
from core.training.trainer import StudioTrainer
from core.training.watching import seldom
from core.training.worker import run
from tests.training.short_jobs import of_kind, status_of

SHORT_OF_MEMORY = "CUDA out of memory. Tried to allocate 512.00 MiB. GPU 0 has ..."


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything beside the training is done in every step, whatever it costs."""
    monkeypatch.setattr(seldom, "SHARE", math.inf)


def fails_at(
    monkeypatch: pytest.MonkeyPatch, last: int, error: Exception, before: Callable[[], None] = lambda: None
) -> None:
    """After this many steps the next one fails."""
    step = StudioTrainer.training_step

    def short(self: StudioTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        if self.state.global_step == last:
            before()
            raise error
        return step(self, *args, **kwargs)

    monkeypatch.setattr(StudioTrainer, "training_step", short)


def looks_fail(monkeypatch: pytest.MonkeyPatch, error: Exception, least: int) -> list[int]:
    """After training has begun, looks at so many rows at once and more fail -> the rows of each batch asked for."""
    look_at, asked = looks.look_at, []

    def short(model: object, encoder: Encoder, rows: object, length: int, batch: int, *more: object) -> list[Outcome]:
        if any(
            parameter.requires_grad and parameter.abs().sum() > 0
            for name, parameter in model.named_parameters()
            if "lora_B" in name
        ):
            asked.append(batch)
            if batch >= least:
                raise error
        return look_at(model, encoder, rows, length, batch, *more)

    monkeypatch.setattr(looks, "look_at", short)
    return asked


def ended(folder: Path) -> tuple[Status, str]:
    """The status of a job that failed with an adapter, and what the card says."""
    assert run(folder) == 1
    status = status_of(folder)
    assert status.state == "failed"
    return status, (folder / "adapter" / "README.md").read_text()


def test_after_memory_ran_out_what_was_learned_is_measured(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_at(monkeypatch, 3, torch.OutOfMemoryError(SHORT_OF_MEMORY))
    folder = new_job()
    status, card = ended(folder)
    assert status.after.rows == status.before.rows == 6
    assert (of_kind(folder, "eval")[-1]["step"], of_kind(folder, "answers")[-1]["step"]) == (3, 3)
    assert "broke off after step 3 of 6" in card
    assert "| not measured" not in card
    assert status.unmeasured is None
    assert "512 MiB more were asked for" in status.error


def test_where_the_look_does_not_fit_either_it_is_tried_row_by_row(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_at(monkeypatch, 1, torch.OutOfMemoryError(SHORT_OF_MEMORY))
    asked = looks_fail(monkeypatch, MemoryError(), least=2)
    folder = new_job(warmup_steps=0)
    status, card = ended(folder)
    assert status.after.rows == 6
    assert asked[0] > 1
    assert set(asked[1:]) == {1}
    assert "| not measured" not in card


@pytest.mark.parametrize(
    ("error", "why"),
    [(MemoryError(), "the memory did not suffice"), (KeyError("/secret"), "something unexpected happened (KeyError)")],
)
def test_a_look_that_fails_as_well_is_said_and_changes_nothing_else(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    fails_at(monkeypatch, 1, torch.OutOfMemoryError(SHORT_OF_MEMORY))
    looks_fail(monkeypatch, error, least=1)
    folder = new_job(warmup_steps=0)
    status, card = ended(folder)
    assert "512 MiB more were asked for" in status.error, "what ended the training"
    assert (status.after, status.unmeasured) == (None, f"asking it failed as well ({why})")
    assert f"What the adapter answers was not measured: asking it failed as well ({why})." in card
    assert "**with this adapter** | not measured" in card
    assert f"({why})." in of_kind(folder, "note")[-1]["text"]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError(SHORT_OF_MEMORY), ValueError("broken")])
def test_where_nothing_was_learned_that_is_said(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fails_at(monkeypatch, 0, error)
    folder = new_job()
    assert run(folder) == 1
    assert not (folder / "adapter").exists()
    assert of_kind(folder, "note")[-1]["text"] == NOTHING_LEARNED


def test_the_curve_does_not_go_back_to_weights_that_were_put_back(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, often: None
) -> None:
    """The look of step 2 comes after the weights of step 1 were the last good ones."""
    compute = StudioTrainer.compute_loss

    def broken(self: StudioTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        return compute(self, *args, **kwargs) * (math.nan if self.state.global_step == 2 else 1.0)

    monkeypatch.setattr("core.training.watching.good.LastGood.told", _only_before(2))
    monkeypatch.setattr(StudioTrainer, "compute_loss", broken)
    folder = new_job()
    status, card = ended(folder)
    assert status.kept_step == 1
    assert "holds the weights of step 1, the last that were sound" in card
    assert status.after.rows == 6
    assert [point["step"] for point in of_kind(folder, "eval")] == [0, 2]
    assert [point["step"] for point in of_kind(folder, "answers")] == [0, 2, 1]


def _only_before(last: int) -> Callable[..., None]:
    """Weights are taken for good up to those of the step before this one."""
    from core.training.watching.good import LastGood

    told = LastGood.told

    def some(self: LastGood, sound: bool) -> None:
        told(self, sound and self._offered_step is not None and self._offered_step < last)

    return some


def test_a_stop_meanwhile_breaks_the_look_off(new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_job(eval_every=100)
    fails_at(monkeypatch, 2, torch.OutOfMemoryError(SHORT_OF_MEMORY))
    quick = looks.Looks.quick

    def stopped_meanwhile(self: looks.Looks, step: int, *arguments: object) -> object:
        if step:
            (folder / "stop").touch()
        return quick(self, step, *arguments)

    monkeypatch.setattr(looks.Looks, "quick", stopped_meanwhile)
    status, card = ended(folder)
    assert (status.after, status.unmeasured) == (
        None, "the last look was broken off by the stop; what was learned is saved",
    )  # fmt: skip
    assert "broken off by the stop" in card
