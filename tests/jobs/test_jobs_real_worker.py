"""The same promises with the real worker and the demo model."""

from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from core.adapters.compare import open_comparison
from core.cli.jobs import demo_spec
from core.jobs.local import LocalBackend
from core.jobs.process import identify, is_alive
from core.models.source import ASSETS
from core.spec import Settings, Spec, to_json
from tests.jobs.job_fakes import end, serve, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def _demo_model() -> None:
    assert (ASSETS / "model" / "model.safetensors").is_file(), "the demo model belongs to the repository"


def short_spec(steps: int) -> Spec:
    settings = Settings(steps=steps, eval_every=10, eval_rows=8, final_rows=8, max_new_tokens=4)
    return replace(demo_spec("digits"), settings=settings)


def test_training_outlives_its_server_and_the_next_one_finds_every_point(tmp_path: Path):
    server, job = serve(tmp_path, to_json(short_spec(120)))
    first = LocalBackend(tmp_path)
    wait_for(lambda: first.status(job, "anna").step >= 3)
    end(server)
    assert first.status(job, "anna").state == "running", "the server is gone, and most of the steps are still to come"
    backend = LocalBackend(tmp_path)
    wait_for(lambda: backend.status(job, "anna").state == "finished")
    points, _ = backend.metrics(job, "anna")
    assert [point["step"] for point in points if point["kind"] == "train"] == list(range(1, 121))
    with zipfile.ZipFile(backend.artifact(job, "anna")) as archive:
        names = archive.namelist()
        assert len(names) == 5
        everything = b"".join(archive.read(name) for name in names)
    assert str(tmp_path).encode() not in everything
    assert str(ASSETS.parent.parent).encode() not in everything
    open_comparison(backend.folder(job, "anna"))


def test_a_stopped_job_keeps_its_adapter_and_a_killed_one_is_lost(tmp_path: Path):
    backend = LocalBackend(tmp_path)
    backend.warm_up()
    stopped = backend.submit(short_spec(100_000), "anna")
    wait_for(lambda: backend.status(stopped, "anna").step >= 2)
    backend.stop(stopped, "anna")
    wait_for(lambda: backend.status(stopped, "anna").state == "stopped")
    assert backend.artifact(stopped, "anna").exists()
    lost = backend.submit(short_spec(100_000), "anna")
    wait_for(lambda: backend.status(lost, "anna").step >= 2)
    pid = backend.status(lost, "anna").pid
    assert pid is not None
    identity = identify(pid)
    assert identity is not None
    os.kill(pid, 9)
    wait_for(lambda: not is_alive(identity))
    assert backend.status(lost, "anna").state == "lost", "at once"
    backend.close()
