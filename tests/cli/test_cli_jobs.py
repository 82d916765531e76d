"""`spec`, `train` and `jobs` as a person or a script calls them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from core import cli
from core.cli import jobs as cli_jobs
from core.errors import AdapterError
from core.jobs.local import LocalBackend
from core.jobs.workers import ROOT
from core.lora.budget import budget
from core.lora.presets import usual_cells
from core.models.inspection import inspect_source
from core.spec import Settings, Spec, from_json, write

FAKE = Path(__file__).parents[1] / "jobs" / "fake_worker.py"
PATCHED = """
import os, sys
from functools import partial
from pathlib import Path
from core import cli
from core.cli import jobs as cli_jobs
from core.errors import AdapterError
from core.jobs.local import LocalBackend
cli_jobs.LocalBackend = partial(LocalBackend, command=sys.argv[1:4])
look = cli_jobs._Told.look
cli_jobs._Told.look = lambda told: (look(told), Path(os.environ["HOME"], "followed").touch())[0]
sys.exit(cli.main(sys.argv[4:]))
"""


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Makes the command line start a fake worker of this mode."""
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    return lambda mode: monkeypatch.setattr(
        cli_jobs, "LocalBackend", partial(LocalBackend, command=[sys.executable, str(FAKE), mode])
    )


def test_the_spec_of_a_demo_can_be_read_again_and_counts_itself(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["spec", "--demo", "digits"]) == 0
    spec = from_json(Spec, capsys.readouterr().out)
    assert spec.settings == Settings()
    made = inspect_source(spec.model)
    assert spec.selection.cells == usual_cells(made)
    assert spec.trainable == budget(made, spec.plan).trainable > 0


def test_train_ends_with_one_line_of_json_and_a_copy(worker, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    worker("quick")
    out = tmp_path / "out"
    assert cli.main(["train", "--demo", "digits", "--steps", "5", "--out", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(result) == {"job", "state", "adapter", "kept_step", "before", "after"}
    assert (result["state"], result["adapter"]) == ("finished", str(out))
    assert json.loads((out / "spec.json").read_text())["settings"]["steps"] == 5
    assert cli.main(["jobs", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == [result["job"]]
    assert cli.main(["jobs"]) == 0
    assert "finished" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_refused_before_training(
    worker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    worker("quick")
    (tmp_path / "file").write_text("")
    assert cli.main(["train", "--demo", "digits", "--out", str(tmp_path / "file" / "out"), "--json"]) == 1
    assert "Name a folder that you may write" in capsys.readouterr().err
    assert cli.main(["jobs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [], "nothing was started"


def test_a_copy_that_fails_at_the_end_leaves_the_result(
    worker, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
):
    def full(*_: object) -> None:
        raise AdapterError("The adapter was to be copied", "no space", "Make room")

    worker("quick")
    monkeypatch.setattr(cli_jobs, "copy_adapter", full)
    assert cli.main(["train", "--demo", "digits", "--out", str(tmp_path / "out"), "--json"]) == 0
    told = capsys.readouterr()
    result = json.loads(told.out.splitlines()[-1])
    assert Path(result["adapter"], "adapter_model.safetensors").is_file()
    assert "no space" in told.err


def test_train_takes_a_file_and_fails_with_the_reason(worker, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    worker("crash")
    assert cli.main(["spec", "--demo", "digits"]) == 0
    (tmp_path / "spec.json").write_text(capsys.readouterr().out)
    assert cli.main(["train", str(tmp_path / "spec.json"), "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["state"] == "lost"
    assert json.loads(told.out)["adapter"] is None
    assert "an error (ValueError)" in told.err


def test_what_cannot_be_is_refused_before_a_worker_starts(worker, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    worker("quick")
    spec = cli_jobs.demo_spec("digits")
    impossible = replace(spec, plan=replace(spec.plan, method="dora", lora_bias=True))
    write(impossible, tmp_path / "spec.json")
    assert cli.main(["train", str(tmp_path / "spec.json"), "--json"]) == 1
    told = capsys.readouterr()
    assert "DoRA with a LoRA bias was asked for" in told.err
    assert told.out == ""
    assert cli.main(["jobs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [], "nothing was started"


def test_guessed_parts_are_said_before_training(worker, tmp_path: Path, monkeypatch, capsys):
    worker("quick")
    made = inspect_source(cli_jobs.demo_spec("digits").model)
    unsure = tuple(replace(module, confidence="low") for module in made.modules)
    monkeypatch.setattr(cli_jobs, "inspect_source", lambda *_: replace(made, modules=unsure))
    assert cli.main(["train", "--demo", "digits", "--steps", "5", "--json"]) == 0
    assert "Guessed, please look: 59 of the modules that learn" in capsys.readouterr().err
    monkeypatch.setattr(cli_jobs, "inspect_source", lambda *_: made)
    assert cli.main(["train", "--demo", "digits", "--steps", "5", "--json"]) == 0
    assert "Guessed" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["spec", "--demo", "nothing"], "There are: digits"),
        (["train", "missing.json"], "Check the path"),
        (
            ["train", "--demo", "digits", "--steps", "-1"],
            "“How long” is -1 steps: it must be from 1 to 10,000,000",
        ),
        (["train", "broken.json"], "it is not JSON"),
    ],
)
def test_a_refusal_is_one_sentence_and_the_status_2(
    arguments: list[str], words: str, worker, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    assert cli.main(arguments) == 1
    told = capsys.readouterr()
    assert words in told.err
    assert told.out == ""
    assert told.err.count("\n") == 1


def test_ctrl_c_stops_and_saves(tmp_path: Path):
    command = [sys.executable, "-c", PATCHED, sys.executable, str(FAKE), "long", "train", "--demo", "digits", "--json"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "STUDIO_HOME": str(tmp_path / "home")}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has them ignore Ctrl-C, and what they start as well.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not (tmp_path / "followed").exists() or not list((tmp_path / "home").glob("jobs/*/metrics.jsonl")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert json.loads(out)["state"] == "stopped"
    assert Path(json.loads(out)["adapter"]).is_dir()
    assert "Stopping and saving" in error
    assert "Traceback" not in error
