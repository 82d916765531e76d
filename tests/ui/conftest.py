from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from core.jobs.process import signal_group
from core.jobs.record import read_record
from tests.ui.bringing import client_of
from tests.ui.parts import ANNA, CANARY, make_studio
from ui.studio import Studio


@pytest.fixture(autouse=True)
def _a_token_in_the_environment(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", CANARY)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A studio of one person, with an empty data folder."""
    made = make_studio(tmp_path)
    yield made
    made.backend.close()  # type: ignore[attr-defined]
    end_workers(tmp_path)


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Studio]:
    """A server that many use."""
    studio = make_studio(tmp_path, shared=True)
    yield studio
    studio.backend.close()  # type: ignore[attr-defined]


@pytest.fixture
def anna(shared: Studio) -> TestClient:
    """One of its many people."""
    return client_of(shared, ANNA)


def end_workers(root: Path) -> None:
    """Ends every worker that was started, also when the test failed."""
    for file in root.rglob("job.json"):
        record = read_record(file.parent)
        if record is not None and record.identity is not None:
            signal_group(record.identity, signal.SIGKILL)
