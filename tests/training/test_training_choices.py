"""What a job chooses when it starts: the fastest way that fits, what a person has set, and a reason for each."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import InspectionError
from core.memory.cards import CARDS, Card
from core.memory.estimate import estimate
from core.memory.workload import Workload
from core.models.inspection import inspect_source
from core.models.source import Resolved
from core.spec import Inspection, Settings
from core.training import by_memory, fitting
from core.training.choice import Choice
from core.training.choices import Choices, choose, choose_on_card, lines
from core.training.computer import Computer, computer_of, precision_on
from core.training.fitting import MOST_PARTS, Way, batch_of, enough_rows, fastest, stepped, ways
from core.training.shapes import RowShape
from core.training.worker import run
from tests.memory.measuring import plan_of
from tests.memory.small_models import SIDE, small_source
from tests.training.short_jobs import of_kind, status_of

MIB = 2**20
PLENTY = Computer("cpu", "this machine’s free memory", 2**40, "fp32", "CPU with 32-bit floats", 16, False)
GPU = Computer("cuda", "a card", 2**40, "bf16", "a card with bfloat16", 16, True)
SHAPE = RowShape(1, (SIDE, SIDE), 48, 8)
USUAL = Settings(batch_size=16)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Resolved, Inspection]:
    """A LLaVA whose activations mean something beside its weights."""
    resolved = small_source("llava", tmp_path_factory.mktemp("llava"))
    return resolved, inspect_source(resolved.source)


@pytest.fixture
def chosen(model: tuple[Resolved, Inspection]) -> Callable[..., Choices]:
    """What is chosen for LoRA on everything, with so many bytes beside what the process takes."""

    def make(settings: Settings = USUAL, computer: Computer = PLENTY, free: int | None = None, **more: int) -> Choices:
        resolved, inspection = model
        computer = computer if free is None else replace(computer, free=free)
        return choose(resolved, inspection, plan_of(resolved, "all"), settings, computer, SHAPE, **more)

    return make


def peak(model: tuple[Resolved, Inspection], work: Workload) -> int:
    return estimate(model[0], plan_of(model[0], "all"), work).peak_bytes


def needed(model: tuple[Resolved, Inspection], chosen: Callable[..., Choices], **changes: object) -> int:
    """Bytes that must be free for the step of everything at once with these changes to fit."""
    return int(peak(model, chosen().work.but(**changes)) / 0.9) + MIB


def values(choices: Choices) -> dict[str, object]:
    return {choice.name: choice.value for choice in choices.all()}


# The search


def ladders(seed: int) -> Iterator[tuple[Workload, list[list[Way]], Callable[[Workload], int]]]:
    draw = random.Random(seed)
    for _ in range(40):
        device = draw.choice(("cpu", "cuda"))
        work = Workload(batch=draw.choice((1, 2, 7, 12, 16, 60)), accumulation=draw.choice((1, 3)), device=device)
        row, again = draw.randint(1, 50), draw.uniform(0.1, 0.9)

        def takes(step: Workload, row: int = row, again: float = again) -> int:
            return 100 + int(step.batch * row * (again if step.checkpointing else 1))

        yield work, list(ways(work, None, None, draw.choice((10, 300, 5000)))), takes


@pytest.mark.parametrize("seed", range(5))
def test_the_first_way_that_fits_is_taken_and_none_sees_other_rows(seed: int) -> None:
    for work, found, takes in ladders(seed):
        flat = [way for ladder in found for way in ladder]
        for room in (50, 110, 150, 400, 10_000):
            best = fastest(work, found, room, takes)
            fitting = [way for way in flat if takes(stepped(work, way)) <= room]
            assert best.fits is bool(fitting)
            assert best.way == (fitting[0] if fitting else flat[-1])
            assert best.peak == takes(stepped(work, best.way))
        for way in flat:
            step = stepped(work, way)
            assert step.batch * step.accumulation == work.batch * work.accumulation


def test_few_rows_come_before_computing_again_on_a_cpu_and_after_it_on_a_card() -> None:
    work = Workload(batch=8)
    assert [[(way.rows, way.again) for way in ladder] for ladder in ways(work, None, None, 100)] == [
        [(8, False), (4, False), (2, False), (1, False)],
        [(8, True), (4, True), (2, True), (1, True)],
    ]
    first = next(ways(work.but(device="cuda"), None, None, 600))
    assert [way.rows for way in first] == [8, 4], "a card with fewer than 2,048 tokens has too little to do"


@pytest.mark.parametrize(("batch", "asked", "rows"), [(12, 5, 4), (12, 12, 12), (12, 99, 12), (7, 6, 1), (1, 1, 1)])
def test_a_batch_is_cut_into_equal_parts(batch: int, asked: int, rows: int) -> None:
    assert batch_of(batch, asked) == rows


@pytest.mark.parametrize("seed", range(5))
def test_a_cpu_takes_the_fewest_rows_that_give_it_enough_to_do(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(100):
        batch, tokens = draw.choice((1, 4, 7, 12, 64)), draw.choice((10, 60, 200, 1000))
        parameters, cores = 10 ** draw.randint(3, 10), draw.choice((1, 2, 16))
        rows = enough_rows(batch, tokens, parameters, cores)
        assert batch % rows == 0
        assert enough_rows(batch, tokens, parameters, 2 * cores) >= rows, "more cores want more"
        assert enough_rows(batch, tokens, 10 * parameters, cores) <= rows, "a larger model has enough with less"
        assert enough_rows(batch, 2 * tokens, parameters, cores) <= rows
        (ladder,) = ways(Workload(batch=batch), None, False, tokens, rows)
        assert [way.rows for way in ladder] == [n for n in range(rows, 0, -1) if batch % n == 0]
    assert enough_rows(16, 90, 10**6, 2) == 16, "small matrices want the whole batch"
    assert enough_rows(16, 90, 10**9, 2) == 4
    (few,) = ways(Workload(batch=4, accumulation=MOST_PARTS), None, False, 1000, 1)
    assert [way.rows for way in few] == [4], "no settings take more parts"


# The choices


def test_a_large_model_goes_through_a_cpu_in_parts_unless_something_speaks_against_it(
    model: tuple[Resolved, Inspection], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved, inspection = model
    monkeypatch.setattr(fitting, "ENOUGH", 1)  # any model is large

    def rows(computer: Computer = PLENTY, inspected: Inspection = inspection, **changes: Any) -> Choice:
        settings = replace(USUAL, **changes)
        plan, shape = plan_of(resolved, "all"), replace(SHAPE, image_tokens=100)
        return choose(resolved, inspected, plan, settings, computer, shape).at_once

    assert rows().value == 2
    assert "enough to do" in rows().reason
    assert rows().by == "studio"
    assert rows(at_once=16).value == rows(GPU, attention="sdpa").value == rows(order="pictures").value == 16
    assert rows(order="pictures", without=("shared_pictures",)).value == 2
    norm = replace(inspection.modules[0], kind="BatchNorm2d")
    assert rows(inspected=replace(inspection, modules=(norm, *inspection.modules[1:]))).value == 16


def test_with_plenty_of_memory_nothing_is_cut_or_computed_again(chosen: Callable[..., Choices]) -> None:
    found = chosen()
    assert values(found) == {
        "device": "cpu", "precision": "fp32", "attention": "sdpa", "at_once": 16, "accumulation": 1,
        "checkpointing": False, "workers": 0,
    }  # fmt: skip
    assert {choice.by for choice in found.all()} == {"studio"}
    assert all(choice.reason.endswith(".") for choice in found.all())
    assert len(list(lines(found))) == len(found.all())


def test_with_less_fewer_rows_are_taken_and_the_step_is_estimated_to_fit(
    model: tuple[Resolved, Inspection], chosen: Callable[..., Choices]
) -> None:
    free = needed(model, chosen, batch=4, accumulation=4)
    found = chosen(free=free)
    assert (found.at_once.value, found.accumulation.value, found.checkpointing.value) == (4, 4, False)
    assert peak(model, found.work) <= 0.9 * free
    assert f"{free / MIB:,.0f} MiB" in found.at_once.reason or "GiB" in found.at_once.reason
    settled = found.settled(USUAL)
    assert (settled.batch_size, settled.accumulation, settled.checkpointing) == (4, 4, False)
    assert (settled.precision, settled.attention, settled.workers) == ("fp32", "sdpa", 0)


def test_with_little_layers_are_computed_again_and_with_too_little_it_is_said(
    model: tuple[Resolved, Inspection], chosen: Callable[..., Choices]
) -> None:
    found = chosen(free=needed(model, chosen, batch=1, accumulation=16, checkpointing=True))
    assert (found.at_once.value, found.checkpointing.value) == (1, True)
    assert "third longer" in found.checkpointing.reason
    none = chosen(free=MIB)
    assert (none.at_once.value, none.checkpointing.value) == (1, True)
    assert "may run out of memory" in none.at_once.reason


def test_what_a_person_has_set_stays_and_is_marked_as_theirs(chosen: Callable[..., Choices]) -> None:
    asked = Settings(batch_size=16, at_once=5, checkpointing=False, workers=3, attention="eager", precision="fp32")
    found = chosen(asked, free=MIB)
    assert values(found) == {
        "device": "cpu", "precision": "fp32", "attention": "eager", "at_once": 4, "accumulation": 4,
        "checkpointing": False, "workers": 3,
    }  # fmt: skip
    mine = {choice.name for choice in found.all() if choice.by == "you"}
    assert mine == {"precision", "attention", "at_once", "checkpointing", "workers"}
    assert "the most under 5" in found.at_once.reason
    assert found.loaded_with == "eager"
    assert chosen(Settings(batch_size=16, checkpointing=True)).checkpointing.value is True


@pytest.mark.parametrize("rows", [1, 5, 16, 33, 1000])
@pytest.mark.parametrize("free", [MIB, None])
def test_the_training_is_as_long_as_the_settings_say(chosen: Callable[..., Choices], rows: int, free: int) -> None:
    settings = Settings(epochs=3, steps=None, batch_size=12, accumulation=2)
    assert chosen(settings, free=free).settled(settings).total_steps(rows) == settings.total_steps(rows)


def test_without_an_estimate_the_way_that_takes_least_is_taken(
    chosen: Callable[..., Choices], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> None:
        raise InspectionError("A step was to be run", "its pictures are of no known form", "Take another")

    monkeypatch.setattr(by_memory, "estimate", cannot)
    found = chosen()
    assert (found.at_once.value, found.checkpointing.value) == (1, True)
    assert "its pictures are of no known form" in found.at_once.reason


def test_a_step_that_surely_fits_is_not_estimated_and_really_takes_less(
    model: tuple[Resolved, Inspection], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved, inspection = model
    measured = replace(SHAPE, image_tokens=64)
    plan = plan_of(resolved, "all")
    with monkeypatch.context() as patch:
        patch.setattr(by_memory, "estimate", lambda *_: pytest.fail("seconds for nothing"))
        found = choose(resolved, inspection, plan, USUAL, PLENTY, measured)
    assert "surely fits" in found.at_once.reason
    bound = by_memory.ByMemory(resolved, inspection, plan, USUAL, PLENTY, measured)
    sure = next(free for free in range(MIB, 2**36, 64 * MIB) if _is_sure(bound, replace(PLENTY, free=free), found))
    assert peak(model, found.work) < 0.9 * sure


def _is_sure(bound: by_memory.ByMemory, computer: Computer, found: Choices) -> bool:
    bound._computer = computer
    return bound._sure(found.work) is not None


# Attention, workers, precision


@pytest.mark.parametrize(
    ("computer", "changes", "value", "by", "words"),
    [
        (GPU, {}, "flash_attention_2", "studio", "installed"),
        (replace(GPU, flash=False), {}, "sdpa", "studio", "fused attention"),
        (replace(GPU, precision="fp32"), {}, "sdpa", "studio", "16 bits only"),
        (GPU, {"order": "pictures"}, "sdpa", "studio", "mask of blocks"),
        (GPU, {"order": "pictures", "without": ("shared_pictures",)}, "flash_attention_2", "studio", "installed"),
        (GPU, {"attention": "flash_attention_2", "order": "pictures"}, "flash_attention_2", "you", "installed"),
        (GPU, {"attention": "sdpa"}, "sdpa", "you", "As the settings ask"),
        (replace(GPU, flash=False), {"attention": "flash_attention_2"}, "sdpa", "studio", "not installed"),
        (PLENTY, {"attention": "flash_attention_2"}, "sdpa", "studio", "NVIDIA’s GPUs only"),
        (PLENTY, {"attention": "eager"}, "eager", "you", "As the settings ask"),
    ],
)
def test_attention_is_the_best_that_is_there_or_the_one_that_was_asked_for(
    chosen: Callable[..., Choices], computer: Computer, changes: dict, value: str, by: str, words: str
) -> None:
    found = chosen(Settings(batch_size=1, **changes), computer)
    assert (found.attention.value, found.attention.by) == (value, by)
    assert words.lower() in found.attention.reason.lower()
    assert found.loaded_with == (None if value == "sdpa" else value)


@pytest.mark.parametrize(
    ("computer", "changes", "rows", "workers"),
    [
        (PLENTY, {}, 1000, 0),
        (GPU, {"epochs": 1, "steps": None}, 1000, 4),
        (GPU, {"epochs": 3, "steps": None}, 1000, 0),
        (GPU, {"epochs": 3, "steps": None, "augment": ("crop",)}, 1000, 4),
        (GPU, {"steps": 1000}, 1000, 0),
        (GPU, {"steps": 10}, 1000, 4),
        (replace(GPU, cores=4), {"steps": 10}, 1000, 2),
        (replace(GPU, cores=1), {"steps": 10}, 1000, 0),
    ],
)
def test_rows_are_prepared_beside_where_that_hides_time(
    chosen: Callable[..., Choices], computer: Computer, changes: dict, rows: int, workers: int
) -> None:
    assert chosen(Settings(batch_size=2, **changes), computer, rows=rows).workers.value == workers


def test_a_card_of_the_list_is_taken_as_it_would_be_found(model: tuple[Resolved, Inspection]) -> None:
    resolved, inspection = model
    for card in (*CARDS, Card("this machine’s memory", 2**34, "cpu", bf16=False)):
        found = choose_on_card(resolved, inspection, plan_of(resolved, "all"), Settings(batch_size=1), card, SHAPE)
        native = card.device == "cuda" and card.bf16
        assert (found.device.value, found.precision.value) == (card.device, "bf16" if native else "fp32")
        assert precision_on(card, "bf16", 1)[0] == "bf16"
        assert computer_of(card, "fp32", "").room < card.bytes


# In a job


@pytest.fixture(scope="module")
def losses() -> dict[str, list[float]]:
    """Of the jobs below, by what was different."""
    return {}


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{}, {"at_once": 1}, {"at_once": 2, "checkpointing": True}, {"workers": 2}],
    ids=["", "1", "2", "workers"],
)
def test_what_is_learned_is_the_same_however_it_is_computed(
    changes: dict, new_job: Callable[..., Path], losses: dict[str, list[float]]
) -> None:
    folder = new_job("job", steps=8, eval_every=8, **changes)
    assert run(folder) == 0, status_of(folder).error
    found = [point["loss"] for point in of_kind(folder, "train")]
    assert found == pytest.approx(losses.setdefault("loss", found), rel=1e-5)
    points = {point["name"]: point for point in of_kind(folder, "choice")}
    assert {"device", "precision", "attention", "at_once", "accumulation", "checkpointing", "workers"} <= points.keys()
    for name, value in changes.items():
        assert (points[name]["value"], points[name]["by"]) == (value, "you")
    rows = points["at_once"]["value"] * points["accumulation"]["value"]
    assert (rows, status_of(folder).step) == (4, 8)


@pytest.mark.slow
def test_a_row_that_cannot_be_read_by_another_process_is_said_in_its_own_words(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.errors import DataError
    from core.training.trainer import Collator

    def fails(*_: object) -> None:
        raise DataError("The picture “7.png” was opened", "it is gone", "Put it back")

    monkeypatch.setattr(Collator, "__call__", fails)
    folder = new_job("job", steps=2, workers=1)
    assert run(folder) == 1
    assert status_of(folder).error == "The picture “7.png” was opened: it is gone. Put it back."
