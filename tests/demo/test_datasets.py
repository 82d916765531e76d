"""The demo data sets: well formed, no picture in two splits, small, licensed, and the same bytes again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from core.demo.datasets import RECIPES, write_data_set
from core.demo.scenes import SHAPES

DATA = Path(__file__).parents[2] / "assets" / "demo" / "data"
NAMES = sorted(p.name for p in DATA.iterdir() if p.is_dir())
KEYS = {"name", "title", "story", "licence", "attribution", "question", "kind"}


def rows(name: str, split: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (DATA / name / split / "metadata.jsonl").read_text("utf-8").splitlines()]


def hashes(name: str, split: str) -> list[str]:
    files = [DATA / name / split / r["file_name"] for r in rows(name, split)]
    return [hashlib.sha256(Image.open(f).convert("RGB").tobytes()).hexdigest() for f in files]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_at_least_three_data_sets_are_there() -> None:
    assert {"digits", "outline", "house-format"} <= set(NAMES) <= set(RECIPES)


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_says_what_it_is_and_under_which_licence(name: str) -> None:
    about = json.loads((DATA / name / "dataset.json").read_text("utf-8"))
    assert set(about) == KEYS
    assert all(about.values())
    assert about["name"] == name
    assert "\n" not in about["story"]
    licence = (DATA / name / "LICENSE").read_text("utf-8")
    assert f"SPDX-License-Identifier: {about['licence']}" in licence


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", ["train", "heldout"])
def test_rows_are_whole_and_every_picture_belongs_to_one(name: str, split: str) -> None:
    found = rows(name, split)
    assert all(set(r) == {"file_name", "question", "answer"} and all(r.values()) for r in found)
    files = [r["file_name"] for r in found]
    assert sorted(files) == sorted(p.name for p in (DATA / name / split).glob("*.png"))
    assert len(files) == (RECIPES[name].train if split == "train" else RECIPES[name].heldout)


@pytest.mark.parametrize("name", NAMES)
def test_no_picture_is_there_twice(name: str) -> None:
    both = hashes(name, "train") + hashes(name, "heldout")
    assert len(both) == len(set(both))


@pytest.mark.parametrize("name", NAMES)
def test_a_data_set_is_small(name: str) -> None:
    assert sum(p.stat().st_size for p in (DATA / name).rglob("*") if p.is_file()) < 1_500_000


def test_every_answer_of_the_heldout_split_is_learnable_from_the_training_split() -> None:
    for name in NAMES:
        assert {r["answer"] for r in rows(name, "heldout")} <= {r["answer"] for r in rows(name, "train")}


def test_outline_answers_are_words_that_the_model_knows() -> None:
    assert {r["answer"] for r in rows("outline", "train")} == set(SHAPES)


def test_the_generator_writes_the_same_bytes_again(tmp_path: Path) -> None:
    again = write_data_set("house-format", tmp_path)
    assert tree(again) == tree(DATA / "house-format")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "outline"])
def test_the_generator_writes_the_same_bytes_again_for_the_others(name: str, tmp_path: Path) -> None:
    if name == "digits":
        pytest.importorskip("sklearn")
    assert tree(write_data_set(name, tmp_path)) == tree(DATA / name)


def test_emoji_without_the_package_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="--emoji-package"):
        write_data_set("emoji", tmp_path)
