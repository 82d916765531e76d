"""Which learning rate is out of what is common, and which to take instead: one figure, wherever it is asked for.

What it does not do: put it into advice on a choice (`numbers.py`), or find out that a training came apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.lora.advice.case import Group, groups_of, rounded
from core.lora.presets import usual_rate
from core.spec import Plan, Settings

FAR_LOW, FAR_HIGH = 0.5, 4.0
"""Scales of the update outside of which alpha is far from the rank; 1 and 2 are usual."""
USUAL_SCALE = 2.0
TENTH = 10


@dataclass(frozen=True)
class OddRate:
    """A rate that is out of what is common."""

    group: Group
    better: float
    low: bool


def odd_rate(total_params: int, groups: Sequence[Group]) -> OddRate | None:
    """The first group whose rate times its update's scale is out of what is common for models of this size."""
    usual = usual_rate(total_params)
    for group in groups:
        rate = group.learning_rate * group.scale
        if not usual.low <= rate <= usual.high and not _alpha_is_to_blame(group, usual.low, usual.high):
            better = rounded(min(usual.most, usual.rate * USUAL_SCALE / group.scale))
            return OddRate(group, better, rate < usual.low)
    return None


def slower(total_params: int, plan: Plan, settings: Settings) -> str:
    """What to do where the learning rate proved too high: what the advice on it says, or a tenth of it.

    Where a tenth would be called too low, the lowest that is not.
    """
    groups = groups_of(plan, settings)
    found = odd_rate(total_params, groups)
    if found is not None and not found.low:
        return f"Take a learning rate{found.group.said} of {found.better:g}"
    if any(group.own_rate for group in groups):
        return "Take learning rates ten times smaller"
    rate, usual = settings.learning_rate, usual_rate(total_params)
    tenth = rounded(rate / TENTH)
    lowest = max((usual.low / group.scale for group in groups), default=0.0)
    if tenth >= lowest or lowest >= rate:
        return f"Take a learning rate ten times smaller ({tenth:g})"
    return f"Take a learning rate of {_no_lower(lowest):g}"


def _no_lower(number: float) -> float:
    """The number to two digits, not below it.

    >>> _no_lower(1.54e-4)
    0.00016
    """
    near = float(f"{number:.1e}")
    return near if near >= number else float(f"{near * 1.05 + (number - near):.1e}")


def _alpha_is_to_blame(group: Group, low: float, high: float) -> bool:
    """Whether the rate would be common if alpha were; then the advice on alpha suffices."""
    far = not FAR_LOW <= group.scale <= FAR_HIGH
    return far and low <= group.learning_rate * (1.0 if group.scale < FAR_LOW else USUAL_SCALE) <= high
