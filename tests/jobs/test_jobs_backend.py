"""What a page needs of the backend: start, watch, stop, read again, and never another's job."""

from __future__ import annotations

import json
import os
import signal
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from core.errors import AdapterError, JobError
from core.jobs.local import LocalBackend
from core.jobs.process import identify
from core.spec import Source
from tests.jobs.job_fakes import SPEC, Make, wait_for, wait_for_end, wait_for_step


def test_a_job_runs_to_its_end_and_its_points_are_read_by_offset(make: Make):
    backend = make("quick")
    job = backend.submit(SPEC, "anna")
    points: list[dict[str, Any]] = []
    offset = 0
    while len(points) < 5:
        new, offset = backend.metrics(job, "anna", offset)
        points += new
    assert [point["step"] for point in points] == [1, 2, 3, 4, 5]
    assert wait_for_end(backend, job).state == "finished"
    assert backend.metrics(job, "anna", offset) == ([], offset)
    text, end = backend.log(job, "anna")
    assert text == "quick worker on Digits — ä\n"
    assert end == len(text.encode())
    assert backend.spec(job, "anna") == SPEC


def test_the_adapter_is_downloaded_as_one_zip_without_the_servers_record(make: Make):
    backend = make("quick")
    job = backend.submit(SPEC, "anna")
    wait_for_end(backend, job)
    with zipfile.ZipFile(backend.artifact(job, "anna")) as archive:
        assert set(archive.namelist()) == {"adapter_model.safetensors", "adapter_config.json", "spec.json"}


def test_no_download_before_there_is_an_adapter(make: Make):
    backend = make("long")
    job = backend.submit(SPEC, "anna")
    with pytest.raises(AdapterError, match="has not made one"):
        backend.artifact(job, "anna")


def test_the_newest_job_comes_first_and_only_the_owners_are_listed(make: Make):
    backend = make("quick")
    jobs = []
    for name, owner in (("one", "anna"), ("two", "anna"), ("three", "ben")):
        jobs.append(backend.submit(replace(SPEC, name=name), owner))
        wait_for_end(backend, jobs[-1], owner)
    assert [row.name for row in backend.jobs("anna")] == ["two", "one"]
    assert [row.id for row in backend.jobs("ben")] == jobs[2:]
    assert sorted(jobs) == jobs


def test_stop_saves_and_ends(make: Make):
    backend = make("long")
    job = backend.submit(SPEC, "anna")
    wait_for_step(backend, job)
    backend.stop(job, "anna")
    assert wait_for_end(backend, job).state == "stopped"
    assert backend.artifact(job, "anna").exists()
    backend.stop(job, "anna")


def test_a_second_job_is_refused_while_one_runs(make: Make):
    backend = make("long")
    job = backend.submit(SPEC, "anna")
    with pytest.raises(JobError, match="still running"):
        backend.submit(SPEC, "ben")
    backend.stop(job, "anna")
    wait_for_end(backend, job)
    backend.submit(SPEC, "ben")


def test_the_refusal_does_not_name_anothers_job(make: Make):
    backend = make("long")
    backend.submit(replace(SPEC, name="secret plans"), "anna")
    with pytest.raises(JobError, match="somebody else's job") as refused:
        backend.submit(SPEC, "ben")
    assert "secret" not in str(refused.value)


def test_eight_clicks_from_two_servers_start_one_job(make: Make):
    servers = [make("long"), make("long")]
    barrier = threading.Barrier(8)
    outcomes: list[str] = []

    def click(backend: LocalBackend) -> None:
        barrier.wait()
        try:
            outcomes.append(backend.submit(SPEC, "anna"))
        except JobError as error:
            outcomes.append(error.reason)

    threads = [threading.Thread(target=click, args=(servers[index % 2],)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("still running" in reason for reason in sorted(outcomes)[1:])
    folders = list(servers[0].folder(min(outcomes), "anna").parent.iterdir())
    assert [folder.name for folder in folders] == [min(outcomes)]


@pytest.mark.parametrize(
    "ask",
    [
        LocalBackend.status,
        LocalBackend.metrics,
        LocalBackend.log,
        LocalBackend.stop,
        LocalBackend.spec,
        LocalBackend.artifact,
        LocalBackend.folder,
        LocalBackend.delete,
    ],
)
def test_another_owner_and_a_made_up_id_get_the_same_refusal(make: Make, ask: Callable[..., object]):
    backend = make("long")
    job = backend.submit(SPEC, "anna")
    with pytest.raises(JobError) as others:
        ask(backend, job, "ben")
    with pytest.raises(JobError) as unknown:
        ask(backend, "../../etc", "anna")
    assert str(others.value) == str(unknown.value)
    assert backend.jobs("ben") == []
    assert not (backend.folder(job, "anna") / "stop").exists()


def test_an_ended_job_can_be_removed_and_a_running_one_cannot(make: Make):
    backend = make("long")
    job = backend.submit(SPEC, "anna")
    folder = backend.folder(job, "anna")
    with pytest.raises(JobError, match="still runs"):
        backend.delete(job, "anna")
    backend.stop(job, "anna")
    wait_for_end(backend, job)
    backend.delete(job, "anna")
    assert not folder.exists()
    assert backend.jobs("anna") == make().jobs("anna") == []


def test_folders_are_named_from_the_root_for_the_worker(make: Make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backend = make("quick")
    job = backend.submit(replace(SPEC, data=Source("folder", "my pictures")), "anna")
    assert backend.spec(job, "anna").data.name == str(tmp_path / "my pictures")


def test_the_worker_gets_no_token(make: Make, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.setenv("SOME_SECRET", "canary")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    backend = make("long")
    job = backend.submit(SPEC, "anna")
    pid = wait_for_step(backend, job, 1).pid
    with open(f"/proc/{pid}/environ", "rb") as file:
        environment = file.read()
    assert b"canary" not in environment
    assert b"OMP_NUM_THREADS=1" in environment


def test_a_warm_worker_takes_the_job_and_a_new_one_waits_after_it(make: Make):
    backend = make("long")
    backend.warm_up()
    warm = backend.warm_worker
    assert warm is not None
    job = backend.submit(SPEC, "anna")
    assert wait_for_step(backend, job).pid == warm
    backend.warm_up()
    assert backend.warm_worker is None, "none waits while a job runs"
    backend.stop(job, "anna")
    wait_for_end(backend, job)
    backend.jobs("anna")
    wait_for(lambda: backend.warm_worker is not None or bool(backend.warm_up()))


def test_a_warm_worker_is_used_after_libraries_have_changed_the_environment(make: Make, monkeypatch):
    backend = make("long")
    backend.warm_up()
    warm = backend.warm_worker
    assert warm is not None
    monkeypatch.setenv("TORCH_SET_BY_AN_IMPORT", "1")
    assert wait_for_step(backend, backend.submit(SPEC, "anna")).pid == warm


def test_only_a_hub_source_brings_the_token_and_then_the_worker_starts_cold(make: Make, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    backend = make("long")
    backend.warm_up()
    warm = backend.warm_worker
    assert warm is not None
    job = backend.submit(replace(SPEC, model=Source("hub", "org/model")), "anna")
    pid = wait_for_step(backend, job).pid
    assert pid != warm
    assert backend.warm_worker is None, "it would take memory from the job"
    with open(f"/proc/{pid}/environ", "rb") as file:
        assert b"HF_TOKEN=hf_canary" in file.read()
    for name in backend.folder(job, "anna").iterdir():
        assert b"hf_canary" not in name.read_bytes()


def test_a_dead_warm_worker_is_replaced_by_a_cold_start(make: Make):
    backend = make("quick")
    backend.warm_up()
    warm = backend.warm_worker
    assert warm is not None
    os.kill(warm, signal.SIGKILL)
    wait_for(lambda: identify(warm) is None)
    job = backend.submit(SPEC, "anna")
    status = wait_for_end(backend, job)
    assert status.state == "finished"
    assert status.pid != warm


def test_no_warm_worker_when_switched_off(make: Make, monkeypatch):
    monkeypatch.setenv("STUDIO_STANDBY", "0")
    backend = make("quick")
    backend.warm_up()
    assert backend.warm_worker is None
    assert wait_for_end(backend, backend.submit(SPEC, "anna")).state == "finished"


@pytest.mark.parametrize("kind", ["demo", "hub"])
def test_on_a_shared_server_no_job_gets_a_token(make: Make, monkeypatch, tmp_path, kind: str):
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "canary"))
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "hf_canary")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    backend = make("long", shared=True)
    job = backend.submit(replace(SPEC, model=Source(kind, "org/model")), "anna")
    pid = wait_for_step(backend, job, 1).pid
    with open(f"/proc/{pid}/environ", "rb") as file:
        environment = file.read()
    assert b"canary" not in environment
    assert b"HF_HUB_DISABLE_IMPLICIT_TOKEN=1" in environment
    assert (b"HTTPS_PROXY" in environment) == (kind == "hub")


def test_the_spec_on_disk_is_the_one_submitted(make: Make):
    backend = make("quick")
    job = backend.submit(SPEC, "anna")
    assert json.loads((backend.folder(job, "anna") / "spec.json").read_text())["trainable"] == 1000
