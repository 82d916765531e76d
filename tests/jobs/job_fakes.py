from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from core.jobs.local import LocalBackend
from core.jobs.workers import ROOT, WORKER
from core.spec import ENDED, Plan, Selection, Settings, Source, Spec, Status

FAKE = Path(__file__).with_name("fake_worker.py")
SPEC = Spec(
    name="Digits",
    model=Source("demo", "model"),
    data=Source("demo", "digits"),
    selection=Selection(cells=("language.attention",)),
    plan=Plan(target_modules=("model.q",)),
    settings=Settings(),
    trainable=1000,
)

Make = Callable[..., LocalBackend]


def fake(mode: str) -> list[str]:
    """The command of a fake worker."""
    return [sys.executable, str(FAKE), mode]


def wait_for(true: Callable[[], bool], seconds: float = 120.0) -> float:
    """Waits until it is true, as long as a machine that is very busy may need; returns how long that took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "waited too long"
        time.sleep(0.01)
    return time.monotonic() - began


def wait_for_end(backend: LocalBackend, job: str, owner: str = "anna") -> Status:
    """The status with which the job ended."""
    wait_for(lambda: backend.status(job, owner).state in ENDED)
    return backend.status(job, owner)


def wait_for_step(backend: LocalBackend, job: str, step: int = 3, owner: str = "anna") -> Status:
    """The status once that step was reached."""
    wait_for(lambda: backend.status(job, owner).step >= step)
    return backend.status(job, owner)


SERVER = """
import sys, time
from pathlib import Path
from core.jobs.local import LocalBackend
from core.jobs.workers import ROOT, WORKER
from core.spec import Spec, from_json
backend = LocalBackend(Path(sys.argv[1]), sys.argv[3:])
backend.warm_up()
time.sleep(0.3)
job = backend.submit(from_json(Spec, sys.argv[2]), "anna") if sys.argv[2] != "-" else backend.warm_worker
print(job, flush=True)
time.sleep(600)
"""


def serve(home: Path, spec: str, worker: Sequence[str] = WORKER) -> tuple[subprocess.Popen[str], str]:
    """A server in a process of its own, and what it printed: the job it started, or its warm worker's pid."""
    command = [sys.executable, "-c", SERVER, str(home), spec, *worker]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)
    assert server.stdout is not None
    return server, server.stdout.readline().strip()


def end(server: subprocess.Popen[str]) -> None:
    """Kills the server and all of its session, as a crash or a closed terminal would."""
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()
