"""`python -m core.cli inspect`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from core import cli
from core.cli import inspecting as cli_inspect
from core.models.inspection import inspect_source
from core.models.source import DEMO_MODEL
from tests.models.families import CONFIGS, write_config

FIELDS = {"name", "kind", "shape", "component", "role", "layer", "params", "adaptable", "reason"}
FIELDS |= {"confidence", "root", "parameters"}


def lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_inspect_prints_one_object_a_source(tmp_path, capsys):
    good = str(write_config(tmp_path / "good", CONFIGS["qwen2_vl"]))
    bad = str(write_config(tmp_path / "bad", {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}))
    assert cli.main(["inspect", "demo", bad, good, "a/../../b", "--jsonl"]) == 0
    demo, text_only, qwen, climbing = lines(capsys)
    assert set(demo) == {"source", "model_class", "total_params", "modules"}
    assert demo["source"] == "demo"
    assert qwen["source"] == good
    assert set(qwen["modules"][0]) == FIELDS
    assert sum(module["params"] for module in qwen["modules"]) == qwen["total_params"]
    assert set(text_only) == set(climbing) == {"source", "error"}
    assert "text-only" in text_only["error"]


def test_inspect_says_which_sizes_are_defaults(tmp_path, capsys):
    bare = write_config(tmp_path / "bare", {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"]})
    half = {**CONFIGS["llava"], "text_config": {"model_type": "llama"}}
    said = []
    for source in (str(bare), str(write_config(tmp_path / "half", half)), "demo"):
        assert cli.main(["inspect", source]) == 0
        said.append(capsys.readouterr().out)
    assert "no sizes for vision and language: those shown are what transformers takes for “llava”" in said[0]
    assert "no sizes for language:" in said[1]
    assert "no sizes" not in said[2]


def test_inspect_fails_when_every_source_fails(tmp_path, capsys):
    assert cli.main(["inspect", str(tmp_path), "--jsonl"]) == 1
    assert "no config.json" in lines(capsys)[0]["error"]


def test_inspect_for_reading(capsys):
    assert cli.main(["inspect", "demo"]) == 0
    shown = capsys.readouterr().out
    assert "vision" in shown
    assert "targets: vision.attention" in shown


def test_what_is_guessed_is_said_in_the_table(monkeypatch, capsys):
    made = inspect_source(DEMO_MODEL)
    root = "model.connector"
    unsure = tuple(replace(m, confidence="low", root=root) if m.name.startswith(root) else m for m in made.modules)
    monkeypatch.setattr(cli_inspect, "inspect_source", lambda *_: replace(made, modules=unsure))
    assert cli.main(["inspect", "demo"]) == 0
    assert "guessed: model.connector as projector (1 modules); --relabel" in capsys.readouterr().out
    monkeypatch.setattr(cli_inspect, "inspect_source", lambda *_: made)
    assert cli.main(["inspect", "demo"]) == 0
    assert "guessed" not in capsys.readouterr().out


def test_inspect_keeps_inspections_where_told(tmp_path, capsys):
    good = str(write_config(tmp_path / "good", CONFIGS["llava"]))
    assert cli.main(["inspect", good, "--jsonl", "--cache", str(tmp_path / "cache")]) == 0
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_command_line_runs_as_a_program(tmp_path):
    command = [sys.executable, "-m", "core.cli", "inspect", "demo", "--jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(cli.__file__).parents[2])
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
