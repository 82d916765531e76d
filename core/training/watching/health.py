"""Whether a training is still sound: a loss or gradient that is no number, one that explodes, one that stands still.

The first two end the job; the third is advice. What is far above is measured against the running median, which a few
bad steps do not move.
What it does not do: stop anything, or put weights back (see `good`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import median

from core.training.watching.parts import Part

HISTORY = 50
"""Sound steps of which the running median is taken."""
ENOUGH = 10
"""Sound steps before anything can be far above them."""
SEVERAL = 5
"""Steps in a row far above the median that are an explosion; a single one is a hard batch."""
TIMES, NATS = 4.0, 1.0
"""The loss is far above from so many times its median and so much more on: near zero a factor alone says little."""
HARD, ABOVE_HARD = 0.9, 1.5
"""It has to be so many times above this share of the history as well: where each fourth batch is hard, five in a row
are no explosion."""
GRADIENT_TIMES = 100.0
"""The gradient is far above from so many times its median, and its median in the first steps, on."""
WORSE_LOOKS = 2
"""Looks in a row with a loss above the base model's after which that is said."""
LEVEL_LOOKS = 5
"""Looks without a lower loss after which that is said."""
RISEN = 1.1
"""Times another loss from which on one is higher, and not just another one."""
SLOWER = "Take a learning rate ten times smaller"


@dataclass(frozen=True)
class Diagnosis:
    """What went wrong or was noticed, in words with numbers."""

    title: str
    text: str
    remedy: str

    def point(self) -> dict[str, str]:
        """The fields of the point `diagnosis`."""
        return {"title": self.title, "text": self.text, "remedy": self.remedy}


@dataclass(frozen=True)
class Step:
    """One optimizer step, as far as its health goes."""

    number: int
    loss: float
    gradient: float
    """Norm over everything that is trained."""
    learning_rate: float


class Health:
    """The health of one job's steps.

    Args:
        before: held-out loss of the base model; None where it is not known.
        slower: what to do about a learning rate that is too high.
    """

    def __init__(self, before: float | None = None, slower: str = SLOWER) -> None:
        self._remedy = f"{slower}, or a longer warm-up"
        self._start = before
        """What the loss was about before anything was learned."""
        self._losses: deque[float] = deque(maxlen=HISTORY)
        self._gradients: deque[float] = deque(maxlen=HISTORY)
        self._first: list[float] = []
        """Gradient norms of the first steps."""
        self._bad: list[Step] = []
        """Steps in a row that are far above."""
        self._before: Step | None = None

    @property
    def sound(self) -> bool:
        """Whether the newest step was."""
        return not self._bad

    def judge(self, step: Step, silent: Sequence[tuple[Part, float]] = ()) -> Diagnosis | None:
        """What ends the job; None while it is sound, or may be.

        Args:
            step: the newest.
            silent: trained tensors with the norms of their gradients, to say where they stopped being numbers.
        """
        if not (math.isfinite(step.loss) and math.isfinite(step.gradient)):
            self._bad.append(step)
            return self._no_number(step, silent)
        if self._before is None and self._start is not None:  # this one is of the untouched weights
            self._start = max(self._start, step.loss)
        far = self._far_above(step)
        if far:
            self._bad.append(step)
            return self._explosion(step, far) if len(self._bad) >= SEVERAL else None
        for one in (*self._bad, step):  # those that stood out were hard batches
            self._losses.append(one.loss)
            self._gradients.append(one.gradient)
        self._bad.clear()
        if len(self._first) < ENOUGH:
            self._first.append(step.gradient)
        self._before = step
        return None

    def _far_above(self, step: Step) -> str:
        """What is far above its median, in words; nothing where all is as usual."""
        if len(self._losses) < ENOUGH:
            return self._far_above_start(step)
        usual = median(self._losses)
        if step.loss > max(TIMES * usual + NATS, ABOVE_HARD * _hard(self._losses)):
            return f"the loss was {step.loss:.3g}, and {usual:.3g} before"
        usual = max(median(self._gradients), median(self._first))
        if step.gradient > max(GRADIENT_TIMES * usual, ABOVE_HARD * _hard(self._gradients)) > 0:
            return f"the gradient's norm was {step.gradient:.3g}, and {usual:.3g} before"
        return ""

    def _far_above_start(self, step: Step) -> str:
        """The same while there is no history: a rate that is far too high breaks a model in its first steps."""
        if self._start is None or step.loss <= TIMES * self._start + NATS:
            return ""
        return f"the loss was {step.loss:.3g}, and {self._start:.3g} before anything was learned"

    def _no_number(self, step: Step, silent: Sequence[tuple[Part, float]]) -> Diagnosis:
        what = "loss" if not math.isfinite(step.loss) else "gradient"
        text = f"At step {step.number:,} the {what} was no number ({_kind(step)}) any more, at a learning rate of"
        told, before = "", self._before
        if before is not None:
            told = f" The step before had a loss of {before.loss:.3g} and a gradient norm of {before.gradient:.3g}."
        return Diagnosis(
            f"The {what} is no longer a number",
            f"{text} {step.learning_rate:.3g}.{told}{_where(silent)}",
            self._remedy,
        )

    def _explosion(self, step: Step, far: str) -> Diagnosis:
        first = self._bad[0].number
        rate = f"at a learning rate of {step.learning_rate:.3g}"
        return Diagnosis(
            "The training came apart",
            f"From step {first:,} to step {step.number:,} {far}, {rate}.",
            self._remedy,
        )


def worse_than_before(
    losses: Sequence[tuple[int, float]], before: float | None, slower: str = SLOWER
) -> Diagnosis | None:
    """Advice when the training makes the model worse, once: at the first look that shows it.

    Args:
        losses: of the looks so far, with their steps.
        before: of the base model on the same rows.
        slower: what to do about a learning rate that is too high.
    """
    if before is None:
        return None
    in_a_row = len(list(takewhile(lambda look: look[1] > RISEN * before, reversed(losses))))
    if in_a_row != WORSE_LOOKS:
        return None
    step, now = losses[-1]
    return Diagnosis(
        "The model is worse than before the training",
        f"At step {step:,} the held-out loss is {now:.3g}, and it was {before:.3g} before anything was learned.",
        f"It may still fall. If it does not, stop here. {slower}",
    )


def standstill(losses: Sequence[tuple[int, float]], step: int, total: int) -> Diagnosis | None:
    """Advice when the held-out loss has not fallen for some looks, once: at the first look that shows it.

    Args:
        losses: of the looks so far, with their steps.
        step: the training stands at.
        total: its last step.
    """
    if len(losses) <= LEVEL_LOOKS or step >= total:
        return None
    best = min(range(len(losses)), key=lambda place: losses[place][1])
    if best != len(losses) - 1 - LEVEL_LOOKS:
        return None
    (at, lowest), (_, now) = losses[best], losses[-1]
    rises = now > RISEN * lowest
    happened = f"has risen to {now:.3g}" if rises else f"stands at {now:.3g}"
    meaning = "it learns its rows by heart" if rises else "more steps may bring nothing"
    return Diagnosis(
        "The held-out loss rises" if rises else "The held-out loss stands still",
        f"It was lowest at step {at:,} ({lowest:.3g}) and {happened} after {LEVEL_LOOKS} more looks: {meaning}.",
        "You can stop here; next time take a patience of 3 looks, more rows or a smaller rank",
    )


def _hard(values: Iterable[float]) -> float:
    """The value of a hard batch."""
    ordered = sorted(values)
    return ordered[int(HARD * (len(ordered) - 1))]


def _kind(step: Step) -> str:
    values = (step.loss, step.gradient)
    return "NaN" if any(math.isnan(value) for value in values) else "infinite"


def _where(norms: Sequence[tuple[Part, float]]) -> str:
    """Where gradients, which come from the model's end, stopped being numbers; nothing where all or none are."""
    broken = [part for part, norm in norms if not math.isfinite(norm)]
    if not broken or len(broken) == len(norms):
        return ""
    last = broken[-1]  # the tensors stand in the model's order, and gradients go through it from behind
    layer = "" if last.layer is None else f", layer {last.layer}"
    return (
        f" Coming from the model's end, gradients were finite up to {_spoken(last)}{layer}, where they first were not."
    )


def _spoken(part: Part) -> str:
    return f"the {part.component.replace('_', ' ')} part"
