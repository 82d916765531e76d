"""What docstrings and the README promise is run: examples, and the commands with the keys that they print."""

from __future__ import annotations

import doctest
import importlib
import json
import re
from pathlib import Path

import pytest

from core import cli
from core.spec import Spec, from_json

ROOT = Path(__file__).resolve().parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "core").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
COMMANDS = {
    "inspect": ["inspect", "demo", "--jsonl"],
    "budget": ["budget", "demo", "--targets", "vision.attention,language.mlp", "--rank", "16", "--no-memory", "--json"],
    "jobs": ["jobs", "--json"],
    "zoo": ["zoo", "llava", "--jsonl"],
}


def test_there_are_examples():
    assert len(MODULES) >= 8


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert tried > 0
    assert failed == 0


def documented(command: str) -> set[str]:
    """The keys that the README's table of commands names for one, before any in brackets."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `python -m core\.cli {command} .*\| (.*) \|$", readme, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", re.sub(r"\(.*?\)|; or .*", "", row)))


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path))


@pytest.mark.parametrize("command", ["inspect", "budget", "zoo"])
def test_a_command_prints_the_keys_that_the_readme_names(command: str, capsys: pytest.CaptureFixture[str]):
    assert cli.main(COMMANDS[command]) == 0
    made = json.loads(capsys.readouterr().out)
    assert set(made) == documented(command)
    if command == "inspect":
        keys = {"name", "kind", "shape", "component", "role", "layer", "params", "adaptable", "reason"}
        keys |= {"confidence", "root", "parameters"}
        assert all(set(module) == keys for module in made["modules"])


@pytest.mark.slow
def test_the_memory_has_the_keys_that_the_readme_names(capsys: pytest.CaptureFixture[str]):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"`memory` \(null where there is no estimate; else (.*?)\)", readme)
    (advice,) = re.findall(r"`advice` \(a list of (.*?)\)", readme)
    arguments = [word for word in COMMANDS["budget"] if word != "--no-memory"]
    assert cli.main([*arguments, "--learning-rate", "0.9"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert set(made["memory"]) == set(re.findall(r"`(\w+)`", named))
    assert set(made["advice"][0]) == set(re.findall(r"`(\w+)`", advice))


def test_the_commands_of_the_readme_mean_something(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\.venv/bin/python -m core\.cli ((?:budget|export) .*)$", readme, re.MULTILINE)
    assert len(commands) == 3
    monkeypatch.chdir(tmp_path)
    for command in commands:
        words = [*command.split(), "--no-memory"] if command.startswith("budget") else command.split()
        assert cli.main(words) == 0
    assert (tmp_path / "train.py").is_file()
    assert "parameters learn" in capsys.readouterr().out


def test_the_spec_that_the_readme_starts_from_is_one(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["spec", "--demo", "digits"]) == 0
    assert from_json(Spec, capsys.readouterr().out).data.name == "digits"


def test_the_jobs_of_a_new_data_folder_are_an_empty_list(capsys: pytest.CaptureFixture[str]):
    assert cli.main(COMMANDS["jobs"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert documented("jobs") == {"id", "name", "state", "created", "reason", "folder"}
