"""The proof of what a training changed: read as the worker wrote it, null before, and never a broken answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.job_files import PROOF
from tests.ui.parts import JOB, make_job, make_studio
from ui.routes import studio_routes

WRITTEN = {"frozen": {"tensors": 3, "same": True}, "modules": [], "components": {}, "words": "Nothing else changed."}


def asked(root: Path) -> object:
    client = TestClient(Starlette(routes=studio_routes(make_studio(root))))
    answer = client.get(f"/studio/jobs/{JOB}/proof")
    assert answer.status_code == 200, answer.text
    return answer.json()["proof"]


def test_the_proof_is_read_as_the_worker_wrote_it(tmp_path: Path) -> None:
    folder = make_job(tmp_path / "home", "local")
    assert asked(tmp_path) is None, "none is there before the worker has written it"
    (folder / PROOF).write_text(json.dumps(WRITTEN))
    assert asked(tmp_path) == WRITTEN


@pytest.mark.parametrize("damaged", [b"", b"{", b"[1, 2]", b"null", b"\xff\xfe", b'"words"'])
def test_a_damaged_proof_is_none(tmp_path: Path, damaged: bytes) -> None:
    (make_job(tmp_path / "home", "local") / PROOF).write_bytes(damaged)
    assert asked(tmp_path) is None


def test_a_number_that_is_none_is_no_number_on_the_page(tmp_path: Path) -> None:
    (make_job(tmp_path / "home", "local") / PROOF).write_text('{"components": {"vision": {"ratio": NaN}}}')
    assert asked(tmp_path) == {"components": {"vision": {"ratio": None}}}
