from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from job_fakes import Make, fake

from core.jobs.local import LocalBackend
from core.jobs.record import read_record
from core.jobs.stopping import Patience


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes backends over one data folder; at the end nothing of theirs runs."""
    made = []

    def start(mode: str = "long", patience: Patience | None = None) -> LocalBackend:
        made.append(LocalBackend(tmp_path / "home", fake(mode), patience))
        return made[-1]

    yield start
    for folder in (tmp_path / "home" / "jobs").glob("*"):
        record = read_record(folder)
        if record is not None and record.identity is not None:
            with suppress(ProcessLookupError):
                os.killpg(record.identity.pid, signal.SIGKILL)
    for backend in made:
        backend.close()
