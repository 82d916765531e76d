"""What is said of a worker that is gone without a result.

What it does not do: tell whether it is gone (`process`).
"""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

from core.adapters.bundle import has_adapter
from core.job_files import LOG, STOP
from core.jobs.series import last_error
from core.spec import Status


def lost(folder: Path, status: Status, code: int | None) -> Status:
    """The status of a job whose worker is gone, with the reason; what it had saved is named.

    Args:
        folder: of the job.
        status: what the worker last said.
        code: with which it ended; None where that is not known.
    """
    kept = " The adapter that it had saved is kept." if has_adapter(folder) else ""
    if (folder / STOP).exists():
        missing = "its last look was done." if kept else "it could save its result. Start it again to train anew."
        error = f"It was asked to stop and ended before {missing}{kept}"
        return replace(status, state="stopped", error=error, eta_seconds=None)
    return replace(status, state="lost", error=_why(folder, status, code) + kept, eta_seconds=None)


def _why(folder: Path, status: Status, code: int | None) -> str:
    where = f"at step {status.step} of {status.total_steps}" if status.step else "before the first step"
    if code is not None and -code == signal.SIGKILL:
        how = "it was killed, most often because memory ran out"
        remedy = "Try a smaller batch or a smaller rank"
    else:
        error = last_error(folder / LOG)
        how = f"it met an error ({error})" if error else "it left no word"
        remedy = "Look into its log, then start it again"
    return f"The worker ended {where} without a result: {how}. {remedy}."
