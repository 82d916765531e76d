"""The worker processes that this server has started: each in a session of its own, from the warm one or anew.

What it does not do: know how a job stands, or say who may start one (`local`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from core.job_files import LOG
from core.jobs.backend import JobRow
from core.jobs.process import Identity, identify, worker_environment
from core.jobs.record import Record, write_record
from core.jobs.standby import Standby, hand_over

ROOT = Path(__file__).resolve().parents[2]
"""Where `core` lies: the worker runs there, so that `-m core.training.worker` is found."""
WORKER = (sys.executable, "-m", "core.training.worker")


class Workers:
    """Not thread-safe: the backend's lock covers it.

    Args:
        command: starts a worker.
        log: what the warm worker says while it waits.
        shared: several people start jobs here, so no worker gets the token of who runs the server.
    """

    def __init__(self, command: Sequence[str], log: Path, shared: bool) -> None:
        self._command, self._shared = list(command), shared
        self._standby = Standby(self._command, ROOT, log)
        self._environment = dict(os.environ)  # as it is now: libraries imported later add to it
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        """By job, those that were started by this server; of one that it found running it knows the identity alone."""

    @property
    def warm_pid(self) -> int | None:
        """Of the worker that waits for a job; None when none does."""
        return self._standby.pid

    def warm_up(self) -> None:
        """Keeps one worker waiting for the next job."""
        self._standby.start(self._told(for_hub=False))

    def start(self, row: JobRow, for_hub: bool) -> Identity | None:
        """Starts the job in its folder, and writes into its record who runs it; `for_hub` lets it reach the Hub."""
        environment = self._told(for_hub)
        process = self._standby.take(environment)
        if process is not None:
            identity = self._noted(row, process)  # before it gets the job: a killed server finds it again
            if hand_over(process, row.folder):
                return identity
            process.kill()
            process.wait()
        return self._start_cold(row, environment)

    def kill(self, job: str) -> None:
        """Ends the process of a job that shall not have started."""
        process = self.processes.pop(job, None)
        if process is not None:
            process.kill()
            process.wait()

    def reap(self) -> None:
        """Takes note of the workers that have ended, so that none stays a zombie for as long as the server runs."""
        for process in list(self.processes.values()):
            process.poll()

    def exit_code(self, job: str) -> int | None:
        """With which a job's worker has ended, below zero for a signal; None where that is not known."""
        process = self.processes.get(job)
        return process.returncode if process is not None else None

    def close(self) -> None:
        """Lets the warm worker go. Those that have a job go on."""
        self._standby.close()

    def _start_cold(self, row: JobRow, environment: dict[str, str]) -> Identity | None:
        self._standby.close()  # it would lie idle beside the job, with the memory of all that it has imported
        with (row.folder / LOG).open("ab") as log:
            process = subprocess.Popen(
                [*self._command, str(row.folder)],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self._noted(row, process)

    def _noted(self, row: JobRow, process: subprocess.Popen[bytes]) -> Identity | None:
        self.processes[row.id] = process
        identity = identify(process.pid)
        write_record(Record(row, identity), row.folder)
        return identity

    def _told(self, for_hub: bool) -> dict[str, str]:
        return worker_environment(self._environment, for_hub, self._shared)
