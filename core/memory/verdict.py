"""Whether a training step fits a card, and the cheapest change that makes it fit.

Every change is worked out anew, so what is called sufficient is. They are tried in the order of what they cost the
person: first what changes nothing that is learned, then what loses detail, then what loses precision or capacity.
What it does not do: change a plan or a workload by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from core.errors import InspectionError
from core.memory.cards import Card
from core.memory.estimate import Memory, constant_bytes, estimate, simulated
from core.memory.kinds import KINDS, Setup, open_kinds, with_rank
from core.memory.workload import Workload
from core.models.source import Resolved
from core.spec import Plan

log = logging.getLogger("studio")
Answer = Literal["fits", "tight", "does not fit"]
ROOM = 0.9
"""Share of a card up to which a step fits; what is above is tight, since no estimate is exact."""
WORTHWHILE = 0.2
"""The optimizer is left alone where its numbers are a smaller share of what is missing."""
ALIKE = 0.8
"""Share of the activations that any packing of the weights, rank or optimizer surely leaves."""
GUESSED = 0.1
"""Share of the activations from which on the strongest of several changes is looked at first; it only saves time."""


STRAIGHT = 0.97
"""Share of what follows from a larger and a smaller batch that one between them surely takes."""


@dataclass(frozen=True)
class Change:
    """One change, or several together, and what it does to the peak."""

    what: str
    """To be done, in words."""
    cost: str
    """What it costs the person, in words."""
    setup: Setup
    """With the change."""
    memory: Memory
    """With the change."""
    saves: int
    """Bytes."""
    sufficient: bool
    """Whether the step fits then, with room."""


@dataclass(frozen=True)
class Verdict:
    """Whether a step fits a card."""

    answer: Answer
    card: Card
    memory: Memory
    change: Change | None
    """The cheapest that makes it fit; None where it fits, or where nothing helps."""
    words: str


def answer_of(peak: int, card: Card) -> Answer:
    """Fits, tight or does not fit."""
    if peak <= ROOM * card.bytes:
        return "fits"
    return "tight" if peak <= card.bytes else "does not fit"


def verdict(model: Resolved, plan: Plan, work: Workload, card: Card, kinds: frozenset[str] = KINDS) -> Verdict:
    """Whether a step fits, and what would make it fit, out of the kinds of change that are open.

    Raises:
        InspectionError: there is no estimate for this model.
    """
    setup = Setup(plan, replace(work, device=card.device))
    memory = estimate(model, setup.plan, setup.work)
    answer = answer_of(memory.peak_bytes, card)
    change = None if answer == "fits" else cheapest(model, setup, memory, card, kinds)
    return Verdict(answer, card, memory, change, _words(answer, memory, card, change))


def cheapest(model: Resolved, setup: Setup, memory: Memory, card: Card, kinds: frozenset[str] = KINDS) -> Change | None:
    """The first sufficient rung of a ladder of changes, each added to those before it.

    As long as the weights leave room for a step they are left alone, then 8 bits are tried, then 4, then smaller ranks.
    """
    ask = _Asked(model, setup, memory, card)
    if memory.term("optimizer") < WORTHWHILE * (memory.peak_bytes - ROOM * card.bytes):
        kinds -= {"optimizer"}
    for words, costs, start in _levels(setup, kinds):
        least = constant_bytes(simulated(model, setup.plan, setup.work), start.work, start.plan == setup.plan)
        if least > ROOM * card.bytes:
            continue
        if change := ask.first(list(_ladder(start, words, costs, kinds)), least):
            return change
    return None


def _levels(setup: Setup, kinds: frozenset[str]) -> Iterator[tuple[list[str], list[str], Setup]]:
    """The setup as it is, and with what is done about the weights and the rank."""
    yield [], [], setup
    weights: tuple[list[str], list[str]] = ([], [])
    packed = setup
    for kind in open_kinds(kinds & {"8bit", "4bit"}):
        for what, packed in kind.setups(setup):
            weights = ([what], [kind.cost])
            yield *weights, packed
    for kind in open_kinds(kinds & {"rank"}):
        for what, other in kind.setups(packed):
            yield [*weights[0], what], [*weights[1], kind.cost], other


def _ladder(start: Setup, words: list[str], costs: list[str], kinds: frozenset[str]) -> Iterator[_Rung]:
    """Changes added up in the order of their cost; of a kind's forms each takes the place of the one before."""
    if words:
        yield _Rung(listed(words), "; ".join(costs), start)
    for kind in open_kinds(kinds & {"optimizer", "checkpointing", "batch", "pictures"}):
        forms = list(kind.setups(start))
        for what, other in forms:
            yield _Rung(listed([*words, what]), "; ".join([*costs, kind.cost]), other)
        if forms:
            words, costs, start = [*words, forms[-1][0]], [*costs, kind.cost], forms[-1][1]


def changes(
    model: Resolved, setup: Setup, memory: Memory, card: Card, kinds: frozenset[str] = KINDS
) -> Iterator[Change]:
    """Each kind of change by itself, in the order of what it costs: its mildest form that suffices, else its strongest.

    Worked out one after the other as they are asked for, each in a second or so.
    """
    ask = _Asked(model, setup, memory, card)
    for kind in open_kinds(kinds):
        rungs = [_Rung(what, kind.cost, other) for what, other in kind.setups(setup)]
        if (change := ask.mildest(rungs)) and change.saves > 0:
            yield change


@dataclass(frozen=True)
class _Rung:
    """One change to be tried."""

    what: str
    cost: str
    setup: Setup


class _Asked:
    """What is asked of every change: does the step fit this card with it?"""

    def __init__(self, model: Resolved, setup: Setup, before: Memory, card: Card) -> None:
        self._model, self._before, self._card = model, before, card
        self._room = ROOM * card.bytes
        self._seen = [(setup, before)]

    def first(self, ladder: list[_Rung], least: int) -> Change | None:
        """The first rung of a ladder that suffices; None where none does.

        Args:
            ladder: each rung takes less memory than those before it, but for what `_fails_too` allows for.
            least: bytes that are there with every rung.
        """
        best, left = None, ladder
        while left := [rung for rung in left if self.hopeful(rung, least)]:
            probe = self._probe(left, least)
            place, change = left.index(probe), self.made(probe)
            if change is None:
                left = [rung for rung in left if rung is not probe]
            elif change.sufficient:
                best, left = change, left[:place]
            else:
                left = [rung for at, rung in enumerate(left) if at > place or not self._fails_too(rung, change)]
        return best

    def _probe(self, rungs: list[_Rung], least: int) -> _Rung:
        """The rung to be worked out next: the first that suffices if activations go by rows and pixels, else the last.

        Where nothing like it has been seen it is the last as well, unless the activations are a small part.
        """
        small = least + GUESSED * _kept(self._before) <= self._room
        for rung in rungs:
            expected = self._expected(rung.setup.work, least)
            if small if expected is None else expected <= self._room:
                return rung
        return rungs[-1]

    def _expected(self, work: Workload, least: int) -> float | None:
        """Bytes, roughly, from what was worked out last with layers treated alike."""
        for old, memory in reversed(self._seen):
            if old.work.checkpointing == work.checkpointing:
                stays = sum(memory.term(name) for name in ("adapter", "gradients", "optimizer"))
                comes = sum(memory.term(name) for name in ("logits", "workspace", "allocator reserve")) + _kept(memory)
                return least + stays + comes * self._size(work) / self._size(old.work)
        return None

    def _size(self, work: Workload) -> int:
        """Pixels of all rows; the rows where pictures of every size that was seen become as many tokens."""
        tokens = {old.work.image_size: memory.image_tokens for old, memory in self._seen}
        one_size = len(tokens) > 1 == len({*tokens.values()})
        return work.batch if one_size else work.batch * work.image_size[0] * work.image_size[1]

    def _fails_too(self, rung: _Rung, later: Change) -> bool:
        """Whether a rung does not suffice either, as a later one does not, or is that one.

        Only the gradients, which stay between the batches of a step, may be less with it.
        """
        fewer = rung.setup.work.accumulation == 1 < later.setup.work.accumulation
        return later.memory.peak_bytes - 1.1 * fewer * later.memory.term("adapter") > self._room

    def mildest(self, rungs: list[_Rung]) -> Change | None:
        """The mildest that suffices, else the strongest; a later one takes less memory than those before it."""
        best = self.made(rungs[-1]) if rungs else None
        low, high = 0, len(rungs) - 1
        while best and best.sufficient and low < high:
            middle = (low + high) // 2
            change = self.made(rungs[middle])
            if change and change.sufficient:
                best, high = change, middle
            else:
                low = middle + 1
        return best

    def hopeful(self, rung: _Rung, least: int) -> bool:
        """False for what is known to be too large, by its activations alone or from other batches: no time is lost."""
        new = rung.setup.work
        return (
            not any(
                _no_less(new, old.work) and least + ALIKE * _kept(memory) * new.batch / old.work.batch > self._room
                for old, memory in self._seen
            )
            and STRAIGHT * self._between(rung.setup) <= self._room
        )

    def _between(self, setup: Setup) -> float:
        """Bytes, from a larger and a smaller batch, between which they are a straight line; 0 without these."""
        same = {
            old.work.batch: memory.peak_bytes
            for old, memory in self._seen
            if replace(old, work=old.work.but(batch=1, accumulation=1))
            == replace(setup, work=setup.work.but(batch=1, accumulation=1))
        }
        below = max((batch for batch in same if batch < setup.work.batch), default=None)
        above = min((batch for batch in same if batch > setup.work.batch), default=None)
        if below is None or above is None:
            return 0
        return same[below] + (same[above] - same[below]) * (setup.work.batch - below) / (above - below)

    def made(self, rung: _Rung) -> Change | None:
        """One change, worked out anew; None where the step cannot be run with it."""
        try:
            memory = estimate(self._model, rung.setup.plan, rung.setup.work)
        except InspectionError as error:
            log.debug("not proposed: %s: %s", rung.what, error)
            return None
        self._seen.append((rung.setup, memory))
        saves = self._before.peak_bytes - memory.peak_bytes
        return Change(rung.what, rung.cost, rung.setup, memory, saves, _sufficient(memory, self._card))


def _no_less(new: Workload, old: Workload) -> bool:
    """Whether a row of the new workload keeps at least what one of the old does, but for what `ALIKE` allows for."""
    larger = all(mine >= other for mine, other in zip(new.image_size, old.image_size, strict=True))
    packed_alike = old.quantization in ("none", new.quantization)
    return larger and new.batch >= old.batch and new.checkpointing <= old.checkpointing and packed_alike


def _kept(memory: Memory) -> int:
    """Bytes of activations."""
    return memory.term("vision activations") + memory.term("language activations")


def _sufficient(memory: Memory, card: Card) -> bool:
    return answer_of(memory.peak_bytes, card) == "fits"


def listed(words: list[str]) -> str:
    """The words with commas and an “and”."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _words(answer: Answer, memory: Memory, card: Card, change: Change | None) -> str:
    """The verdict as a sentence or two."""
    sizes = f"{_gib(memory.peak_bytes)} of {_gib(card.bytes)}"
    if answer == "fits":
        return f"Fits {card.name}: {sizes}."
    start = f"Tight on {card.name}: {sizes}." if answer == "tight" else f"Does not fit {card.name}: {sizes}."
    if change is None:
        return f"{start} No change of these settings is enough; take a smaller model or a larger card."
    return f"{start} To make it fit: {change.what} ({_gib(change.memory.peak_bytes)})."


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


__all__ = ["KINDS", "Answer", "Change", "Setup", "Verdict", "answer_of", "changes", "cheapest", "verdict", "with_rank"]
