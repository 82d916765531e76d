"""The best look's weights become the adapter, patience ends a job, and what was kept on the way is gone at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from core.evaluation.scores import Outcome
from core.training.looks import Looks
from core.training.watching.early import BestLook, Look
from core.training.watching.parts import Part
from core.training.worker import run
from tests.training.short_jobs import of_kind, status_of
from tests.training.test_training_stop import at_step


def one_part() -> Part:
    return Part("a", torch.nn.Parameter(torch.zeros(2)), "language", "attention", 0)


def seen(best: BestLook, part: Part, losses: list[float | None]) -> list[bool]:
    """Looks at steps 1, 2, ..., whose weights are the step's number."""
    found = []
    for number, loss in enumerate(losses, start=1):
        with torch.no_grad():
            part.parameter.fill_(number)
        found.append(best.seen(Look(number, loss, [])))
    return found


def test_the_best_look_is_the_lowest_and_of_two_alike_the_later(tmp_path: Path) -> None:
    part = one_part()
    best = BestLook([part], tmp_path, None, keep=True)
    assert seen(best, part, [3.0, 2.0, None, 2.0, 2.5]) == [True, True, False, True, False]
    assert best.settle(Look(6, 2.4, [])).step == 4
    assert part.parameter.tolist() == [4.0, 4.0]


@pytest.mark.parametrize("end", [2.0, 1.9])
def test_the_last_step_is_a_candidate(tmp_path: Path, end: float) -> None:
    part = one_part()
    best = BestLook([part], tmp_path, None, keep=True)
    seen(best, part, [3.0, 2.0, 2.5])
    assert best.settle(Look(4, end, [])) is None
    assert part.parameter.tolist() == [3.0, 3.0], "left as it was"


def test_the_last_weights_stay_where_that_is_asked_for(tmp_path: Path) -> None:
    part = one_part()
    best = BestLook([part], tmp_path, None, keep=False)
    seen(best, part, [3.0, 2.0, 2.5])
    assert best.settle(Look(4, 9.0, [])) is None
    assert list(tmp_path.iterdir()) == []


def test_without_a_last_look_the_best_one_stays(tmp_path: Path) -> None:
    part = one_part()
    best = BestLook([part], tmp_path, None, keep=True)
    seen(best, part, [3.0, 2.0, 2.5])
    assert best.settle(None).step == 2
    assert part.parameter.tolist() == [2.0, 2.0]


def test_patience_counts_looks_without_a_lower_loss(tmp_path: Path) -> None:
    part = one_part()
    best = BestLook([part], tmp_path, 2, keep=True)
    seen(best, part, [3.0, 2.0, 2.0])
    assert not best.enough()
    seen(best, part, [2.0])
    assert best.enough(), "as low is no better"


def test_looks_before_the_ranks_are_settled_do_not_count(tmp_path: Path) -> None:
    part = one_part()
    best = BestLook([part], tmp_path, 1, keep=True, first=3)
    assert seen(best, part, [1.0, 2.0, 3.0]) == [False, False, True]
    assert not best.enough()


def with_losses(monkeypatch: pytest.MonkeyPatch, losses: dict[int, float]) -> None:
    """Looks at these steps find these losses."""
    quick = Looks.quick

    def found(self: Looks, step: int, *args: object, **kwargs: object) -> list[Outcome]:
        outcomes = quick(self, step, *args, **kwargs)
        if step in losses:
            outcomes = [replace(one, nats=losses[step] * one.tokens) for one in outcomes]
        return outcomes

    monkeypatch.setattr(Looks, "quick", found)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter" / "adapter_model.safetensors")


def test_a_job_keeps_the_weights_of_its_best_look(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, torch.Tensor] = {}
    seen = BestLook.seen

    def remembered(self: BestLook, look: Look) -> bool:
        best = seen(self, look)
        if look.step == 4:
            kept.update({part.name: part.parameter.detach().clone() for part in self._parts})
        return best

    monkeypatch.setattr(BestLook, "seen", remembered)
    with_losses(monkeypatch, {2: 0.5, 4: 0.25, 6: 0.5, 8: 0.75})
    folder = new_job(steps=8)
    assert run(folder) == 0
    status = status_of(folder)
    assert (status.state, status.step, status.kept_step) == ("finished", 8, 4)
    assert [point["step"] for point in of_kind(folder, "best")] == [2, 4]
    assert [point["step"] for point in of_kind(folder, "eval")] == [0, 2, 4, 6, 8], "no look was made twice"
    note = "Step 4 was best on the held-out rows (loss 0.25 against 0.75 at the end): its weights were kept."
    assert note in [point["text"] for point in of_kind(folder, "note")]
    saved = weights(folder)
    assert saved.keys() == {name.replace(".default", "") for name in kept}
    assert all(torch.equal(value, saved[name.replace(".default", "")]) for name, value in kept.items())
    assert status.after.rows == status.before.rows == 6
    assert not (folder / "kept").exists()


def test_a_job_that_asks_for_the_last_weights_gets_them(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_losses(monkeypatch, {2: 0.5, 4: 0.75})
    last, best = (new_job(keep, steps=4, keep=keep) for keep in ("last", "best"))
    assert run(last) == run(best) == 0
    assert (status_of(last).kept_step, status_of(best).kept_step) == (None, 2)
    assert any(not torch.equal(value, weights(best)[key]) for key, value in weights(last).items())


def test_patience_ends_a_job_that_is_finished_then(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_losses(monkeypatch, {2: 0.5, 4: 0.75, 6: 0.6, 8: 0.1})
    folder = new_job(steps=50, patience=2)
    assert run(folder) == 0
    status = status_of(folder)
    assert (status.state, status.step, status.kept_step) == ("finished", 6, 2)
    assert [point["step"] for point in of_kind(folder, "eval")] == [0, 2, 4, 6]
    assert any("2 looks in a row without a lower" in point["text"] for point in of_kind(folder, "note"))


def test_a_job_that_is_stopped_keeps_its_best_look_too(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_losses(monkeypatch, {2: 0.25, 4: 0.5, 5: 0.75})
    folder = new_job(steps=50)
    at_step(monkeypatch, 4, (folder / "stop").touch)
    assert run(folder) == 0
    status = status_of(folder)
    assert (status.state, status.kept_step) == ("stopped", 2)
    assert not (folder / "kept").exists()
