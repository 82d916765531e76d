"""Fits, tight or not, and what makes it fit: every change that is called sufficient is, by an estimate of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from core.memory import cards
from core.memory.cards import CARDS, Card, found, machine_bytes, parsed
from core.memory.estimate import CUDA_CONTEXT, Memory, estimate
from core.memory.verdict import KINDS, ROOM, Setup, _ladder, _levels, answer_of, changes, verdict, with_rank
from core.memory.workload import Workload
from core.models.source import Resolved
from core.spec import Plan
from tests.memory.measuring import plan_of
from tests.memory.small_models import SIDE, small_source

WORK = Workload(batch=4, image_size=(2 * SIDE, 2 * SIDE), text_tokens=48, precision="bf16", device="cuda")


OPEN = KINDS - {"optimizer"}
"""It is left alone where it would hardly help, so that not everything that might suffice is proposed."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    return small_source("qwen2_5_vl", tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def plan(model: Resolved) -> Plan:
    return plan_of(model, "all")


@pytest.fixture(scope="module")
def memory(model: Resolved, plan: Plan) -> Memory:
    return estimate(model, plan, WORK)


def card_for(memory: Memory, share: float) -> Card:
    """A card of which the step would take so much beside CUDA's own share."""
    return Card("a card", int(CUDA_CONTEXT / ROOM + (memory.peak_bytes - CUDA_CONTEXT) / share))


def test_the_terms_add_up_and_name_their_reasons(memory: Memory) -> None:
    assert sum(term.bytes for term in memory.terms) == memory.peak_bytes
    assert all(term.why and term.bytes >= 0 for term in memory.terms)
    assert memory.guesses == 0
    assert "Nothing was guessed" in memory.how


def test_what_fits_needs_no_change(model: Resolved, plan: Plan, memory: Memory) -> None:
    made = verdict(model, plan, WORK, Card("large", 2 * memory.peak_bytes))
    assert (made.answer, made.change) == ("fits", None)
    assert answer_of(95, Card("small", 100)) == "tight"
    assert answer_of(101, Card("small", 100)) == "does not fit"


@pytest.mark.parametrize("share", [1.05, 1.5, 2.5, 4.0])
def test_a_sufficient_change_really_suffices(model: Resolved, plan: Plan, memory: Memory, share: float) -> None:
    card = card_for(memory, share)
    made = verdict(model, plan, WORK, card)
    assert made.answer != "fits"
    assert made.change is not None, "this much can be saved on this model"
    again = estimate(model, made.change.setup.plan, made.change.setup.work)
    assert again.peak_bytes <= ROOM * card.bytes
    assert made.change.saves == memory.peak_bytes - again.peak_bytes
    assert made.change.what in made.words


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "mllama"])
def test_no_cheaper_change_is_passed_over(family: str, tmp_path: Path) -> None:
    model = small_source(family, tmp_path)
    plan = plan_of(model, "all")
    before = estimate(model, plan, WORK)
    peak_of = cache(lambda setup: estimate(model, setup.plan, setup.work).peak_bytes)
    for share in (1.2, 2.0, 3.0, 4.5):
        card = card_for(before, share)
        made = verdict(model, plan, WORK, card, OPEN)
        cheapest = next((words for words, setup in _all_setups(plan) if peak_of(setup) <= ROOM * card.bytes), None)
        assert (made.change and made.change.what) == cheapest, share


def _all_setups(plan: Plan) -> Iterator[tuple[str, Setup]]:
    """Every change and every sum of changes in the order of their cost."""
    for words, costs, start in _levels(Setup(plan, WORK), OPEN):
        for rung in _ladder(start, words, costs, OPEN):
            yield rung.what, rung.setup


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "qwen3_vl_moe", "mllama", "gemma3", "smolvlm"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_peak_is_a_straight_line_in_the_batch(family: str, checkpointing: bool, tmp_path: Path) -> None:
    model = small_source(family, tmp_path)
    plan, work = plan_of(model, "all"), WORK.but(checkpointing=checkpointing, quantization="8bit")
    small, middle, large = (estimate(model, plan, work.but(batch=rows)).peak_bytes for rows in (2, 4, 8))
    assert small + (large - small) / 3 == pytest.approx(middle, rel=0.005)


def test_when_nothing_suffices_it_says_so(model: Resolved, plan: Plan) -> None:
    made = verdict(model, plan, WORK, Card("a toy", CUDA_CONTEXT // 2))
    assert made.change is None
    assert "No change" in made.words


def test_a_smaller_batch_keeps_the_rows_of_a_step(model: Resolved, plan: Plan, memory: Memory) -> None:
    only = frozenset({"batch"})
    made = verdict(model, plan, WORK, card_for(memory, 1.3), only)
    assert made.change is not None
    work = made.change.setup.work
    assert work.batch < WORK.batch
    assert work.batch * work.accumulation == WORK.batch * WORK.accumulation


def test_every_change_by_itself_saves_something(model: Resolved, plan: Plan, memory: Memory) -> None:
    found_changes = list(changes(model, Setup(plan, WORK), memory, card_for(memory, 20.0)))
    # Pictures this small are not made smaller, and 8-bit workspace outweighs what so few weights give back.
    assert len(found_changes) >= len(KINDS) - 2, [change.what for change in found_changes]
    for change in found_changes:
        assert change.saves > 0
        assert not change.sufficient
        assert change.what
        assert change.cost


def test_only_open_kinds_of_change_are_proposed(model: Resolved, plan: Plan, memory: Memory) -> None:
    made = verdict(model, plan, WORK, card_for(memory, 1.2), frozenset({"checkpointing"}))
    assert made.change is not None
    assert made.change.setup == Setup(plan, replace(WORK, checkpointing=True))


def test_a_smaller_rank_keeps_proportions() -> None:
    from core.spec import Override

    plan = Plan(target_modules=("a", "b"), rank=16, alpha=32, overrides=(Override("vision", ("a",), 8, 8.0, 0.0),))
    made = with_rank(plan, 4)
    assert (made.rank, made.alpha) == (4, 8)
    assert (made.overrides[0].rank, made.overrides[0].alpha) == (2, 2.0)


def test_more_of_anything_never_takes_less(model: Resolved, plan: Plan, memory: Memory) -> None:
    for more in ({"batch": 5}, {"text_tokens": 96}, {"image_size": (3 * SIDE, 3 * SIDE)}, {"precision": "fp32"}):
        assert estimate(model, plan, WORK.but(**more)).peak_bytes > memory.peak_bytes, more


def test_packed_weights_are_smaller_and_named(model: Resolved, plan: Plan, memory: Memory) -> None:
    sizes = [memory.term("weights")]
    for kind in ("8bit", "4bit"):
        packed = estimate(model, plan, WORK.but(quantization=kind))
        sizes.append(packed.term("weights"))
        assert kind[0] in packed.terms[0].why
    assert sizes == sorted(sizes, reverse=True)


def test_the_cards_stand_in_order_and_offer_less_than_is_on_the_box() -> None:
    for card in CARDS:
        printed = int(card.name.rsplit(" ", 2)[1])
        assert 0.9 * printed < card.bytes / 2**30 < printed
    boxes = [int(card.name.rsplit(" ", 2)[1]) for card in CARDS]
    assert boxes == sorted(boxes)


def test_the_drivers_answer_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA GeForce RTX 3090, 24576, 318'\necho 'Tesla T4, 15360, 400'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    card = found()
    assert (card.name, card.bytes, card.device) == ("NVIDIA GeForce RTX 3090", (24576 - 318) * 2**20, "cuda")
    assert not parsed("Tesla T4, 15360, [N/A]").bf16
    assert parsed("No devices were found") is None


def test_without_a_card_it_is_the_machines_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    monkeypatch.setattr(cards, "_CGROUPS", (tmp_path / "absent", limit))
    card = found()
    assert (card.device, card.bytes) == ("cpu", 1_000_000)
    limit.write_text("max\n")
    assert machine_bytes() > 1_000_000
