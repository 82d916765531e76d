"""What happens around every optimizer step: a point, the status, a look when it is due, a stop when asked.

What it does not do: measure (see `watching`), or change the training in any other way.
"""

from __future__ import annotations

import time
from typing import Any

from transformers import TrainerCallback

from core.training.looks import Looks
from core.training.metrics import Metrics
from core.training.status import StatusFile
from core.training.stopping import Stopped, StopRequest
from core.training.watching.early import BestLook, Look
from core.training.watching.health import Diagnosis, Step, standstill, worse_than_before
from core.training.watching.machine import Machine
from core.training.watching.pace import Pace
from core.training.watching.watch import Watch


class Progress(TrainerCallback):
    """Reports every step of one job.

    Args:
        every: steps between two looks.
        watch: what is measured of each step.
        best: the best look.
        pace: how long steps take.
        machine: what they take of the machine.
    """

    def __init__(
        self,
        looks: Looks,
        every: int,
        metrics: Metrics,
        status: StatusFile,
        stop: StopRequest,
        watch: Watch,
        best: BestLook,
        pace: Pace,
        machine: Machine,
    ) -> None:
        self._looks, self._every, self._metrics = looks, every, metrics
        self._status, self._stop = status, stop
        self._watch, self._best, self._pace, self._machine = watch, best, pace, machine
        self._advised: set[str] = set()
        """Titles of what was said; each is said once."""
        self.steps_done = 0
        self.enough = False
        """Whether patience has ended the training."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The length of the job is known now, whether it was given in steps or in epochs."""
        self._status.enter("training", total_steps=state.max_steps)
        self._watch.begin()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """All gradients are there."""
        self._watch.before_step(state.global_step)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The trained tensors have changed."""
        self._watch.after_step()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The step has ended; its numbers come with `on_log`."""
        self._pace.step()
        self.steps_done = state.global_step
        if self._stop.made():
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Writes the step's point, then looks at the held-out rows when it is their turn.

        Raises:
            Diverged: the training has come apart.
        """
        if not logs or "loss" not in logs:
            return
        step = state.global_step
        self._metrics.add(
            "train",
            step=step,
            epoch=round(state.epoch or 0.0, 4),
            loss=logs["loss"],
            learning_rate=logs.get("learning_rate"),
            grad_norm=logs.get("grad_norm"),
            **self._machine.step(self._pace.took),
        )
        self._watch.judge(Step(step, logs["loss"], logs.get("grad_norm") or 0.0, logs.get("learning_rate") or 0.0))
        if step % self._every == 0 and step < state.max_steps and not control.should_training_stop:
            self._look(step, state.max_steps, control)
        self._show(step, state)

    def _look(self, step: int, total: int, control: Any) -> None:
        """A look on the way, broken off when the job is asked to stop meanwhile."""
        started = time.monotonic()
        try:
            outcomes = self._looks.quick(step, between=lambda done: self._stop.check())
            self._weigh(Look(step, self._looks.score(outcomes).loss, outcomes), total, control)
        except Stopped:
            control.should_training_stop = True
        self._pace.look(time.monotonic() - started)

    def _weigh(self, look: Look, total: int, control: Any) -> None:
        """Whether a look was the best so far, whether patience has run out, and what there is to say about it."""
        if self._best.seen(look):
            self._metrics.add("best", step=look.step, loss=look.loss)
        if self._best.enough():
            self.enough = True
            control.should_training_stop = True
            looks = "look" if self._best.without_better == 1 else "looks in a row"
            many = f"{self._best.without_better} {looks} without a lower held-out loss"
            self._metrics.note(f"Ended after step {look.step:,}: {many}.")
        losses = self._best.losses
        for advice in (
            worse_than_before(losses, self._best.before, self._watch.slower),
            standstill(losses, look.step, total),
        ):
            if advice is not None and not self.enough:
                self._advise(advice)

    def _advise(self, advice: Diagnosis) -> None:
        """Says something that was noticed, once."""
        if advice.title not in self._advised:
            self._advised.add(advice.title)
            self._metrics.add("diagnosis", **advice.point())

    def _show(self, step: int, state: Any) -> None:
        seconds, total = self._pace.step_seconds, state.max_steps
        looks = (total - 1) // self._every - step // self._every
        self._status.show(
            step=step,
            steps_per_second=1 / seconds if seconds else None,
            eta_seconds=self._pace.remaining(total - step, looks, _in_first_epoch(step, total, state.epoch)),
        )


def _in_first_epoch(step: int, total: int, epoch: float | None) -> int:
    """Steps left in which pictures are seen for the first time."""
    if not epoch or epoch >= 1:
        return 0
    return min(total, round(step / epoch)) - step
