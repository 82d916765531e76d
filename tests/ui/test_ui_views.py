"""What the islands read: nothing of this machine, and rows that hold all that the exact count needs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from core.data.source import load_dataset
from core.lora.budget import budget
from core.lora.plan import make_plan
from core.lora.selection import available_cells
from core.spec import Inspection, Module, Parameter, Recipe, Selection, Source, from_dict
from tests.ui.parts import DEMO, SPEC, STATUS, assert_nothing_private, make_job, make_studio
from ui import views

PRIVATE = "/srv/private/of-somebody"


def strings(value: Any) -> Iterator[str]:
    """Every text in plain data, keys included."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def assert_no_path(value: Any) -> None:
    for text in strings(json.loads(json.dumps(value, allow_nan=False))):
        assert not text.startswith("/"), text
        assert "/srv" not in text
        assert_nothing_private(text)


def test_of_a_folder_only_its_last_name_is_shown(tmp_path: Path):
    spec = replace(
        SPEC, model=Source("folder", f"{PRIVATE}/my-model"), data=Source("folder", f"{PRIVATE}/my-pictures/")
    )
    folder = make_job(tmp_path / "home", "local", model=spec.model, data=spec.data)
    shown = views.job(spec, STATUS, folder, DEMO)
    assert sum(shown["by_component"].values()) == spec.trainable
    assert_no_path(shown)
    assert (shown["model"], shown["data"]) == ("my-model", "my-pictures")
    row = make_studio(tmp_path).backend.jobs("local")[0]
    line = views.job_line(row, spec, STATUS)
    assert_no_path(line)
    assert line["data"] == "my-pictures"
    opened = views.inspection(replace(DEMO, source=spec.model))
    assert_no_path(opened)
    assert opened["label"] == opened["source"] == "my-model"


def test_data_sets_and_the_device_name_no_place_of_this_machine():
    assert_no_path(views.datasets())
    assert_no_path(views.device())


def test_every_data_card_shows_pictures_that_its_data_set_has():
    cards = views.datasets()
    assert len(cards) >= 4
    for card in cards:
        dataset = load_dataset(Source("demo", card["name"]))
        rows = {(row.picture_name, row.question, row.answer) for row in dataset.train}
        assert {tuple(sample.values()) for sample in card["samples"]} <= rows
        assert len({sample["answer"] for sample in card["samples"]}) == len(card["samples"]) > 1
        assert (card["train"], card["heldout"]) == (len(dataset.train), len(dataset.heldout))
        assert card["licence"]


def read_back(shown: dict[str, Any]) -> Inspection:
    """The inspection from its rows, as assets/js/model.js reads them."""
    names = [field.name for field in fields(Module)]
    rows = [dict(zip(names, row, strict=True)) for row in shown["modules"]]
    held = [field.name for field in fields(Parameter)]
    for row in rows:
        row["parameters"] = [dict(zip(held, each, strict=True)) for each in row["parameters"]]
    modules = tuple(from_dict(Module, row) for row in rows)
    return replace(DEMO, modules=modules, total_params=shown["total_params"])


def test_the_rows_hold_all_that_the_count_needs():
    """The browser counts from the rows alone; tests/browser compares its own arithmetic with the server's."""
    shown = json.loads(json.dumps(views.inspection(DEMO)))
    page = read_back(shown)
    assert page == DEMO
    dice = random.Random(0)
    cells, adaptable = list(available_cells(DEMO)), [module.name for module in DEMO.modules if module.adaptable]
    for _ in range(40):
        chosen = Selection(
            cells=tuple(dice.sample(cells, dice.randint(1, len(cells)))),
            include=tuple(dice.sample(adaptable, dice.randint(0, 5))),
        )
        rank = dice.choice([1, 2, 8, 64, 4096])
        assert budget(page, make_plan(page, chosen, Recipe(rank, 16.0))) == budget(
            DEMO, make_plan(DEMO, chosen, Recipe(rank, 16.0))
        )


def test_every_preset_names_cells_of_the_model_and_the_default_is_among_them():
    shown = views.inspection(DEMO)
    assert shown["default_cells"] in [preset["cells"] for preset in shown["presets"]]
    for preset in shown["presets"]:
        assert preset["cells"]
        assert set(preset["cells"]) <= set(available_cells(DEMO))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("Digits: 8 × 8!", "digits-8-8"),
        ("../../etc/passwd", "etc-passwd"),
        ('a"b\r\nc', "a-b-c"),
        ("數字", "job"),
        ("", "job"),
        ("x" * 500, "x" * 60),
    ],
)
def test_a_job_s_name_becomes_a_file_name_that_every_system_takes(name, file):
    assert views.file_name(name) == file


@pytest.mark.parametrize(("space", "home", "said"), [("a/b", "", True), ("a/b", "/data", False), ("", "", False)])
def test_a_space_without_storage_says_that_nothing_is_kept(monkeypatch, space, home, said):
    monkeypatch.setenv("SPACE_ID", space)
    monkeypatch.setenv("STUDIO_HOME", home)
    assert bool(views.notice()) == said


@pytest.mark.parametrize(
    ("cells", "full", "include", "parts"),
    [
        (("language.mlp", "vision.attention"), ("projector",), (), ["vision", "projector", "language"]),
        ((), (), ("model.text_model.layers.0.mlp.up_proj",), []),
    ],
)
def test_a_jobs_line_tells_it_from_the_next_one(tmp_path: Path, cells, full, include, parts):
    selection = Selection(cells=cells, full=full, include=include)
    spec = replace(SPEC, selection=selection, plan=make_plan(DEMO, selection, Recipe(rank=4, method="rslora")))
    make_job(tmp_path / "home", "local")
    line = views.job_line(make_studio(tmp_path).backend.jobs("local")[0], spec, STATUS)
    assert (line["method"], line["rank"], line["parts"]) == ("rslora", 4, parts)
    assert (line["steps"], line["epochs"]) == (SPEC.settings.steps, None)
