"""What happens after every optimizer step: a point, the status, a look when it is due, a stop when asked.

What it does not do: change the training in any other way.
"""

from __future__ import annotations

import math
import time
from typing import Any

from transformers import TrainerCallback

from core.errors import TrainingError
from core.training.looks import Looks
from core.training.metrics import Metrics
from core.training.status import StatusFile
from core.training.stopping import Stopped, StopRequest

SMOOTHING = 0.1
"""Weight of the newest step in the smoothed time of a step."""


class Pace:
    """How long steps and looks take, smoothed; the first step, which warms up, does not count."""

    def __init__(self) -> None:
        self.step_seconds: float | None = None
        self.look_seconds = 0.0
        self._mark: float | None = None

    def step(self) -> None:
        """A step has ended."""
        now = time.monotonic()
        if self._mark is not None:
            took = now - self._mark
            old = self.step_seconds
            self.step_seconds = took if old is None else (1 - SMOOTHING) * old + SMOOTHING * took
        self._mark = now

    def look(self, seconds: float) -> None:
        """A look has ended; its time belongs to no step."""
        self.look_seconds = seconds
        if self._mark is not None:
            self._mark += seconds

    def remaining(self, steps: int, looks: int) -> float | None:
        """Seconds for so many steps and looks; None before the second step."""
        return None if self.step_seconds is None else steps * self.step_seconds + looks * self.look_seconds


class Progress(TrainerCallback):
    """Reports every step of one job.

    Args:
        last_look: seconds that the look after training will take; part of the time that remains.
    """

    def __init__(
        self, looks: Looks, eval_every: int, metrics: Metrics, status: StatusFile, stop: StopRequest, last_look: float
    ) -> None:
        self._looks, self._every, self._metrics = looks, eval_every, metrics
        self._status, self._stop, self._last_look = status, stop, last_look
        self._pace = Pace()
        self.steps_done = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The length of the job is known now, whether it was given in steps or in epochs."""
        self._status.enter("training", total_steps=state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The step has ended; its numbers come with `on_log`."""
        self._pace.step()
        self.steps_done = state.global_step
        if self._stop.made():
            control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Writes the step's point, then looks at the held-out rows when it is their turn.

        Raises:
            TrainingError: the loss or its gradient is no longer a number.
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
        )
        _check_finite(logs, step)
        if step % self._every == 0 and step < state.max_steps and not control.should_training_stop:
            self._look(step, control)
        self._show(step, state.max_steps)

    def _look(self, step: int, control: Any) -> None:
        """A look on the way, broken off when the job is asked to stop meanwhile."""
        started = time.monotonic()
        try:
            self._looks.quick(step, between=lambda done: self._stop.check())
        except Stopped:
            control.should_training_stop = True
        self._pace.look(time.monotonic() - started)

    def _show(self, step: int, total: int) -> None:
        seconds = self._pace.step_seconds
        remaining = self._pace.remaining(total - step, (total - 1) // self._every - step // self._every)
        self._status.show(
            step=step,
            steps_per_second=1 / seconds if seconds else None,
            eta_seconds=None if remaining is None else remaining + self._last_look,
        )


def _check_finite(logs: dict[str, Any], step: int) -> None:
    """Refuses to go on from a step whose loss or gradient is NaN or infinite."""
    for name in ("loss", "grad_norm"):
        value = logs.get(name)
        if value is not None and not math.isfinite(value):
            raise TrainingError(
                "Training was asked for",
                f"it came apart at step {step}: the loss is no longer a number",
                "Take a learning rate ten times smaller",
            )
