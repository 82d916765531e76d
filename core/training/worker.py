"""The worker: one process, one job.

    python -m core.training.worker JOB_DIR       reads JOB_DIR/spec.json, trains, exits with 0 (finished, stopped) or 1
    python -m core.training.worker --standby     imports what training needs, waits for a line with JOB_DIR on stdin

In the job's folder it writes status.json, metrics.jsonl, worker.log (standby only; else whoever starts it redirects)
and adapter/, and obeys a file named `stop` and SIGTERM. It needs neither the page nor the server once it runs.
What it does not do: choose a job, share a device, or start again by itself.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import traceback
from pathlib import Path

from core.job_files import LOG, SPEC
from core.models.device import keep_one_gpu
from core.spec import Spec, read
from core.training.failures import in_words
from core.training.metrics import Metrics
from core.training.saving import discard_stage
from core.training.status import StatusFile
from core.training.stopping import STOPPED_EARLY, StopRequest


def main(arguments: list[str]) -> int:
    """Exit code of the process."""
    if arguments == ["--standby"]:
        _import_all()
        line = sys.stdin.readline().strip()
        if not line:  # whoever started it is gone, or has no job
            return 0
        folder = Path(line)
        _redirect(folder / LOG)
    elif len(arguments) == 1:
        folder = Path(arguments[0])
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return run(folder.resolve(), alone=True)


def run(folder: Path, alone: bool = False) -> int:
    """Runs the job in a folder: 0 when it finished or was stopped, 1 when it failed.

    Args:
        folder: of the job.
        alone: whether the process does nothing else.
    """
    status = StatusFile(folder)
    stop = StopRequest(folder)
    stop.listen(at_once=lambda: _leave(status))
    try:
        status.enter("starting")
        _run(folder, status, stop, alone)
    except BaseException as error:  # whatever it was, the person is told and the log has the rest
        traceback.print_exc()
        _report(folder, status, error)
        return 1
    return 0


def _run(folder: Path, status: StatusFile, stop: StopRequest, alone: bool) -> None:
    spec = read(Spec, folder / SPEC)
    _keep_to_itself()
    with contextlib.closing(Metrics(folder)) as metrics:
        from core.training.desk import Desk
        from core.training.job import run_job  # after the first status: these imports take seconds

        if alone:  # the imports are 600,000 objects: looking through them for garbage takes 0.4 s, three times a job
            gc.freeze()
        _quiet()
        run_job(Desk(folder, spec, status, metrics, stop))


def _leave(status: StatusFile) -> None:
    """Ends the process in the middle of whatever it loads or fetches; nothing has been learned that could be saved."""
    with contextlib.suppress(OSError):
        status.enter(STOPPED_EARLY, state="stopped", eta_seconds=None)
    os._exit(0)


def _report(folder: Path, status: StatusFile, error: BaseException) -> None:
    """Says in the status that the job failed, and why."""
    discard_stage(folder)
    try:
        status.enter("failed", state="failed", error=str(in_words(error)), eta_seconds=None)
    except OSError:  # no room for even that: the server sees a dead process, and the log says why
        traceback.print_exc()


def _import_all() -> None:
    """Loads what a job will need, so that a job given later starts at once."""
    _keep_to_itself()
    import core.training.job  # noqa: F401


def _keep_to_itself() -> None:
    """What has to be set before torch and TRL are imported: one GPU, and no word to the Hub of each trainer's use.

    The trainer would take its precision from `accelerate launch`'s variable where the job's own is 32 bits: fp16 then.
    """
    keep_one_gpu()
    os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def _redirect(log: Path) -> None:
    """Sends output to the job's log and input to nothing, for every library that holds the old ones."""
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, target)
    os.close(output)
    os.close(nothing)


def _quiet() -> None:
    """No progress bars in a log."""
    from transformers.utils import logging

    logging.disable_progress_bar()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
