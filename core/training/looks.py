"""Looks at the held-out rows: before, on the way, and after, always the same rows in the same batches.

What it does not do: train, or choose when to look.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.data.batches.collate import Encoder
from core.data.rows import Dataset, Row
from core.evaluation.measures import accepted_answers, measures_for
from core.evaluation.scores import Outcome, look_at, score
from core.spec import Score, Settings
from core.training.metrics import Metrics

ORDER_SEED = 0
"""Fixed, so that jobs on the same data are judged on the same rows whatever their own seed is."""
MAX_BATCH = 64


@dataclass(frozen=True)
class HeldOut:
    """The rows that a job is judged on."""

    rows: tuple[Row, ...]
    """Looked at before and after."""
    quick: int
    """How many of them, from the first on, are looked at on the way."""
    shown: tuple[int, ...]
    """Indices of the rows whose answers are shown; all among the quick ones."""


def choose_rows(rows: Sequence[Row], settings: Settings) -> HeldOut:
    """A fixed choice of held-out rows, shuffled so that no part of it holds one class only."""
    count = min(len(rows), settings.final_rows)
    chosen = tuple(rows[index] for index in random.Random(ORDER_SEED).sample(range(len(rows)), count))
    quick = min(count, settings.eval_rows)
    return HeldOut(chosen, quick, _different(chosen[:quick], settings.sample_count))


class Looks:
    """Looks of one job, each written to its metrics. `between` hears how many rows are done and may raise."""

    def __init__(self, model: Any, encoder: Encoder, data: Dataset, settings: Settings, metrics: Metrics) -> None:
        self.held_out = choose_rows(data.heldout, settings)
        self.measures = measures_for(data, settings.metric)
        self._accepted = accepted_answers(self.held_out.rows)
        self.model, self._encoder, self._metrics = model, encoder, metrics
        self._length = settings.max_new_tokens
        self._batch = min(MAX_BATCH, 4 * settings.batch_size)
        self._newest = -1
        """The step of the newest point."""

    def quick(self, step: int, between: Callable[[int], None] | None = None) -> list[Outcome]:
        """Looks at the quick rows and writes the point of this step."""
        outcomes = self._look(0, self.held_out.quick, between)
        if step == 0:
            self._write_measure()
            self._write_samples(outcomes)
        self._write_point(step, outcomes)
        return outcomes

    def whole(self, step: int, between: Callable[[int], None] | None = None) -> list[Outcome]:
        """Looks at all rows, the quick ones first, so that their point is written as soon as it is known."""
        quick = self.quick(step, between)
        return quick + self.rest(between)

    def one_at_a_time(self) -> None:
        """From now on, for a machine whose memory does not suffice for more."""
        self._batch = 1

    def rest(self, between: Callable[[int], None] | None = None) -> list[Outcome]:
        """Looks at the rows that are not among the quick ones; no point is written."""
        done = self.held_out.quick
        return self._look(done, len(self.held_out.rows), between and (lambda more: between(done + more)))

    def score(self, outcomes: Sequence[Outcome]) -> Score:
        """The outcomes in one line, by the measures of these data."""
        return score(outcomes, self.measures)

    def _look(self, start: int, stop: int, between: Callable[[int], None] | None) -> list[Outcome]:
        rows, accepted = self.held_out.rows[start:stop], self._accepted[start:stop]
        return look_at(self.model, self._encoder, rows, self._length, self._batch, between, accepted)

    def _write_measure(self) -> None:
        """What answers are judged by, and why; once."""
        chosen = self.measures
        by = "you" if chosen.asked else "studio"
        self._metrics.add("choice", name="metric", value=chosen.main, reason=chosen.reason, by=by)

    def _write_samples(self, base: Sequence[Outcome]) -> None:
        """The shown rows with the base model's answers; once."""
        samples = []
        for index in self.held_out.shown:
            row = self.held_out.rows[index]
            sample = {"index": index, "picture": row.picture_name, "question": row.question, "expected": row.answer}
            samples.append(sample | {"base": base[index].answer})
        self._metrics.add("samples", samples=samples)

    def _write_point(self, step: int, outcomes: Sequence[Outcome]) -> None:
        """The answers, and a point for the curves, which never go back: not of weights that were put back."""
        if step > self._newest:
            self._newest = step
            result = self.score(outcomes)
            numbers = {"loss": result.loss, "exact_match": result.exact_match, "rows": result.rows}
            self._metrics.add("eval", step=step, **numbers, metrics=result.metrics, metric=result.metric)
        answers = [{"index": index, "answer": outcomes[index].answer} for index in self.held_out.shown]
        self._metrics.add("answers", step=step, answers=answers)


def _different(rows: Sequence[Row], count: int) -> tuple[int, ...]:
    """Indices of up to `count` rows, those with an answer not seen before first."""
    seen: set[str] = set()
    first: list[int] = []
    again: list[int] = []
    for index, row in enumerate(rows):
        (again if row.answer in seen else first).append(index)
        seen.add(row.answer)
    return tuple(sorted((first + again)[:count]))
