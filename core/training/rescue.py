"""A training that failed: what was learned until then is saved and looked at, and the error gets its numbers.

Of weights that came apart the last good ones are kept. Where memory ran out, that of the broken step is free again
before the look, which computes no gradients.
What it does not do: try the training again.
"""

from __future__ import annotations

from core.errors import Diverged
from core.training.desk import Desk
from core.training.ending import Ending
from core.training.preparing import Prepared
from core.training.saving import renew_card, save_adapter
from core.training.shortage import as_error, diagnose, in_use, let_go, ran_out
from core.training.watching.good import LastGood
from core.training.watching.keeping import discard_kept

NOTHING_LEARNED = "Nothing was learned before it failed: no adapter was saved, and there is nothing to ask."


def rescue(desk: Desk, ready: Prepared, good: LastGood, ending: Ending, error: Exception) -> None:
    """Keeps what was learned until the error came, where something was, and measures it.

    Args:
        good: the last good weights.
        ending: makes the look.
        error: that ended the training.

    Raises:
        OutOfMemory: instead of an error that says so without numbers.
        OSError: the disk is full.
    """
    step = desk.status.value.step
    if short := ran_out(error):
        used = in_use(error, ready.device)
        let_go(error, ready.model)
        advice = diagnose(used, desk.spec, ready.chosen.work)
        desk.metrics.add("diagnosis", **advice.point())
    if isinstance(error, Diverged):
        step = good.put_back()
        desk.status.show(kept_step=step or None)
    if step and not isinstance(error, OSError):  # a full disk takes no adapter
        desk.status.enter("saving", eta_seconds=None)
        save_adapter(desk.folder, ready.model, desk.spec, desk.status.ended("failed"), ready.by_component, ready.start)
        ending.of_failed(step)
        renew_card(desk.folder, desk.spec, desk.status.ended("failed"), ready.by_component)
        discard_kept(desk.folder)
    elif not step:
        desk.metrics.note(NOTHING_LEARNED)
    if short:
        raise as_error(advice) from error
