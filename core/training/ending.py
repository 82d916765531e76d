"""After the last step: the last weights are looked at, the best look's take their place where they were better, and the
tuned model is asked what the base model was asked.

The quick rows are looked at before the adapter is saved, since they decide what is saved, the others after it. What the
best look has seen already is not asked again, so the whole takes no longer than one look at all rows. What is left of a
training that failed is looked at in the same way, but that nothing is chosen.
What it does not do: save.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence

from core.evaluation.scores import Outcome
from core.training.failures import in_words
from core.training.looks import Looks
from core.training.metrics import Metrics
from core.training.shortage import let_go, ran_out
from core.training.status import StatusFile
from core.training.stopping import Stopped, StopRequest
from core.training.watching.early import BestLook, Look

QUICK_ENOUGH = 5.0
"""Seconds: after a stop, all held-out rows are looked at again only if that took no longer before training."""
HURRY = 10.0
"""Seconds: after a signal, the quick rows are looked at only if that takes no longer."""


class Ending:
    """The end of one job.

    Args:
        looks: at the held-out rows.
        best: the looks on the way.
        before: what the base model made of the rows.
        seconds: that this took.
    """

    def __init__(
        self,
        looks: Looks,
        best: BestLook,
        before: Sequence[Outcome],
        seconds: float,
        metrics: Metrics,
        status: StatusFile,
        stop: StopRequest,
    ) -> None:
        self._looks, self._best, self._before, self._seconds = looks, best, before, seconds
        self._metrics, self._status, self._stop = metrics, status, stop
        self._quick: Sequence[Outcome] | None = None
        """Of the weights that stay."""
        self._broken_off = False

    def settle(self) -> None:
        """Looks at the last weights, and puts the best look's back where those were better."""
        step = self._status.value.step
        last = self._last_look(step)
        earlier = self._best.settle(last)
        self._quick = last.outcomes if last else None
        if earlier is not None:
            self._quick = earlier.outcomes
            self._status.show(kept_step=earlier.step)
            self._metrics.note(_kept(earlier, last, step))
        elif last is not None and self._best.best is last and last.loss is not None:
            self._metrics.add("best", step=step, loss=last.loss)

    def whole(self) -> bool:
        """The rest of the rows; after a stop that has to be quick, none. False when a stop broke a look off."""
        if self._quick is None and not self._broken_off:
            self._ask_in_a_hurry(self._status.value.step)
        return self._the_rest()

    def of_failed(self, step: int) -> None:
        """Looks at what was saved of a training that failed; when that fails too, it is said why.

        Args:
            step: whose weights those are.
        """
        try:
            self._of_failed(step)
        except Exception as error:
            traceback.print_exc()  # into the job's log
            let_go(error, self._looks.model)
            self._unmeasured(f"asking it failed as well ({in_words(error).reason})")

    def _of_failed(self, step: int) -> None:
        """The look; with one row at a time where the memory does not suffice for more."""
        try:
            self._look_at_failed(step)
        except Exception as error:
            if not ran_out(error):
                raise
            let_go(error, self._looks.model)
            self._looks.one_at_a_time()
            self._look_at_failed(step)

    def _look_at_failed(self, step: int) -> None:
        known = [look for look in (self._best.latest, self._best.best) if look and look.step == step]
        if known:
            self._quick = known[0].outcomes
        elif self._stop.hurried():
            self._ask_in_a_hurry(step)
        else:
            look = self._ask(step)
            self._quick = look.outcomes if look else None
        self._the_rest()

    def _the_rest(self) -> bool:
        if self._quick is None or self._broken_off:
            return not self._broken_off
        if self._stop.made() and self._seconds > QUICK_ENOUGH:
            few = self._before[: len(self._quick)]
            self._status.show(before=self._looks.score(few), after=self._looks.score(self._quick))
            return True
        try:
            rest = self._looks.rest(self._between())
        except Stopped:
            self._break_off()
            return False
        self._status.show(after=self._looks.score([*self._quick, *rest]))
        return True

    def _last_look(self, step: int) -> Look | None:
        """A look at the weights as they are; None where a stop leaves no time for it, or breaks it off."""
        if self._best.latest is not None and self._best.latest.step == step:
            return self._best.latest
        if self._stop.hurried():
            return None
        return self._ask(step)

    def _ask_in_a_hurry(self, step: int) -> None:
        """What is saved by now is looked at after a signal, if that is quick."""
        if self._seconds * self._looks.held_out.quick / len(self._looks.held_out.rows) > HURRY:
            self._unmeasured("there was no time left")
            return
        look = self._ask(step)
        self._quick = look.outcomes if look else None

    def _ask(self, step: int) -> Look | None:
        self._status.enter("asking the tuned model")
        try:
            outcomes = self._looks.quick(step, self._between())
        except Stopped:
            self._break_off()
            return None
        return Look(step, self._looks.score(outcomes).loss, outcomes)

    def _break_off(self) -> None:
        self._broken_off = True
        self._unmeasured("the last look was broken off by the stop; what was learned is saved")

    def _unmeasured(self, why: str) -> None:
        self._status.show(unmeasured=why)
        self._metrics.note(f"What the adapter answers was not measured: {why}.")

    def _between(self) -> Callable[[int], None]:
        """Shows how far the look is; breaks it off when a stop comes that was not there before."""
        asked, hurried = self._stop.made(), self._stop.hurried()

        def between(done: int) -> None:
            if self._stop.made() > asked or self._stop.hurried() > hurried:
                raise Stopped
            self._status.show(phase=f"asking the tuned model, {done} done")

        return between


def _kept(best: Look, last: Look | None, step: int) -> str:
    """Whose weights became the adapter, and why."""
    found = f"Step {best.step:,} was best on the held-out rows (loss {best.loss:.3g}"
    if last is None:
        return f"{found}; nobody looked after step {step:,}): its weights were kept."
    end = "no number" if last.loss is None else f"{last.loss:.3g}"
    return f"{found} against {end} at the end): its weights were kept."
