"""A hundred starts, kills, stops and server restarts in a row: nothing stuck, nothing left running."""

from __future__ import annotations

import os
import random
import signal
import threading
from contextlib import suppress

import pytest

from core.jobs.local import LocalBackend
from core.jobs.process import Identity, identify, is_alive
from core.spec import ENDED
from tests.jobs.job_fakes import SPEC, Make, wait_for, wait_for_end

CYCLES = 100


@pytest.mark.slow
def test_a_hundred_cycles_leave_no_orphan_and_no_stuck_job(make: Make):
    rng = random.Random(0)
    backend = make("long")
    seen: list[Identity] = []
    done = threading.Event()
    viewers = [threading.Thread(target=watch, args=(backend, done)) for _ in range(4)]
    for viewer in viewers:
        viewer.start()
    for cycle in range(CYCLES):
        if rng.random() < 0.5:
            backend.warm_up()
        job = backend.submit(SPEC, "anna")
        seen.append(run_and_end(backend, job, rng, killed=cycle % 2 == 0))
        if cycle % 10 == 9:
            again = make("long")
            assert [row.state for row in again.jobs("anna")] == [row.state for row in backend.jobs("anna")]
            again.close()
    done.set()
    for viewer in viewers:
        viewer.join()
    rows = backend.jobs("anna")
    assert len(rows) == CYCLES
    assert {row.state for row in rows} == {"stopped", "lost"}
    wait_for(lambda: not any(is_alive(identity) for identity in seen))


def run_and_end(backend: LocalBackend, job: str, rng: random.Random, killed: bool) -> Identity:
    """Ends a job at a random step, by a kill or by a stop, and returns who ran it."""
    step = rng.randrange(4)
    wait_for(lambda: backend.status(job, "anna").step >= step and backend.status(job, "anna").pid is not None)
    pid = backend.status(job, "anna").pid
    assert pid is not None
    identity = identify(pid)
    assert identity is not None
    if killed:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    else:
        backend.stop(job, "anna")
    assert wait_for_end(backend, job).state == ("lost" if killed else "stopped")
    return identity


def watch(backend: LocalBackend, done: threading.Event) -> None:
    """A page that asks all the time."""
    while not done.wait(0.01):
        for row in backend.jobs("anna")[:1]:
            if row.state not in ENDED:
                backend.metrics(row.id, "anna", 0)
