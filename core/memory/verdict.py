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
    ask = _Asked(model, setup.work, memory, card)
    if memory.term("optimizer") < WORTHWHILE * (memory.peak_bytes - ROOM * card.bytes):
        kinds -= {"optimizer"}
    for words, costs, start in _levels(setup, kinds):
        least = constant_bytes(simulated(model, setup.plan, setup.work), start.work, start.plan == setup.plan)
        if least > ROOM * card.bytes:
            continue
        ladder = [rung for rung in _ladder(start, words, costs, kinds) if ask.hopeful(rung, least)]
        if ladder and (change := ask.first(ladder, least)):
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
    ask = _Asked(model, setup.work, memory, card)
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

    def __init__(self, model: Resolved, work: Workload, before: Memory, card: Card) -> None:
        self._model, self._work, self._before, self._card = model, work, before, card
        self._room = ROOM * card.bytes
        self._seen = [(work, before)]

    def first(self, ladder: list[_Rung], least: int) -> Change | None:
        """The first rung of a ladder that suffices; None where none does.

        Args:
            ladder: each rung takes less memory than those before it, but for what `_hopeless` allows for.
            least: bytes that are there with every rung.
        """
        if least + GUESSED * _kept(self._before) > self._room:
            ladder = self._narrowed(ladder, least)
        mild = sum(rung.setup.work.batch == self._work.batch for rung in ladder)
        for rung in ladder[:mild]:
            if (change := self.made(rung)) and change.sufficient:
                return change
        change = self.mildest(ladder[mild:])
        return change if change and change.sufficient else None

    def _narrowed(self, ladder: list[_Rung], least: int) -> list[_Rung]:
        """The rungs among which the first that suffices must be, if there is one; small steps are worked out first."""
        if self._hopeless(ladder[-1]):
            return []
        low, high, probe = 0, len(ladder) - 1, self._guessed(ladder, least)
        while low < high:
            probe = min(max(probe, low), high - 1)
            if (change := self.made(ladder[probe])) and change.sufficient:
                high, probe = probe, probe - 1
            elif self._hopeless(ladder[probe]):
                low = probe = probe + 1
            else:
                break
        return ladder[low : high + 1]

    def _guessed(self, ladder: list[_Rung], least: int) -> int:
        """Where to begin: at the first rung that suffices if activations go by rows and pixels."""
        change, last = self.made(ladder[-1]), ladder[-1].setup.work
        if change is None:
            return 0

        def size(work: Workload) -> int:
            return work.batch * work.image_size[0] * work.image_size[1]

        passing = change.memory.peak_bytes - least
        return sum(
            rung.setup.work.checkpointing != last.checkpointing
            or least + passing * size(rung.setup.work) / size(last) > self._room
            for rung in ladder
        )

    def _hopeless(self, rung: _Rung) -> bool:
        """Whether a rung says that neither it nor any before it suffices.

        Only the gradients, which stay between the batches of a step, may be less with those before it.
        """
        change = self.made(rung)
        return change is not None and change.memory.peak_bytes - 1.1 * change.memory.term("adapter") > self._room

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
        """False for what keeps all activations where these alone are known to be too large: no time is lost on it."""
        new = rung.setup.work
        return not any(
            (new.batch, new.checkpointing, new.image_size) == (old.batch, old.checkpointing, old.image_size)
            and old.quantization in ("none", new.quantization)
            and least + ALIKE * _kept(memory) > self._room
            for old, memory in self._seen
        )

    def made(self, rung: _Rung) -> Change | None:
        """One change, worked out anew; None where the step cannot be run with it."""
        try:
            memory = estimate(self._model, rung.setup.plan, rung.setup.work)
        except InspectionError as error:
            log.debug("not proposed: %s: %s", rung.what, error)
            return None
        self._seen.append((rung.setup.work, memory))
        saves = self._before.peak_bytes - memory.peak_bytes
        return Change(rung.what, rung.cost, rung.setup, memory, saves, _sufficient(memory, self._card))


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
