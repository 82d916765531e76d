"""Whether a training step fits a card, and the cheapest change that makes it fit.

Every change is worked out anew, so what is called sufficient is. They are tried in the order of what they cost the
person: first what changes nothing that is learned, then what loses detail, then what loses precision or capacity.
What it does not do: change a plan or a workload by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from core.errors import InspectionError
from core.memory.cards import Card
from core.memory.estimate import Memory, constant_bytes, estimate, simulated
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
GUESSED = 0.3
"""Share of the activations from which on the strongest of several changes is looked at first; it only saves time."""
SMALLEST_SIDE = 224
"""Pixels: pictures are not made smaller than what the usual towers were trained on."""
SMALLEST_RANK = 4
KINDS = frozenset({"optimizer", "checkpointing", "batch", "pictures", "8bit", "4bit", "rank"})
"""Kinds of change."""


@dataclass(frozen=True)
class Setup:
    """What can be changed."""

    plan: Plan
    work: Workload


Form = tuple[str, Setup]
"""A change in words, and what it leads to."""


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


@dataclass(frozen=True)
class _Kind:
    """A kind of change: its name, what it costs, and the setups that it leads to, the mildest first."""

    name: str
    cost: str
    setups: Callable[[Setup], Iterator[Form]]


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
    for kind in _open(kinds & {"8bit", "4bit"}):
        for what, packed in kind.setups(setup):
            weights = ([what], [kind.cost])
            yield *weights, packed
    for kind in _open(kinds & {"rank"}):
        for what, other in kind.setups(packed):
            yield [*weights[0], what], [*weights[1], kind.cost], other


def _ladder(start: Setup, words: list[str], costs: list[str], kinds: frozenset[str]) -> Iterator[_Rung]:
    """Changes added up in the order of their cost; of a kind's forms each takes the place of the one before."""
    if words:
        yield _Rung(listed(words), "; ".join(costs), start)
    for kind in _open(kinds & {"optimizer", "checkpointing", "batch", "pictures"}):
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
    for kind in _open(kinds):
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
        if least + GUESSED * _kept(self._before) > self._room and self._hopeless(ladder[-1]):
            return None
        mild = sum(rung.setup.work.batch == self._work.batch for rung in ladder)
        for rung in ladder[:mild]:
            if (change := self.made(rung)) and change.sufficient:
                return change
        change = self.mildest(ladder[mild:])
        return change if change and change.sufficient else None

    def _hopeless(self, rung: _Rung) -> bool:
        """Whether a ladder's last rung, a small step that is soon worked out, says that none of it suffices.

        Only the gradients, which stay between the batches of a step, may be less with the rungs before it.
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


def _open(kinds: frozenset[str]) -> list[_Kind]:
    return [kind for kind in _KINDS if kind.name in kinds]


def _eight_bit_optimizer(setup: Setup) -> Iterator[Form]:
    if setup.work.device == "cuda" and setup.work.optimizer == "adamw":
        yield "keep the optimizer's numbers in 8 bits", replace(setup, work=setup.work.but(optimizer="adamw_8bit"))


def _checkpointing(setup: Setup) -> Iterator[Form]:
    if not setup.work.checkpointing:
        yield "compute layers again instead of keeping them", replace(setup, work=setup.work.but(checkpointing=True))


def _smaller_batches(setup: Setup) -> Iterator[Form]:
    """Divisors of the batch, so that the rows of an optimizer step stay the same."""
    work = setup.work
    for parts in range(2, work.batch + 1):
        if work.batch % parts == 0:
            batch, times = work.batch // parts, work.accumulation * parts
            rows = "1 row" if batch == 1 else f"{batch} rows"
            yield (
                f"take {rows} at a time, {times} times a step",
                replace(setup, work=work.but(batch=batch, accumulation=times)),
            )


def _smaller_pictures(setup: Setup) -> Iterator[Form]:
    height, width = setup.work.image_size
    for share in (0.75, 0.5):
        size = (int(height * share), int(width * share))
        if min(size) >= SMALLEST_SIDE and setup.work.images:
            yield f"make pictures {size[1]} x {size[0]} pixels", replace(setup, work=setup.work.but(image_size=size))


def _eight_bit_weights(setup: Setup) -> Iterator[Form]:
    if setup.work.quantization == "none":
        yield "load the frozen weights in 8 bits", replace(setup, work=setup.work.but(quantization="8bit"))


def _four_bit_weights(setup: Setup) -> Iterator[Form]:
    if setup.work.quantization != "4bit":
        yield "load the frozen weights in 4 bits", replace(setup, work=setup.work.but(quantization="4bit"))


def _smaller_rank(setup: Setup) -> Iterator[Form]:
    rank = setup.plan.rank
    while (rank := rank // 2) >= SMALLEST_RANK:
        yield f"take rank {rank}", replace(setup, plan=with_rank(setup.plan, rank))


def with_rank(plan: Plan, rank: int) -> Plan:
    """The plan with its rank changed, and the ranks of components in proportion; alpha / rank stays."""
    share = rank / plan.rank

    def scaled(old: int) -> int:
        return max(1, round(old * share))

    overrides = tuple(
        replace(one, rank=scaled(one.rank), alpha=one.alpha * scaled(one.rank) / one.rank) for one in plan.overrides
    )
    return replace(plan, rank=rank, alpha=plan.alpha * share, overrides=overrides)


_KINDS = (
    _Kind("optimizer", "nothing that one would notice", _eight_bit_optimizer),
    _Kind("checkpointing", "each step takes about a third longer", _checkpointing),
    _Kind("batch", "steps take somewhat longer; what is learned is the same", _smaller_batches),
    _Kind("pictures", "small print and fine lines in the pictures are lost", _smaller_pictures),
    _Kind("8bit", "slower steps; hardly any quality", _eight_bit_weights),
    _Kind("4bit", "slower steps; a little quality", _four_bit_weights),
    _Kind("rank", "less can be learned", _smaller_rank),
)


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
