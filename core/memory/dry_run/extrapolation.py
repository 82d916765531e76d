"""From a step in which only a few layers of each kind ran to the step of the whole model, by arithmetic.

What a left-out layer adds at a moment of the step is what its reference, the second layer of its kind, holds at that
moment. So the maximum of each stretch of the step is known for the whole model, and with it the peak.
What it does not do: run anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from core.memory.dry_run.ledger import Moment
from core.memory.dry_run.repeats import Stack
from core.memory.dry_run.step import Trace

MADE_GOING_BACK = ("gradient", "workspace")


class NotAlike(Exception):
    """Layers that were taken to be alike are not: gradients go back through some of them only."""

    def __init__(self, graded: dict[str, dict[int, bool]]) -> None:
        super().__init__(", ".join(graded))
        self.graded = graded
        """By stack and layer: whether they do."""


@dataclass(frozen=True)
class Reference:
    """A left-out call, and the call that stands for it."""

    call: int
    """Both count from 1 in the order of the forward pass."""
    stands_for_it: int
    gradient_bytes: int
    """Of the layer's trained parameters."""


@dataclass(frozen=True)
class Peak:
    """The maximum of one stretch of the whole model's step."""

    parts: Counter[str]
    """Bytes by `input`, `vision`, `language`, `logits`, `gradient` and `workspace`."""
    when: str
    """In words."""


def whole(trace: Trace, stacks: list[Stack], gradients: Mapping[tuple[str, int], int]) -> list[Peak]:
    """The maxima of the whole model's step.

    Args:
        trace: of the short run.
        stacks: the repeated layers.
        gradients: bytes of trained parameters of each layer that ran, by stack and layer.
    """
    left_out = references(trace, stacks, gradients)
    return [Peak(_at(moment, left_out), _words(moment, trace)) for moment in trace.moments]


def _words(moment: Moment, trace: Trace) -> str:
    """When a moment is, for a person."""
    direction = "going back" if moment.when.backward else "going forward"
    if moment.when.call == 0 or not trace.calls:
        return f"{direction}, before the first layer"
    if moment.when.call > len(trace.calls):
        return f"{direction}, at the head and the loss"
    call = trace.calls[moment.when.call - 1]
    return f"{direction}, in layer {call.layer + 1} of {call.stack}"


def references(trace: Trace, stacks: list[Stack], gradients: Mapping[tuple[str, int], int]) -> list[Reference]:
    """The calls that were left out, each with the last call before it of the layer that stands for it.

    Raises:
        NotAlike: gradients go back through one of the two only.
    """
    by_name = {stack.name: stack for stack in stacks}
    last: dict[tuple[str, int], int] = {}
    found: list[Reference] = []
    unlike: set[str] = set()
    for number, call in enumerate(trace.calls, 1):
        if call.ran:
            last[call.stack, call.layer] = number
            continue
        layer = by_name[call.stack].reference(call.layer)
        like = last[call.stack, layer]
        found.append(Reference(number, like, gradients.get((call.stack, layer), 0)))
        if trace.calls[like - 1].graded != call.graded:
            unlike.add(call.stack)
    if unlike:
        raise NotAlike({name: _graded(trace, name) for name in unlike})
    return found


def _graded(trace: Trace, stack: str) -> dict[int, bool]:
    return {call.layer: call.graded for call in trace.calls if call.stack == stack}


def _at(moment: Moment, left_out: list[Reference]) -> Counter[str]:
    parts: Counter[str] = Counter()
    held: dict[int, Counter[str]] = {}
    for place, size in moment.live.items():
        parts[place.part] += size
        if place.part not in MADE_GOING_BACK:
            held.setdefault(place.call, Counter())[place.part] += size
    backward, now = moment.when
    for one in left_out:
        if one.call < now or (one.call == now and not backward):
            parts.update(held.get(one.stands_for_it, {}))
        elif backward and one.call > now:
            parts["gradient"] += one.gradient_bytes
    return parts
