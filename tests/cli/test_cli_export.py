"""`python -m core.cli export`: each form on stdout or in a file, with what it cannot say on stderr."""

from __future__ import annotations

import json

import pytest

from core import cli
from core.export.choice_file import parse_choice
from core.export.plan_export import FORMATS
from core.models.source import DEMO_MODEL
from core.spec import Recipe, Source, Spec, from_json
from tests.data.made_data import picture


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_is_printed(form: str, capsys):
    assert cli.main(["export", "demo", "--preset", "vqa", "--format", form, "--data", "digits"]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip()
    assert "Note: " in shown.err
    if form == "script":
        compile(shown.out, "train.py", "exec")
    if form == "peft":
        assert json.loads(shown.out)["r"] == 16


def test_an_export_goes_into_a_file(tmp_path, capsys):
    out = tmp_path / "plan.yaml"
    arguments = ["export", "demo", "--targets", "language", "--rank", "4", "--format", "yaml", "--out", str(out)]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == ""
    made = parse_choice(out.read_bytes())
    assert made.recipe == Recipe(4, 8)
    assert made.selection.cells == ("language.attention", "language.mlp")
    assert made.settings.learning_rate == 3e-3


def test_adalora_in_epochs_needs_the_data_to_count_its_steps(capsys):
    arguments = ["export", "demo", "--targets", "language", "--method", "adalora", "--epochs", "2", "--format", "peft"]
    assert cli.main(arguments) == 1
    assert "number of steps" in capsys.readouterr().err
    assert cli.main([*arguments, "--data", "digits"]) == 0
    rows = 700  # of the digits to learn from
    assert json.loads(capsys.readouterr().out)["total_step"] == -(-rows // 16) * 2


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--targets", "language", "--data", "no/such/folder"], "no such folder"),
        (["--targets", "language", "--out", "/no/such/folder/train.py"], "Name a file that you may write"),
        (["--targets", "audio"], "matches nothing"),
    ],
)
def test_a_refusal_is_a_sentence(more: list[str], sentence: str, capsys):
    assert cli.main(["export", "demo", "--format", "script", *more]) == 1
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert shown.out == ""


def test_a_script_without_data_says_where_it_looks(capsys):
    assert cli.main(["export", "demo", "--targets", "language", "--format", "script"]) == 0
    assert "./my-data" in capsys.readouterr().err


def test_a_script_says_which_data_it_cannot_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    choice = ["export", "demo", "--targets", "language", "--format", "script", "--data"]
    classes = tmp_path / "classes"
    for number in range(8):
        (classes / f"kind {number % 2}").mkdir(parents=True, exist_ok=True)
        picture(number).save(classes / f"kind {number % 2}" / f"{number}.png")
    assert cli.main(["data", "import", str(classes), "--json"]) == 0
    stored = f"stored:{json.loads(capsys.readouterr().out)['data']['name']}"
    for data in (str(classes), stored):
        assert cli.main([*choice, data]) == 0
        shown = capsys.readouterr()
        assert f"It cannot read {data}" in shown.err
        assert "./my-data" in shown.err
        assert 'DATA = "my-data"' in shown.out
    assert cli.main([*choice, "digits"]) == 0
    shown = capsys.readouterr()
    assert "my-data" not in shown.err + shown.out


def test_a_choice_goes_from_yaml_to_a_spec(tmp_path, capsys):
    choice = ["--targets", "language", "--rank", "4", "--full", "projector", "--epochs", "2"]
    file = tmp_path / "plan.yaml"
    assert cli.main(["export", "demo", *choice, "--data", "digits", "--format", "yaml", "--out", str(file)]) == 0
    assert cli.main(["spec", "--config", str(file)]) == 0
    spec = from_json(Spec, capsys.readouterr().out)
    assert (spec.model, spec.data) == (DEMO_MODEL, Source("demo", "digits"))
    assert spec.plan.full_modules
    assert (spec.plan.rank, spec.settings.epochs, spec.settings.steps) == (4, 2, None)
    assert cli.main(["budget", "demo", *choice, "--no-memory", "--json"]) == 0
    assert spec.trainable == json.loads(capsys.readouterr().out)["trainable"]


def test_a_file_without_data_is_no_spec(tmp_path, capsys):
    file = tmp_path / "plan.yaml"
    assert cli.main(["export", "demo", "--targets", "language", "--format", "yaml", "--out", str(file)]) == 0
    assert cli.main(["spec", "--config", str(file)]) == 1
    assert "it names no data" in capsys.readouterr().err
