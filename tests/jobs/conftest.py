from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jobs.local import LocalBackend
from core.jobs.process import signal_group
from core.jobs.record import read_record
from core.jobs.stopping import Patience
from tests.jobs.job_fakes import Make, fake


@pytest.fixture(autouse=True)
def _no_worker_is_left(tmp_path: Path) -> Iterator[None]:
    """Ends every worker that a test has started, also when the test failed."""
    yield
    for file in tmp_path.rglob("job.json"):
        record = read_record(file.parent)
        if record is not None and record.identity is not None:
            signal_group(record.identity, signal.SIGKILL)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes backends over one data folder."""
    made = []

    def start(mode: str = "long", patience: Patience | None = None, shared: bool = False) -> LocalBackend:
        made.append(LocalBackend(tmp_path / "home", fake(mode), patience, shared))
        return made[-1]

    yield start
    for backend in made:
        backend.close()
