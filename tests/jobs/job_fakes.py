from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from core.jobs.local import LocalBackend
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


def wait_for(true: Callable[[], bool], seconds: float = 8.0) -> float:
    """Waits until it is true; returns how long that took."""
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
