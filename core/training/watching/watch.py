"""What is watched in every optimizer step: norms, the flow of gradients, and whether the weights are still good.

What it does not do: look at held-out rows, or know the time that is left; `core.training.callbacks` calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.errors import Diverged
from core.training.metrics import Metrics
from core.training.watching.flow import Flow
from core.training.watching.good import LastGood
from core.training.watching.health import SLOWER, Health, Step
from core.training.watching.norms import Norms
from core.training.watching.parts import Part


class Watch:
    """Watches the steps of one job.

    Args:
        parts: what is trained.
        folder: for weights that are kept.
        metrics: of the job.
        before: held-out loss of the base model; None where it is not known.
        slower: what to do about a learning rate that is too high.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        folder: Path,
        metrics: Metrics,
        before: float | None = None,
        slower: str = SLOWER,
    ) -> None:
        self.slower = slower
        self._parts, self._metrics = parts, metrics
        self._norms, self._flow, self._health = Norms(parts), Flow(parts), Health(before, slower)
        self.good = LastGood(parts, folder)

    def begin(self) -> None:
        """Before the first step."""
        self._metrics.add("layers", layers=self._flow.layers)

    def gradients(self) -> None:
        """Every gradient of the step is there, unclipped."""
        self._norms.gradients()

    def before_step(self, steps_done: int) -> None:
        """The optimizer is about to step."""
        self.good.offer(steps_done)
        self._norms.before_step()

    def after_step(self) -> None:
        """The optimizer has stepped."""
        self._norms.after_step()

    def judge(self, step: Step) -> None:
        """Writes the points of a step whose loss is known by now, and ends the job when it comes apart.

        Raises:
            Diverged: it does, and why.
        """
        found = self._norms.read()
        gradients = found.get("grad", [])
        if len(found) > 1:  # weights and updates as well
            self._metrics.add(
                "norms", step=step.number, **{name: self._norms.by_component(values) for name, values in found.items()}
            )
        if gradients and self._flow.due(step.number):
            self._metrics.add("flow", step=step.number, norms=self._flow.norms(gradients))
        trouble = self._health.judge(step, list(zip(self._parts, gradients, strict=bool(gradients))))
        self.good.told(self._health.sound)
        if trouble is None:
            return
        self._metrics.add("diagnosis", **trouble.point())
        raise Diverged("Training was asked for", f"it came apart. {trouble.text}", trouble.remedy)
