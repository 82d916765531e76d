"""A plan in other tools' words is the same plan: read back, matched whole, and honest about what is missing."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.data.rows import PictureInMemory, ask
from core.errors import PlanError, SpecError
from core.export.choice_file import parse_choice, read_choice
from core.export.plan_export import FORMATS, Context, Exported, Format, export
from core.lora.plan import make_plan, peft_config
from core.lora.selection import available_cells
from core.models.inspection import inspect_model
from core.spec import Inspection, Knobs, Plan, Recipe, Selection, Settings, Source, to_dict
from core.training.trainer import ShuffledRows
from tests.data.made_data import picture
from tests.models.families import FAMILIES, tiny_model

ATTENTION = Selection(cells=("vision.attention", "language.attention"))
RICH = Selection(
    cells=("vision.attention", "language.attention", "language.mlp"),
    layers={"vision": (-2, None), "language": (0, 2)},
    full=("projector",),
)
RICH_RECIPE = Recipe(
    8, 12, 0.1, "dora", components={"vision": Knobs(rank=4, learning_rate=1e-3)}, full_learning_rate=1e-5
)


OTHER_SETTINGS = Settings(
    epochs=1.5,
    steps=None,
    batch_size=3,
    accumulation=2,
    learning_rate=1e-5,
    schedule="constant",
    warmup_share=0.1,
    weight_decay=0.01,
    max_grad_norm=0.5,
    seed=7,
    eval_every=5,
    eval_rows=6,
    final_rows=8,
    sample_count=2,
    max_new_tokens=64,
    checkpointing=True,
    quantization="4bit",
    max_tokens=512,
    augment=("jpeg", "blur"),
    optimizer="paged_adamw_8bit",
    lora_plus=16.0,
    warmup_steps=3,
    neftune=5.0,
    label_smoothing=0.1,
    precision="bf16",
    attention="eager",
    at_once=1,
    workers=2,
    quantized_part="language",
    order="pictures",
    without=("packing", "kernels"),
    metric="anls",
    patience=3,
    keep="last",
    report_to="tensorboard",
)
"""No setting as usual."""


def inspection(family: str) -> Inspection:
    return inspect_model(tiny_model(family), Source("folder", family))


def exported(
    form: Format,
    selection: Selection = ATTENTION,
    recipe: Recipe | None = None,
    settings: Settings | None = None,
    family: str = "llava",
) -> tuple[Exported, Plan]:
    recipe, made = recipe or Recipe(8, 16), inspection(family)
    context = Context("org/model", selection, recipe, settings or Settings(), "abc123", "my-data", rows=100)
    plan = make_plan(made, selection, recipe)
    return export(plan, made, context, form), plan


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("form", FORMATS)
def test_every_form_is_text_for_every_family(family: str, form: Format):
    made, _ = exported(form, family=family)
    assert made.text.endswith("\n")
    assert not made.text.endswith("\n\n")
    if made.file_name.endswith(".py"):
        ast.parse(made.text)


@pytest.mark.parametrize(
    ("recipe", "selection"),
    [
        (Recipe(8, 16), ATTENTION),
        (RICH_RECIPE, RICH),
        (Recipe(8, 16, method="rslora", lora_bias=True), ATTENTION),
        (Recipe(8, 16, method="adalora"), ATTENTION),
        (Recipe(8, 16, start="eva"), ATTENTION),
        (Recipe(8, 16, start="pissa"), ATTENTION),
    ],
)
def test_pefts_config_is_read_back_to_the_same_config(recipe: Recipe, selection: Selection, tmp_path: Path):
    from peft import AdaLoraConfig, LoraConfig

    made, plan = exported("peft", selection, recipe)
    kind = AdaLoraConfig if recipe.method == "adalora" else LoraConfig
    wanted = peft_config(plan, 120)
    values = json.loads(made.text)
    (tmp_path / "adapter_config.json").write_text(made.text)
    for read in (kind(**values), kind.from_pretrained(str(tmp_path))):
        assert type(read) is type(wanted)
        assert read.to_dict() == wanted.to_dict()


def test_what_pefts_config_cannot_say_is_noted():
    made, _ = exported("peft", RICH, RICH_RECIPE)
    assert made.notes == ("Learning rates of single parts belong to the optimizer, not to this config.",)
    knobs = Recipe(8, 16, 0.1, components={"vision": Knobs(dropout=0.0)})
    assert "one dropout" in exported("peft", ATTENTION, knobs)[0].notes[0]
    assert exported("peft")[0].notes == ()


def test_adalora_in_epochs_without_rows_is_refused():
    made, recipe = inspection("llava"), Recipe(8, 16, method="adalora")
    settings = Settings(epochs=3, steps=None)
    context = Context("m", ATTENTION, recipe, settings)
    plan = make_plan(made, ATTENTION, recipe)
    for form in ("peft", "script"):
        with pytest.raises(PlanError, match="number of steps"):
            export(plan, made, context, form)
    assert Context("m", ATTENTION, recipe, settings, rows=33).total_steps == 9


@pytest.mark.parametrize("family", FAMILIES)
def test_the_regex_means_the_targets_and_nothing_else(family: str):
    made, plan = exported("regex", family=family)
    (line,) = made.text.splitlines()
    names = [name for name, _ in tiny_model(family).named_modules() if re.fullmatch(line, name)]
    assert names == list(plan.target_modules)


def test_parameters_have_a_regex_of_their_own():
    (projector,) = (name for name in available_cells(inspection("gemma3")) if name.startswith("projector."))
    both, plan = exported("regex", Selection(cells=(projector, "vision.mlp")), family="gemma3")
    modules, parameters = both.text.splitlines()
    names = [name for name, _ in tiny_model("gemma3").named_parameters() if re.fullmatch(parameters, name)]
    assert names == list(plan.target_parameters) != []
    assert re.fullmatch(modules, plan.target_modules[0])
    assert "second line" in both.notes[0]
    alone, _ = exported("regex", Selection(cells=(projector,)), family="gemma3")
    assert alone.text.splitlines() == [parameters]
    assert "No module" in alone.notes[0]


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(quantization="4bit", checkpointing=True),
        Settings(quantization="8bit", epochs=2, steps=None),
    ],
)
@pytest.mark.parametrize(
    ("selection", "recipe"),
    [
        (ATTENTION, Recipe(8, 16)),
        (RICH, RICH_RECIPE),
        (ATTENTION, Recipe(8, 16, method="adalora", components={"vision": Knobs(dropout=0.3)})),
        (ATTENTION, Recipe(8, 16, start="eva")),
        (ATTENTION, Recipe(8, 16, start="olora")),
    ],
)
def test_the_script_is_clean_python(selection: Selection, recipe: Recipe, settings: Settings, tmp_path: Path):
    made, _ = exported("script", selection, recipe, settings)
    path = tmp_path / "train.py"
    path.write_text(made.text)
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--isolated", "--line-length", "120"]
    checked = [*ruff, "check", *rules, "--select", "E,F,W,B", "--ignore", "E501,E731", str(path)]
    for command in (checked, [*ruff, "format", *rules, "--check", str(path)]):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_script_holds_no_more_than_the_plan_needs():
    plain, _ = exported("script")
    for word in ("AdaLora", "bitsandbytes", "RATES", "DROPOUT", "Eva", "import re\n", "ModulesToSave"):
        assert word not in plain.text
    rich, _ = exported("script", RICH, RICH_RECIPE, Settings(quantization="4bit"))
    for word in ("bitsandbytes", "RATES", "ModulesToSave", "use_dora=True", "REVISION = ", "import re\n"):
        assert word in rich.text


def test_a_hostile_name_stays_a_string():
    hostile = '"""\nimport os; os.system("x")\n"""\\'
    made, recipe = inspection("llava"), Recipe(8, 16)
    context = Context(hostile, ATTENTION, recipe, data=hostile, revision=hostile)
    for form in ("script", "unsloth"):
        tree = ast.parse(export(make_plan(made, ATTENTION, recipe), made, context, form).text)
        assert "os" not in {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
    values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert hostile in values


@pytest.mark.parametrize("family", ["llava", "mllama"])
def test_unsloth_misses_what_its_boxes_do_not_know(family: str):
    towers = Selection(cells=("vision.attention", "vision.mlp", "language.attention", "language.mlp"))
    same, _ = exported("unsloth", towers, family=family)
    assert same.notes == ()
    assert "finetune_mlp_modules=True" in same.text
    joined, _ = exported("unsloth", Selection(cells=(*towers.cells, "projector.mlp")), family=family)
    assert len(joined.notes) == 1
    assert "of projector.mlp" in joined.notes[0]


def test_unsloth_would_train_more_than_was_chosen():
    crossed, _ = exported("unsloth", Selection(cells=("vision.attention", "language.mlp")))
    assert crossed.notes[0].startswith("It trains ")
    assert crossed.notes[0].endswith(".")
    assert "vision.mlp" in crossed.notes[0]
    assert "language.attention" in crossed.notes[0]
    rich, _ = exported("unsloth", RICH, RICH_RECIPE)
    said = "\n".join(rich.notes)
    for word in ("no layer ranges", "vision has rank 4", "Learning rates", "refuses while vision is on", "in full"):
        assert word in said
    assert all(f"# - {note}" in rich.text for note in rich.notes)


@pytest.mark.parametrize(
    ("selection", "recipe", "settings"),
    [
        (ATTENTION, Recipe(16, 32), Settings()),
        (RICH, RICH_RECIPE, Settings(epochs=1.5, steps=None, learning_rate=1e-5)),
        (
            Selection(
                include=("model.language_model.layers.0.mlp.up_proj",), relabels={"model.vision_tower": "vision"}
            ),
            Recipe(method="adalora"),
            Settings(checkpointing=True, schedule="linear"),
        ),
        (ATTENTION, Recipe(16, 32), OTHER_SETTINGS),
        (ATTENTION, Recipe(16, 32), Settings(checkpointing=False, warmup_steps=0, workers=0, epochs=2.0, steps=None)),
    ],
)
def test_yaml_read_back_gives_the_same_plan(selection: Selection, recipe: Recipe, settings: Settings, tmp_path: Path):
    made, plan = exported("yaml", selection, recipe, settings)
    (tmp_path / "plan.yaml").write_text(made.text)
    back = read_choice(tmp_path / "plan.yaml")
    assert (back.selection, back.recipe, back.settings) == (selection, recipe, settings)
    assert (back.model, back.data) == ("org/model@abc123", "my-data")
    assert make_plan(inspection("llava"), back.selection, back.recipe) == plan


def test_no_setting_of_the_round_trip_is_as_usual():
    usual, other = to_dict(Settings()), to_dict(OTHER_SETTINGS)
    assert [name for name in usual if usual[name] == other[name]] == []


def test_the_script_says_the_settings_of_the_training():
    made, _ = exported("script", RICH, RICH_RECIPE, OTHER_SETTINGS)
    ast.parse(made.text)
    for line in (
        "num_train_epochs=1.5",
        "per_device_train_batch_size=1",
        "gradient_accumulation_steps=6",
        'lr_scheduler_type="constant_with_warmup"',
        "warmup_steps=3",
        "weight_decay=0.01",
        "max_grad_norm=0.5",
        'optim="paged_adamw_8bit"',
        "neftune_noise_alpha=5.0",
        "gradient_checkpointing=True",
        'attn_implementation="eager"',
        "bf16 = True",
        "LORA_PLUS = 16.0",
        "label_smoothing=0.1",
        'report_to="tensorboard"',
        "tensorboard bitsandbytes",
        '"model.vision_tower",',
    ):
        assert line in made.text, line
    assert "dataloader_num_workers=2" in exported("script", settings=Settings(workers=2))[0].text
    assert [note for note in made.notes if "last step" not in note] == [
        "The script prepares its rows in its own process, since their pictures are changed in an order."
    ]


def test_the_script_says_when_another_step_becomes_the_adapter():
    assert exported("script", settings=Settings(keep="last"))[0].notes == ()
    for settings in (Settings(), Settings(keep="last", patience=3)):
        (note,) = exported("script", settings=settings)[0].notes
        assert "the weights of its last step become the adapter" in note


@pytest.mark.parametrize("form", ["peft", "unsloth"])
def test_a_form_without_a_trainer_says_what_it_leaves_out(form: Format):
    usual, other = (exported(form, settings=settings)[0].notes for settings in (Settings(), OTHER_SETTINGS))
    said = "\n".join(set(other) - set(usual))
    for word in ("paged_adamw_8bit", "LoRA+ (16)", "noise on the embeddings (5)", "label smoothing (0.1)", "order"):
        assert word in said


@pytest.mark.parametrize("shared", [False, True])
def test_the_script_shuffles_pictures_as_the_worker_does(shared: bool):
    import torch

    from core.export.learning_parts import PICTURES
    from core.training.levers.shared_pictures import ShuffledPictures, sharing

    rows = [ask(PictureInMemory(picture(0), f"{at // 3 if shared else at}.png"), "?", "!") for at in range(12)]
    script: dict[str, Any] = {"torch": torch, "hashlib": hashlib, "SEED": 7}
    exec(PICTURES, script)  # noqa: S102 -- what a person would run
    theirs = script["ShuffledPictures"]([row.pictures[0].name for row in rows])
    known = sharing(rows, None, lambda: None)
    ours = ShuffledPictures(known.keys, 7) if known.pairs else ShuffledRows(12, 7)
    for epoch in range(2):
        theirs.set_epoch(epoch)
        ours.set_epoch(epoch)
        assert list(theirs) == list(ours)


def test_yaml_as_people_write_it():
    text = "selection: {cells: [vision.mlp], layers: {vision: [-8, null]}}\nsettings: {epochs: 3, learning_rate: 1e-4}"
    made = parse_choice(text)
    assert made.selection.layers == {"vision": (-8, None)}
    assert (made.settings.epochs, made.settings.steps, made.settings.learning_rate) == (3, None, 1e-4)
    assert made.recipe == Recipe()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("selection: {cells: [vision.mlp]}\nrecipee: {}", "recipee"),
        ("selection: {cell: [vision.mlp]}", "cell"),
        ("selection: {cells: [vision]}", "vision"),
        ("recipe: {rank: 8}", "selection"),
        ("selection: {cells: []}\nrecipe: {rank: 0}", "Rank 0"),
        ("selection: {cells: []}\nsettings: {steps: many}", "steps"),
        ("- 1\n- 2", "list of keys"),
        ("selection: [", "line 1"),
        ("selection: !!python/object/apply:os.system [ls]", "not YAML"),
    ],
)
def test_yaml_with_a_mistake_is_refused_with_a_sentence(text: str, said: str):
    with pytest.raises(SpecError) as caught:
        parse_choice(text)
    assert said in str(caught.value)


def test_a_missing_or_huge_file_is_refused(tmp_path: Path):
    with pytest.raises(SpecError, match="Check the path"):
        read_choice(tmp_path / "none.yaml")
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    with pytest.raises(SpecError, match="more than"):
        read_choice(huge)
