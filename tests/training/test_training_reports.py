"""Curves for other tools: begun where they are installed, given every number, and never the end of a job."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from core.spec import Spec, read
from core.training.reports import Report
from core.training.worker import run
from tests.training.short_jobs import of_kind, status_of

TRACKIO = """
calls = []
def init(project, name=None, config=None, auto_log_gpu=None, auto_log_cpu=None):
    calls.append(("init", dict(config, project=project, name=name), auto_log_gpu, auto_log_cpu))
def log(metrics, step=None): calls.append(("log", metrics, step))
def finish(): calls.append(("finish",))
"""
TENSORBOARDX = """
calls = []
class SummaryWriter:
    def __init__(self, log_dir): calls.append(("init", log_dir))
    def add_text(self, name, text): calls.append(("text", name, text))
    def add_scalar(self, name, value, step): calls.append(("log", {name: value}, step))
    def close(self): calls.append(("finish",))
"""
WANDB = """
calls = []
class Settings:
    def __init__(self, **given): self.given = given
class Run:
    def log(self, numbers, step): calls.append(("log", numbers, step))
    def finish(self): calls.append(("finish",))
def init(**given):
    calls.append(("init", given))
    return Run()
"""
FAKES = {"trackio": ("trackio", TRACKIO), "tensorboard": ("tensorboardX", TENSORBOARDX), "wandb": ("wandb", WANDB)}


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], ModuleType]:
    """Puts a library of this name where imports find it, in place of the real one."""

    def make(name: str, code: str) -> ModuleType:
        shelf = tmp_path / "libraries"
        shelf.mkdir(exist_ok=True)
        (shelf / f"{name}.py").write_text(code)
        monkeypatch.syspath_prepend(str(shelf))
        monkeypatch.delitem(sys.modules, name, raising=False)
        real = sys.modules["importlib.util"].find_spec
        hidden = {"tensorboard"} - {name}
        monkeypatch.setattr("importlib.util.find_spec", lambda asked: None if asked in hidden else real(asked))
        return __import__(name)

    yield make
    for name, _ in FAKES.values():
        sys.modules.pop(name, None)


def spec_of(folder: Path) -> Spec:
    return read(Spec, folder / "spec.json")


def notes(folder: Path) -> list[str]:
    return [point["text"] for point in of_kind(folder, "note")]


@pytest.mark.parametrize("kind", list(FAKES))
def test_every_number_of_a_job_is_handed_on(new_job: Callable[..., Path], fake: Callable, kind: str) -> None:
    library = fake(*FAKES[kind])
    folder = new_job(steps=3, report_to=kind)
    assert run(folder) == 0, status_of(folder).error
    begun, *_, ended = library.calls
    assert (begun[0], ended) == ("init", ("finish",))
    handed: dict[tuple[str, int], float] = {}
    for call in library.calls:
        if call[0] == "log":
            handed |= {(name, call[2]): value for name, value in call[1].items()}
    for point in of_kind(folder, "train"):
        assert handed["train/loss", point["step"]] == pytest.approx(point["loss"])
        assert handed["train/grad_norm", point["step"]] == pytest.approx(point["grad_norm"])
    for point in of_kind(folder, "eval"):
        assert handed["eval/loss", point["step"]] == pytest.approx(point["loss"])
    assert ("norms/update/language", 1) in handed
    assert any("as well" in note for note in notes(folder))


@pytest.mark.parametrize("kind", list(FAKES))
def test_no_folder_and_no_token_leaves_the_machine(
    new_job: Callable[..., Path], fake: Callable, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    library = fake(*FAKES[kind])
    spec, said = spec_of(folder := new_job(steps=3, report_to=kind)), []
    report = Report(spec, folder, said.append)
    report.point("train", {"step": 1, "loss": 0.5, "time": 3.0})
    report.point("answers", {"step": 1, "answers": [{"index": 0, "answer": "seven"}]})
    report.close()
    report.close()
    handed = [call for call in library.calls if call != ("init", str(folder / "tensorboard"))]
    if kind == "wandb":
        handed[0][1].pop("dir")
        given = handed[0][1]["settings"].given
        assert given["x_disable_meta"] is given["x_disable_stats"] is given["x_disable_machine_info"] is True
        assert given["host"] == "", "the machine's name"
    if kind == "trackio":
        assert handed[0][2:] == (False, False), "it collects nothing of the machine by itself"
    assert str(spec.data.name) not in str(handed)
    assert str(folder) not in str(handed)
    assert "hf_secret" not in str(handed)
    assert "seven" not in str(handed)
    assert library.calls.count(("finish",)) == 1


def test_an_older_trackio_is_not_asked_what_it_does_not_know(new_job: Callable[..., Path], fake: Callable) -> None:
    library = fake(
        "trackio",
        TRACKIO.replace(", auto_log_gpu=None, auto_log_cpu=None", "").replace(", auto_log_gpu, auto_log_cpu", ""),
    )
    Report(spec_of(folder := new_job(report_to="trackio")), folder, [].append).close()
    assert [call[0] for call in library.calls] == ["init", "finish"]


def test_curves_of_an_earlier_attempt_go(new_job: Callable[..., Path], fake: Callable) -> None:
    fake(*FAKES["tensorboard"])
    folder = new_job(report_to="tensorboard")
    old = folder / "tensorboard" / "events.old"
    old.parent.mkdir()
    old.touch()
    Report(spec_of(folder), folder, [].append).close()
    assert not old.exists()


@pytest.mark.parametrize(("kind", "advice"), [("trackio", "pip install trackio"), ("wandb", "pip install wandb")])
def test_what_is_not_installed_is_a_note(
    new_job: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, kind: str, advice: str
) -> None:
    monkeypatch.setattr("core.training.reports.installed", lambda kind: False)
    said: list[str] = []
    report = Report(spec_of(folder := new_job(report_to=kind)), folder, said.append)
    report.point("train", {"step": 1, "loss": 0.5})
    report.close()
    assert len(said) == 1
    assert advice in said[0]


@pytest.mark.parametrize(
    "broken",
    [
        "def init(**given): raise SystemError('token hf_secret')",
        "def init(**given): raise SystemExit(1)",
        TRACKIO + "\ndef log(*_, **__): 1 / 0\n",
        TRACKIO + "\ndef finish(): raise OSError\n",
    ],
)
def test_a_report_that_breaks_is_a_note_and_the_job_goes_on(
    new_job: Callable[..., Path], fake: Callable, capfd: pytest.CaptureFixture[str], broken: str
) -> None:
    fake("trackio", broken)
    folder = new_job(steps=2, report_to="trackio")
    assert run(folder) == 0
    assert status_of(folder).state == "finished"
    said = [note for note in notes(folder) if "goes on without it" in note]
    assert len(said) == 1, "it is not tried again"
    assert "hf_secret" not in said[0]
    assert "hf_secret" not in capfd.readouterr().err


def test_a_job_without_a_report_imports_none(new_job: Callable[..., Path]) -> None:
    said: list[str] = []
    report = Report(spec_of(folder := new_job()), folder, said.append)
    report.point("train", {"step": 1, "loss": 0.5})
    report.close()
    assert said == []
    assert not {"trackio", "wandb", "tensorboardX"} & set(sys.modules)
