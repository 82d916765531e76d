"""`python -m core.cli budget`: flags, presets and files mean one choice, and its cost is one object."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest

from core import cli
from core.cli import choice as cli_choice
from core.cli.choice import parse_layers, per_component
from core.cli.memory import card_named, image_size
from core.errors import PlanError, SpecError
from core.lora.budget import budget
from core.lora.plan import make_plan
from core.models.inspection import inspect_source
from core.models.source import DEMO_MODEL
from core.spec import Inspection, Knobs, Recipe, Selection
from tests.models.families import CONFIGS, write_config

KEYS = {"trainable", "total", "percent", "adapter_bytes", "by_component", "target_modules", "target_parameters"}
KEYS |= {"full_modules", "memory", "advice", "notes"}
ATTENTION = "model.vision_model.encoder.layers.{}.self_attn.{}_proj"


@cache
def demo() -> Inspection:
    return inspect_source(DEMO_MODEL)


def run(capsys, *arguments: str) -> dict:
    assert cli.main(["budget", "demo", *arguments, "--no-memory", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def cost(selection: Selection, recipe: Recipe) -> int:
    return budget(demo(), make_plan(demo(), selection, recipe)).trainable


def test_without_a_word_of_what_learns_one_sentence_and_a_hint_are_said(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["budget", "demo"])
    assert ended.value.code == 2
    sentence, hint = capsys.readouterr().err.splitlines()
    assert sentence.startswith("What learns was not said")
    assert hint == "python -m core.cli budget --help lists all flags."


def test_budget_is_one_object(capsys):
    made = run(capsys, "--targets", "vision.attention,language.mlp", "--rank", "16")
    assert set(made) == KEYS
    assert made["trainable"] == sum(made["by_component"].values()) > 0
    assert made["percent"] == pytest.approx(100 * made["trainable"] / made["total"])
    assert all("attn" in name or "mlp" in name for name in made["target_modules"])
    assert made["trainable"] == cost(Selection(cells=("vision.attention", "language.mlp")), Recipe(16))


def test_every_flag_has_its_part_in_the_plan(capsys):
    made = run(
        capsys,
        *("--targets", "vision,language.mlp", "--layers", "vision=-2:,language=0:1", "--full", "projector"),
        *("--rank", "4,vision=2", "--dropout", "language=0.1", "--method", "dora"),
    )
    components = {"vision": Knobs(rank=2), "language": Knobs(dropout=0.1)}
    selection = Selection(
        cells=("vision.attention", "vision.mlp", "language.mlp"),
        layers={"vision": (-2, None), "language": (0, 1)},
        full=("projector",),
    )
    assert made["trainable"] == cost(selection, Recipe(4, 8, method="dora", components=components))
    assert made["full_modules"] == ["model.connector.modality_projection.proj"]
    assert {name.split(".")[4] for name in made["target_modules"] if "vision" in name} == {"3", "4"}


def test_a_preset_is_a_choice_and_says_what_differs(capsys):
    made = run(capsys, "--preset", "few_shot")
    assert made["target_modules"][:2] == [ATTENTION.format(0, "v"), ATTENTION.format(0, "q")]
    assert any("cross-attention" in note for note in made["notes"])
    assert not [advice for advice in made["advice"] if advice["severity"] == "warning"]
    assert run(capsys, "--preset", "few_shot", "--rank", "4")["trainable"] * 2 == made["trainable"]


def test_a_file_is_a_choice_and_flags_change_it(capsys, tmp_path):
    assert cli.main(["export", "demo", "--targets", "vision", "--rank", "8", "--format", "yaml"]) == 0
    (tmp_path / "plan.yaml").write_text(capsys.readouterr().out)
    config = ("--config", str(tmp_path / "plan.yaml"))
    whole = run(capsys, *config)
    assert whole["trainable"] == cost(Selection(cells=("vision.attention", "vision.mlp")), Recipe(8))
    assert run(capsys, *config, "--rank", "16")["trainable"] == 2 * whole["trainable"]
    assert run(capsys, *config, "--targets", "language.mlp")["by_component"]["vision"] == 0
    assert run(capsys, *config, "--preset", "language")["by_component"]["vision"] == 0


def test_a_relabelled_module_counts_where_the_person_says(capsys):
    made = run(capsys, "--targets", "vision", "--relabel", "model.connector=vision")
    assert "model.connector.modality_projection.proj" in made["target_modules"]
    assert made["by_component"]["vision"] == made["trainable"]


def test_guessed_parts_that_learn_are_said(monkeypatch, capsys):
    unsure = replace(demo(), modules=tuple(replace(m, confidence="low") for m in demo().modules))
    monkeypatch.setattr(cli_choice, "inspect_source", lambda *_: unsure)
    made = run(capsys, "--targets", "projector")
    assert "model.connector=projector" in made["notes"][0]
    assert made["advice"][0]["key"] == "guessed"
    assert run(capsys, "--targets", "projector", "--relabel", "model.connector=projector")["notes"] == []


def test_the_learning_rate_begins_where_it_is_usual_for_the_size(capsys):
    keys = {advice["key"] for advice in run(capsys, "--targets", "language")["advice"]}
    assert not keys & {"rate_low", "rate_high"}
    made = run(capsys, "--targets", "language", "--learning-rate", "1e-7")
    assert "rate_low" in {advice["key"] for advice in made["advice"]}
    vision = run(capsys, "--targets", "all", "--learning-rate", "vision=0.9")
    assert "of vision" in next(advice["title"] for advice in vision["advice"] if advice["key"] == "rate_high")


def test_what_is_trained_in_full_takes_the_rate_that_the_advice_names(capsys):
    asked = ("--targets", "language", "--full", "projector")
    advice = {each["key"]: each for each in run(capsys, *asked)["advice"]}
    better = advice["full_rate"]["change"]["recipe"]["full_learning_rate"]
    taken = run(capsys, *asked, "--full-learning-rate", str(better))
    assert "full_rate" not in {each["key"] for each in taken["advice"]}


def test_layers_narrow_a_preset_of_single_modules_as_well(capsys):
    names = run(capsys, "--preset", "vqa", "--layers", "vision=-2:")["target_modules"]
    layers = {name.split(".")[4] for name in names if "vision_model" in name}
    assert layers == {"3", "4"}
    assert sum("text_model" in name for name in names) == 12, "language keeps all of its layers"


def test_a_card_is_found_by_words_of_its_name():
    assert card_named("H100").name == "NVIDIA H100, 80 GB"
    assert card_named(None).bytes > 0
    for text, reason in (("a100", "several"), ("abacus", "not in the list")):
        with pytest.raises(SpecError, match=reason):
            card_named(text)


@pytest.mark.slow
def test_the_memory_of_a_step_has_named_terms(capsys):
    arguments = ["budget", "demo", "--targets", "language", "--image-size", "48", "--tokens", "16", "--json"]
    peaks = []
    for batch in ("2", "8"):
        assert cli.main([*arguments, "--batch", batch]) == 0
        memory = json.loads(capsys.readouterr().out)["memory"]
        assert memory["peak_bytes"] == sum(memory["terms"].values()) > 4 * demo().total_params
        peaks.append(memory["peak_bytes"])
    assert peaks[0] < peaks[1]
    assert cli.main([*arguments, "--batch", "2", "--card", "l4"]) == 0
    on_card = json.loads(capsys.readouterr().out)["memory"]
    assert (on_card["verdict"], on_card["precision"], on_card["card"]) == ("fits", "bf16", "NVIDIA L4, 24 GB")
    assert cli.main([*arguments[:-1], "--batch", "2"]) == 0
    assert "at the peak of a step in fp32" in capsys.readouterr().out


def test_no_estimate_is_said(monkeypatch, capsys, tmp_path):
    import core.memory.verdict as module
    from core.errors import InspectionError

    def cannot(*_: object) -> None:
        raise InspectionError("A step was to be run", "this model takes no pictures", "Take another")

    monkeypatch.setattr(module, "verdict", cannot)
    folder = str(write_config(tmp_path / "model", CONFIGS["llava"]))
    assert cli.main(["budget", folder, "--targets", "language", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["memory"] is None
    assert "takes no pictures" in made["notes"][-1]


def test_budget_for_reading(capsys):
    arguments = ["budget", "demo", "--targets", "language", "--full", "projector", "--no-memory"]
    assert cli.main([*arguments, "--method", "dora"]) == 0
    shown = capsys.readouterr()
    assert "parameters learn" in shown.out
    assert "28 modules, 1 module in full, rank 16 (most tasks)" in shown.out
    assert "Note: DoRA takes longer for each step." in shown.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--targets", "language", "--rank", "0"], "rank"),
        (["--targets", "language", "--rank", "1000000"], "rank"),
        (["--targets", "language", "--rank", "many"], "is no whole number"),
        (["--targets", "language", "--rank", "visoin=4"], "no component"),
        (["--targets", ""], "nothing is selected"),
        (["--targets", "cross_attention"], "matches nothing"),
        (["--targets", "everything.else"], "a component and a role"),
        (["--targets", "language", "--alpha", "nan"], "alpha"),
        (["--targets", "language", "--layers", "language=7"], "no range of layers"),
        (["--targets", "language", "--layers", "language=a:b"], "no range of layers"),
        (["--targets", "language", "--layers", "language=90:"], "none of them is meant"),
        (["--targets", "language", "--start", "pissa,olora"], "one place only"),
        (["--targets", "language", "--start", "magic"], "none of this name"),
        (["--targets", "language", "--method", "dora", "--lora-bias"], "LoRA bias"),
        (["--targets", "language", "--relabel", "nowhere=vision"], "no such module"),
        (["--targets", "language", "--full", "nothing"], "no such component"),
        (["--preset", "magic"], "There are: language"),
        (["--config", "missing.yaml"], "Check the path"),
        (["--targets", "language", "--image-size", "wide"], "no size"),
    ],
)
def test_budget_refuses_with_a_sentence(arguments, sentence, capsys):
    assert cli.main(["budget", "demo", *arguments, "--json"]) == 1
    shown = capsys.readouterr()
    assert not shown.out
    assert sentence in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("arguments", [[], ["--rank", "4"], ["--targets", "language", "--method", "magic"]])
def test_a_wrong_call_has_the_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["budget", "demo", *arguments])
    assert ended.value.code == 2
    assert "--targets" in capsys.readouterr().err


def test_numbers_and_ranges_by_component():
    assert per_component(None, int, "--rank") == (None, {})
    assert per_component("8", int, "--rank") == (8, {})
    assert per_component("cross-attention=0.5,1", float, "--alpha") == (1.0, {"cross_attention": 0.5})
    assert parse_layers("vision=:4") == {"vision": (None, 4)}
    assert image_size("1280x720") == (720, 1280)
    with pytest.raises(PlanError, match="no component"):
        parse_layers("eyes=1:2")
    with pytest.raises(SpecError):
        image_size("4xx")
    assert image_size("4") == (4, 4)
