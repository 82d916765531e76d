"""`python -m core.cli inspect` and `budget`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core import cli
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


def test_inspect_fails_when_every_source_fails(tmp_path, capsys):
    assert cli.main(["inspect", str(tmp_path), "--jsonl"]) == 1
    assert "no config.json" in lines(capsys)[0]["error"]


def test_inspect_for_reading(capsys):
    assert cli.main(["inspect", "demo"]) == 0
    shown = capsys.readouterr().out
    assert "vision" in shown
    assert "targets: vision.attention" in shown


def test_inspect_keeps_inspections_where_told(tmp_path, capsys):
    good = str(write_config(tmp_path / "good", CONFIGS["llava"]))
    assert cli.main(["inspect", good, "--jsonl", "--cache", str(tmp_path / "cache")]) == 0
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_budget_is_one_object(capsys):
    assert cli.main(["budget", "demo", "--targets", "vision.attention,language.mlp", "--rank", "16", "--json"]) == 0
    (cost,) = lines(capsys)
    assert set(cost) == {"trainable", "total", "percent", "adapter_bytes", "by_component", "target_modules"}
    assert cost["trainable"] == sum(cost["by_component"].values()) > 0
    assert cost["percent"] == pytest.approx(100 * cost["trainable"] / cost["total"])
    assert all("attn" in name or "mlp" in name for name in cost["target_modules"])


def test_budget_for_reading(capsys):
    assert cli.main(["budget", "demo", "--targets", "language"]) == 0
    assert "parameters learn" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--targets", "language", "--rank", "0"], "rank"),
        (["--targets", "language", "--rank", "1000000"], "rank"),
        (["--targets", ""], "nothing is selected"),
        (["--targets", "cross_attention"], "matches nothing"),
        (["--targets", "everything.else"], "a component and a role"),
        (["--targets", "language", "--alpha", "nan"], "alpha"),
    ],
)
def test_budget_refuses_with_a_sentence(arguments, sentence, capsys):
    assert cli.main(["budget", "demo", *arguments, "--json"]) == 1
    shown = capsys.readouterr()
    assert not shown.out
    assert sentence in shown.err
    assert "Traceback" not in shown.err


def test_the_command_line_runs_as_a_program(tmp_path):
    command = [sys.executable, "-m", "core.cli", "inspect", "demo", "--jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(cli.__file__).parents[1])
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 1
