"""Values on disk: a reader sees a whole one or the one before, whoever writes and whatever fails."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from core.cli.jobs import demo_spec
from core.errors import PlanError, SpecError
from core.spec import (
    Knobs,
    Override,
    Plan,
    Recipe,
    Selection,
    Settings,
    Spec,
    Status,
    from_dict,
    from_json,
    read,
    to_dict,
    to_json,
    write,
)


def test_threads_that_write_one_file_do_not_disturb_each_other(tmp_path: Path):
    file = tmp_path / "status.json"

    def write_often(number: int) -> None:
        for step in range(50):
            write(Status(state="running", step=100 * number + step), file)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write_often, range(8)))
    assert read(Status, file).step % 100 == 49
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_a_full_disk_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "status.json"
    write(Status(state="running"), file)

    def full(self: Path, text: str, **_: object) -> None:
        self.write_bytes(text[:5].encode())
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write(Status(state="finished"), file)
    monkeypatch.undo()
    assert read(Status, file).state == "running"
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


@pytest.mark.parametrize("version", [0, 2])
def test_a_spec_of_another_version_is_refused(version: int):
    plain = to_dict(demo_spec("digits"))
    assert from_dict(Spec, plain).schema_version == 1
    with pytest.raises(SpecError, match=f"version {version} was read"):
        from_dict(Spec, plain | {"schema_version": version})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"steps": -5}, "“How long” is -5 steps: it must be from 1 to 10,000,000. 100 to 500 is a usual start."),
        ({"steps": None, "epochs": 2e4}, "“How long” is 20,000 epochs: it must be from 0.001 to 10,000."),
        ({"accumulation": 0}, "“Accumulation” is 0: it must be from 1 to 4,096. 1 is usual."),
        ({"learning_rate": 2.5}, "“Learning rate” is 2.5: it must be from 1e-09 to 1."),
        ({"learning_rate": float("nan")}, "“Learning rate” is nan: "),
        ({"warmup_share": 1.0000001}, "“Warm-up” is 1.0000001: it must be from 0 to 1."),
        ({"max_grad_norm": float("inf")}, "“Clip the gradient at” is inf: it must be from 1e-06 to 1,000,000."),
        ({"seed": 10**400}, "it must be from 0 to 4,294,967,295."),
        ({"max_new_tokens": 5000}, "“Longest answer” is 5,000 tokens: it must be from 1 to 4,096."),
        ({"max_tokens": 3}, "“Longest row” is 3 tokens: it must be from 16 to 10,000,000."),
        (
            {"augment": ["blur", "blur"]},
            "“Change the pictures” is blur, blur: a way of changing them stands there twice.",
        ),
    ],
)
def test_a_setting_out_of_range_is_one_plain_sentence(wrong: dict[str, Any], words: str):
    with pytest.raises(SpecError) as caught:
        from_dict(Settings, {"steps": 10} | wrong)
    assert words in str(caught.value)


@pytest.mark.parametrize("alpha", [0, -1.0, 65_537, 1e300, float("nan"), float("inf")])
def test_an_alpha_out_of_range_is_refused(alpha: float):
    assert Plan(("a",), alpha=65_536).alpha == 65_536
    with pytest.raises(PlanError, match="above 0 and at most 65,536"):
        Plan(("a",), alpha=alpha)


def test_a_spec_of_the_first_release_is_read_with_todays_defaults():
    text = """{"name": "n", "model": {"kind": "demo", "name": "demo-vlm", "revision": null},
        "data": {"kind": "demo", "name": "digits", "revision": null},
        "selection": {"cells": ["vision.attention"], "include": [], "exclude": []},
        "plan": {"target_modules": ["a.b"], "rank": 8, "alpha": 16.0, "dropout": 0.0},
        "settings": {"epochs": null, "steps": 120}, "trainable": 10, "schema_version": 1}"""
    spec = from_json(Spec, text)
    assert spec.plan == Plan(("a.b",), 8, 16.0)
    assert spec.selection == Selection(("vision.attention",))
    assert (spec.settings.quantization, spec.settings.checkpointing) == ("none", None)


@pytest.mark.parametrize(
    "value",
    [
        Selection(
            ("vision.mlp",), layers={"vision": (-8, None), "language": (None, 4)}, relabels={"模型.層": "vision"}
        ),
        Recipe(components={"vision": Knobs(rank=2), "projector": Knobs(learning_rate=1e-4)}, full_learning_rate=None),
        Plan(("a",), overrides=(Override("vision", ("a",), 2, 4.0, 0.0),), full_modules=("b",)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_written_is_read_as_it_was(value: Any):
    assert from_json(type(value), to_json(value)) == value
