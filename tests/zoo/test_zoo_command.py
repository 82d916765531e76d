"""`python -m core.cli zoo`: one line an architecture."""

from __future__ import annotations

import json

from core import cli
from core.cli import zoo as zoo_command


def test_a_line_names_parts_counts_and_whether_peft_agrees(capsys):
    assert cli.main(["zoo", "clip", "--jsonl"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    row = json.loads(line)
    assert row["name"] == "clip"
    assert row["agrees"] is True
    assert row["trainable"] == row["peft"] > 0
    assert sum(reached for reached, _ in row["components"].values()) == row["adaptable"]
    assert sum(present for _, present in row["components"].values()) == row["modules"]


def test_what_is_no_vision_language_model_says_why(capsys):
    assert cli.main(["zoo", "mistral4"]) == 0
    assert "a text-only model" in capsys.readouterr().out


def test_a_count_that_differs_is_told_by_the_status(monkeypatch, capsys):
    row = {"name": "x", "total_params": 1, "components": {}, "adaptable": 0, "modules": 0, "guesses": 0}
    row |= {"trainable": 3, "peft": 4, "agrees": False}
    monkeypatch.setattr(zoo_command, "rows", lambda _: iter([row]))
    assert cli.main(["zoo"]) == 1
    assert "PEFT counts 4" in capsys.readouterr().out


def test_an_unknown_type_is_told(capsys):
    assert cli.main(["zoo", "no_such_model"]) == 1
    assert "no such type of model" in capsys.readouterr().err


def test_an_unknown_type_among_known_ones_is_told_before_anything_is_built(capsys):
    assert cli.main(["zoo", "clip", "no_such_model"]) == 1
    said = capsys.readouterr()
    assert "no_such_model" in said.err
    assert "clip" not in said.err
    assert not said.out
