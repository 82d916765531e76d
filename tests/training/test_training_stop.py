"""A job that is asked to stop ends after its step and keeps what it has learned."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.models.source import DEMO_MODEL
from core.spec import Source
from core.training import preparing
from core.training.looks import Looks
from core.training.metrics import Metrics
from core.training.worker import run
from tests.training.short_jobs import of_kind, series, status_of

ROOT = Path(__file__).resolve().parents[2]


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, action: Callable[[], None]) -> None:
    """Does something while the point of this step is written."""
    add = Metrics.add

    def watched(self: Metrics, kind: str, **values: object) -> None:
        if kind == "train" and values["step"] == step:
            action()
        add(self, kind, **values)

    monkeypatch.setattr(Metrics, "add", watched)


def start(*arguments: str, code: str | None = None) -> subprocess.Popen[bytes]:
    how = ["-c", code] if code else ["-m", "core.training.worker"]
    return subprocess.Popen([sys.executable, *how, *arguments], cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True)


def wait_for_points(folder: Path, kind: str, count: int, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not (folder / "metrics.jsonl").exists() or len(of_kind(folder, kind)) < count:
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def test_stop_keeps_what_was_learned(new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_job(steps=50)
    at_step(monkeypatch, 3, (folder / "stop").touch)
    assert run(folder) == 0
    status = status_of(folder)
    assert status.state == "stopped"
    assert status.step == 4
    assert status.after.rows == status.before.rows == 6
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    assert [point["step"] for point in of_kind(folder, "eval")] == [0, 2, 4]


def test_a_slow_look_is_shortened_after_a_stop(new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_job(steps=50)
    monkeypatch.setattr("core.training.ending.QUICK_ENOUGH", 0.0)
    at_step(monkeypatch, 1, (folder / "stop").touch)
    assert run(folder) == 0
    status = status_of(folder)
    assert status.after.rows == status.before.rows == 4


def test_a_signal_does_not_wait_for_a_slow_look(new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_job(steps=50)
    monkeypatch.setattr("core.training.ending.HURRY", 0.0)
    at_step(monkeypatch, 1, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert run(folder) == 0
    status = status_of(folder)
    assert (status.state, status.after) == ("stopped", None)
    assert (folder / "adapter" / "README.md").is_file()


def test_a_stop_breaks_off_a_look_on_the_way(new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_job(steps=50)
    at_step(monkeypatch, 2, (folder / "stop").touch)
    monkeypatch.setattr("core.training.callbacks.Progress.on_step_end", _count_only)
    assert run(folder) == 0
    assert status_of(folder).step == 2
    assert [point["step"] for point in of_kind(folder, "eval")] == [0, 2], "the second one is the last look"


def test_a_stop_breaks_off_the_last_look(new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_job(steps=2, eval_every=100)
    quick = Looks.quick

    def stopped_meanwhile(self: Looks, step: int, *arguments: object) -> object:
        if step:
            (folder / "stop").touch()
        return quick(self, step, *arguments)

    monkeypatch.setattr(Looks, "quick", stopped_meanwhile)
    assert run(folder) == 0
    status = status_of(folder)
    assert (status.state, status.after, status.error) == ("stopped", None, None)
    assert "broken off" in of_kind(folder, "note")[-1]["text"]
    assert "not measured" in (folder / "adapter" / "README.md").read_text()
    assert "ended early" not in (folder / "adapter" / "README.md").read_text(), "all steps were done"


def test_a_stop_while_loading_does_not_wait_for_the_weights(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_job(steps=2)
    load = preparing.load_processor

    def stopped_meanwhile(source: Source) -> object:
        (folder / "stop").touch()
        return load(source)

    monkeypatch.setattr(preparing, "load_processor", stopped_meanwhile)
    monkeypatch.setattr(preparing, "load_model", lambda *_: pytest.fail("the weights were loaded"))
    assert run(folder) == 0
    assert status_of(folder).state == "stopped"


def test_a_model_that_cannot_converse_is_refused_before_its_weights_are_loaded(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_job(steps=2)
    processor = preparing.load_processor(DEMO_MODEL)
    processor.chat_template = None
    monkeypatch.setattr(preparing, "load_processor", lambda _: processor)
    monkeypatch.setattr(preparing, "load_model", lambda *_: pytest.fail("the weights were loaded"))
    assert run(folder) == 1
    assert "without a chat template" in status_of(folder).error


def test_a_signal_ends_a_long_load_at_once(new_job: Callable[..., Path]) -> None:
    folder = new_job(steps=2)
    code = (
        "import sys, time; from pathlib import Path; import core.training.worker as worker\n"
        "worker._run = lambda *_: (Path(sys.argv[1], 'loading').touch(), time.sleep(600))\n"
        "sys.exit(worker.run(Path(sys.argv[1])))"
    )
    worker = start(str(folder), code=code)
    while not (folder / "loading").exists():
        assert worker.poll() is None
        time.sleep(0.02)
    worker.terminate()
    assert worker.wait(120) == 0
    assert (status_of(folder).state, status_of(folder).phase) == ("stopped", "stopped before the first step")


def _count_only(self: object, args: object, state: object, control: object, **kwargs: object) -> None:
    self.steps_done = state.global_step


def test_stop_before_the_first_step_leaves_no_adapter(new_job: Callable[..., Path]) -> None:
    folder = new_job(steps=50)
    (folder / "stop").touch()
    assert run(folder) == 0
    assert status_of(folder).state == "stopped"
    assert not (folder / "adapter").exists()
    assert of_kind(folder, "train") == []


def test_stop_on_the_last_step_is_a_finished_job(new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_job(steps=3)
    at_step(monkeypatch, 3, (folder / "stop").touch)
    assert run(folder) == 0
    assert status_of(folder).state == "finished"


def test_sigterm_is_a_stop(new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new_job(steps=50)
    at_step(monkeypatch, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert run(folder) == 0
    assert status_of(folder).state == "stopped"
    assert (folder / "adapter").is_dir()


@pytest.mark.slow
def test_sigkill_in_the_middle_leaves_whole_lines_and_no_adapter(new_job: Callable[..., Path]) -> None:
    folder = new_job(steps=500)
    worker = start(str(folder))
    wait_for_points(folder, "train", 3)
    worker.kill()
    worker.wait()
    assert not (folder / "adapter").exists()
    assert status_of(folder).state == "running"
    steps = [point["step"] for point in of_kind(folder, "train")]
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.slow
def test_sigkill_while_saving_leaves_no_half_adapter_and_the_next_attempt_makes_it(
    new_job: Callable[..., Path],
) -> None:
    folder = new_job(steps=2)
    code = (
        "import os, signal, sys; from pathlib import Path; import core.training.saving as saving\n"
        "saving._sync = lambda folder: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from core.training.worker import run; run(Path(sys.argv[1]))"
    )
    assert start(str(folder), code=code).wait() == -signal.SIGKILL
    assert not (folder / "adapter").exists()
    assert (folder / "adapter.tmp" / "adapter" / "adapter_model.safetensors").exists(), "it died where it was meant to"
    assert run(folder) == 0
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    assert not (folder / "adapter.tmp").exists()


@pytest.mark.slow
def test_a_standby_worker_takes_a_job_and_writes_its_log(new_job: Callable[..., Path]) -> None:
    folder = new_job(steps=2)
    worker = start("--standby")
    worker.communicate(f"{folder}\n".encode())
    assert worker.returncode == 0
    assert status_of(folder).state == "finished"
    assert status_of(folder).pid == worker.pid
    assert "loss" in (folder / "worker.log").read_text()
    assert [point["step"] for point in series(folder) if point["kind"] == "train"] == [1, 2]


@pytest.mark.slow
def test_a_standby_worker_ends_with_its_server() -> None:
    worker = start("--standby")
    worker.stdin.close()
    assert worker.wait() == 0


@pytest.mark.slow
def test_a_job_on_local_files_asks_no_network(new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    folder = new_job(steps=1)
    code = (
        "import os, socket, sys; from pathlib import Path\n"
        "socket.getaddrinfo = lambda *asked, **_: os._exit(7)\n"
        "from core.training.worker import run; sys.exit(run(Path(sys.argv[1])))"
    )
    assert start(str(folder), code=code).wait() == 0
