"""What can be changed about a step that does not fit: the kinds of change, in the order of what they cost the person.

First what changes nothing that is learned, then what loses detail, then what loses precision or capacity.
What it does not do: know what a change saves (see `verdict`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from core.memory.workload import Workload
from core.spec import Plan, Settings

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


def left_open(kinds: frozenset[str], settings: Settings) -> frozenset[str]:
    """The kinds without those that a job decides by itself, when it starts, so that its step fits.

    Args:
        kinds: of change.
        settings: what the person has set, and what not.
    """
    rows = {"batch"} if settings.at_once is None else set()
    return kinds - rows - ({"checkpointing"} if settings.checkpointing is None else set())


Form = tuple[str, Setup]
"""A change in words, and what it leads to."""


@dataclass(frozen=True)
class Kind:
    """A kind of change: its name, what it costs, and the setups that it leads to, the mildest first."""

    name: str
    cost: str
    setups: Callable[[Setup], Iterator[Form]]


def open_kinds(kinds: frozenset[str]) -> list[Kind]:
    """The kinds of these names, the cheapest first."""
    return [kind for kind in _ALL if kind.name in kinds]


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


_ALL = (
    Kind("optimizer", "nothing that one would notice", _eight_bit_optimizer),
    Kind("checkpointing", "each step takes about a third longer", _checkpointing),
    Kind("batch", "steps take somewhat longer; what is learned is the same", _smaller_batches),
    Kind("pictures", "small print and fine lines in the pictures are lost", _smaller_pictures),
    Kind("8bit", "slower steps; hardly any quality", _eight_bit_weights),
    Kind("4bit", "slower steps; a little quality", _four_bit_weights),
    Kind("rank", "less can be learned", _smaller_rank),
)
