"""What goes wrong: servers and workers killed, folders that cannot be written, lists that are damaged."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest

from core.errors import JobError
from core.jobs import local, process, workers
from core.jobs.home import open_home
from core.jobs.local import LocalBackend
from core.jobs.process import Identity, identify, is_alive, signal_group
from core.jobs.record import read_record
from core.jobs.stopping import Patience
from core.spec import to_json
from tests.jobs.job_fakes import SPEC, Make, end, fake, serve, wait_for, wait_for_end, wait_for_step


def test_a_job_outlives_its_server_and_the_next_server_takes_it_over(make: Make, tmp_path: Path):
    server, job = serve(tmp_path / "home", to_json(SPEC), fake("long"))
    end(server)
    backend = make("long")
    before = wait_for_step(backend, job, 1).step
    after = wait_for_step(backend, job, before + 5).step
    steps = [point["step"] for point in backend.metrics(job, "anna")[0]]
    assert steps[:after] == list(range(1, after + 1))
    with pytest.raises(JobError, match="still running"):
        backend.submit(SPEC, "anna")
    backend.stop(job, "anna")
    assert wait_for_end(backend, job).state == "stopped"


def test_a_warm_worker_without_a_job_ends_with_its_server(tmp_path: Path):
    server, pid = serve(tmp_path / "home", "-", fake("long"))
    identity = identify(int(pid))
    assert identity is not None
    end(server)
    wait_for(lambda: not is_alive(identity))


def test_a_killed_worker_is_lost_as_soon_as_it_is_dead(make: Make):
    backend = make("long")
    job = backend.submit(SPEC, "anna")
    pid = wait_for_step(backend, job).pid
    assert pid is not None
    identity = identify(pid)
    assert identity is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(identity))
    status = backend.status(job, "anna")
    assert status.state == "lost", "no wait for a sign of life that does not come"
    assert status.error is not None
    assert "killed, most often because memory ran out" in status.error
    assert backend.jobs("anna")[0].reason == status.error
    assert make().status(job, "anna") == status
    backend.submit(SPEC, "anna")


@pytest.mark.parametrize(("mode", "words"), [("crash", "an error (ValueError)"), ("mute", "it left no word")])
def test_a_crashed_worker_is_lost_with_the_error_it_met(make: Make, mode: str, words: str):
    backend = make(mode)
    job = backend.submit(SPEC, "anna")
    status = wait_for_end(backend, job)
    assert status.state == "lost"
    assert words in (status.error or "")
    assert "fake worker" not in (status.error or ""), "a log may hold anything; the page shows it by itself"


@pytest.mark.parametrize("stopped", [True, False])
def test_a_worker_that_ends_during_its_last_look_leaves_its_adapter(make: Make, stopped: bool):
    backend = make("deaf")
    job = backend.submit(SPEC, "anna")
    pid = wait_for_step(backend, job).pid
    assert pid is not None
    adapter = backend.folder(job, "anna") / "adapter"
    adapter.mkdir()
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (adapter / name).write_text("{}")
    if stopped:
        backend.stop(job, "anna")
    os.kill(pid, signal.SIGKILL)
    status = wait_for_end(backend, job)
    assert status.state == ("stopped" if stopped else "lost")
    assert "The adapter that it had saved is kept." in (status.error or "")
    assert "could save" not in (status.error or "")


def test_a_zombie_of_an_earlier_server_counts_as_dead():
    program = "import os, time\npid = os.fork()\nif not pid: os._exit(0)\nprint(pid, flush=True)\ntime.sleep(600)"
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    wait_for(lambda: identify(pid) is None)
    assert Path(f"/proc/{pid}").exists()
    parent.kill()
    parent.wait()


def test_stop_on_a_dead_worker_settles_at_once(make: Make):
    backend = make("long")
    job = backend.submit(SPEC, "anna")
    pid = wait_for_step(backend, job).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    backend._workers.processes[job].wait()
    backend.stop(job, "anna")
    assert backend.jobs("anna")[0].state == "lost"


def test_a_worker_that_ignores_stop_is_ended_by_force(make: Make):
    backend = make("deaf", Patience(term_after=600, kill_after=0.3))
    job = backend.submit(SPEC, "anna")
    wait_for_step(backend, job)
    backend.stop(job, "anna")
    assert backend.status(job, "anna").state == "stopping"
    backend.stop(job, "anna", force=True)
    status = wait_for_end(backend, job)
    assert status.state == "stopped"
    assert "before it could save" in (status.error or "")


def test_a_worker_that_hangs_is_ended_after_the_wait(make: Make):
    backend = make("deaf", Patience(term_after=0.2, kill_after=0.2))
    job = backend.submit(SPEC, "anna")
    pid = wait_for_step(backend, job).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    backend.stop(job, "anna")
    assert wait_for_end(backend, job).state == "stopped"


def test_a_reused_pid_is_not_signalled():
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    true = identify(other.pid)
    assert true is not None
    for false in (
        Identity(true.boot, true.pid, true.start - 1),
        Identity("another boot", true.pid, true.start),
    ):
        assert not is_alive(false)
        assert not signal_group(false, signal.SIGKILL)
    assert other.poll() is None
    assert signal_group(true, signal.SIGKILL)
    assert other.wait() == -signal.SIGKILL


def test_without_proc_the_pid_has_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(process, "PROC", tmp_path)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    identity = identify(child.pid)
    assert identity == Identity("", child.pid, 0)
    assert is_alive(identity)
    assert signal_group(identity, signal.SIGKILL)
    child.wait()
    assert not is_alive(identity)


def test_a_job_whose_pid_another_process_has_now_is_lost(make: Make):
    backend = make("long")
    job = backend.submit(SPEC, "anna")
    pid = wait_for_step(backend, job).pid
    assert pid is not None
    backend._store._run("UPDATE jobs SET start = start - 1")
    assert backend.status(job, "anna").state == "lost"
    os.kill(pid, 0)


@pytest.mark.parametrize("damage", ["removed", "garbage", "torn", "truncated"])
def test_a_damaged_list_is_rebuilt_from_the_folders(make: Make, damage: str):
    backend = make("quick")
    ended = backend.submit(SPEC, "anna")
    wait_for_end(backend, ended)
    backend.close()
    backend = make("long")
    running = backend.submit(SPEC, "ben")
    rows = {(row.id, row.owner, row.name) for owner in ("anna", "ben") for row in backend.jobs(owner)}
    backend.close()
    spoil(backend._home.database, damage)
    again = make("long")
    assert {(row.id, row.owner, row.name) for owner in ("anna", "ben") for row in again.jobs(owner)} == rows
    assert again.status(ended, "anna").state == "finished"
    wait_for_step(again, running, 3, "ben")
    again.stop(running, "ben")
    assert wait_for_end(again, running, "ben").state == "stopped"


def spoil(database: Path, damage: str) -> None:
    for ending in ("-wal", "-shm"):
        database.with_name(database.name + ending).unlink(missing_ok=True)
    if damage == "removed":
        database.unlink()
    elif damage == "garbage":
        database.write_bytes(b"not a database at all " * 200)
    elif damage == "torn":
        content = bytearray(database.read_bytes())
        content[4096:8192] = b"\xff" * 4096
        database.write_bytes(content)
    else:
        database.write_bytes(database.read_bytes()[:5000])


def test_a_start_cut_short_before_it_was_recorded_is_found_again(make: Make):
    backend = make("long")
    job = backend.submit(SPEC, "anna")
    wait_for_step(backend, job)
    folder = backend.folder(job, "anna")
    record = (folder / "job.json").read_text()
    (folder / "job.json").write_text(record[: record.index('"identity"')] + '"identity": null}')
    backend._store._run("DELETE FROM jobs")
    again = make("long")
    assert again.status(job, "anna").state == "running"
    found = read_record(folder)
    assert found is not None
    assert found.identity is not None
    again.stop(job, "anna")
    assert wait_for_end(again, job).state == "stopped"


def test_leftovers_of_a_cut_short_start_are_cleared(make: Make):
    backend = make("quick")
    (backend._home.jobs / ".new-x").mkdir()
    assert make("quick").jobs("anna") == []
    assert list(backend._home.jobs.iterdir()) == []


def test_a_full_disk_is_said_before_anything_is_made(make: Make, monkeypatch: pytest.MonkeyPatch):
    backend = make("long")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 10**6))
    with pytest.raises(JobError, match=r"1 MB of free space and the job needs 210 MB"):
        backend.submit(SPEC, "anna")
    assert list(backend._home.jobs.iterdir()) == []


def test_a_disk_that_fills_up_while_starting_leaves_nothing(make: Make, monkeypatch: pytest.MonkeyPatch):
    backend = make("long")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local, "write_record", full)
    with pytest.raises(JobError, match="No space left on device"):
        backend.submit(SPEC, "anna")
    assert list(backend._home.jobs.iterdir()) == []
    monkeypatch.undo()
    backend.submit(SPEC, "anna")


def test_a_list_that_cannot_be_written_leaves_neither_process_nor_folder(make: Make, monkeypatch: pytest.MonkeyPatch):
    backend = make("long")
    started: list[Identity] = []
    start = backend._workers.start

    def start_and_tell(*arguments: object) -> Identity:
        started.append(start(*arguments))  # type: ignore[arg-type]
        backend._store._connection.execute("DROP TABLE jobs")
        return started[0]

    monkeypatch.setattr(backend._workers, "start", start_and_tell)
    with pytest.raises(JobError, match="busy or cannot be written"):
        backend.submit(SPEC, "anna")
    assert not is_alive(started[0])
    assert list(backend._home.jobs.iterdir()) == []
    assert backend.jobs("anna") == []


def test_a_data_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JobError, match="Set STUDIO_HOME"):
        LocalBackend(tmp_path / "file" / "home", fake("quick"))


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from core.errors import JobError
from core.jobs.local import LocalBackend
if os.geteuid() == 0:  # root may write everywhere
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    LocalBackend(Path(sys.argv[1]), ["true"])
except JobError as error:
    print(error)
"""


def test_a_read_only_data_folder_is_a_sentence():
    with tempfile.TemporaryDirectory() as parent:  # not under tmp_path, which only its owner may enter
        home = Path(parent) / "home"
        home.mkdir()
        home.chmod(0o555)
        Path(parent).chmod(0o711)
        command = [sys.executable, "-c", UNPRIVILEGED, str(home)]
        told = subprocess.run(command, cwd=workers.ROOT, capture_output=True, text=True, timeout=600, check=True).stdout
        left = list(home.iterdir())
    assert told == (
        f"The data folder {home} was opened: it cannot be written (Permission denied). "
        "Set STUDIO_HOME to a folder that you may write, with free space.\n"
    )
    assert left == []


def test_no_ended_worker_stays_a_zombie(make: Make):
    backend = make("quick")
    job = backend.submit(SPEC, "anna")
    worker = backend._workers.processes[job]
    assert wait_for_end(backend, job).state == "finished"
    wait_for(lambda: backend.jobs("anna")[0].state == "finished" and worker.returncode is not None)
    assert not (process.PROC / str(worker.pid) / "stat").exists()


def test_a_list_of_a_newer_release_is_left_alone(tmp_path: Path):
    home = open_home(tmp_path / "home")
    with sqlite3.connect(home.database) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(JobError, match="newer release"):
        LocalBackend(home.root, fake("quick"))


def test_a_locked_list_is_a_sentence(make: Make, monkeypatch: pytest.MonkeyPatch):
    backend = make("quick")
    backend._store._run("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(backend._home.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JobError, match="Try again"):
        backend.submit(SPEC, "anna")
    other.close()
    assert list(backend._home.jobs.iterdir()) == []
    assert wait_for_end(backend, backend.submit(SPEC, "anna")).state == "finished"
