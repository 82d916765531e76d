"""How far off what remains of a job is, as it is told after twenty steps."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from core.cli.jobs import demo_spec
from core.job_files import STATUS
from core.spec import ENDED, Settings, Status, read, write
from tests.benchmarks.figure import Figure

STEPS, TOLD_AFTER = 150, 20
LIMIT = 15.0
"""Percent."""


def measure() -> Iterator[Figure]:
    """A worker of its own on the demo model; both moments are the worker's own stamps."""
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as home:
        folder = Path(home)
        write(replace(demo_spec("digits"), settings=Settings(steps=STEPS)), folder / "spec.json")
        worker = subprocess.Popen(
            [sys.executable, "-m", "core.training.worker", home],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            told = _status(folder, worker, lambda status: status.step >= TOLD_AFTER and status.eta_seconds is not None)
            ended = _status(folder, worker, lambda status: status.state in ENDED)
        finally:
            worker.kill()
            worker.wait()
    took = ended.updated - told.updated
    more = f"at step {told.step} of {STEPS} {told.eta_seconds:.1f} s were told, {took:.1f} s were taken"
    yield Figure("time that remains, error", 100 * abs(told.eta_seconds / took - 1), "%", LIMIT, more=more)


def _status(folder: Path, worker: subprocess.Popen[bytes], wanted: Callable[[Status], bool]) -> Status:
    """The first status that is wanted.

    Raises:
        AssertionError: the worker has ended before.
    """
    while True:
        over = worker.poll() is not None
        if (folder / STATUS).exists() and wanted(status := read(Status, folder / STATUS)):
            return status
        if over:
            raise AssertionError("the worker has ended before")
        time.sleep(0.05)
