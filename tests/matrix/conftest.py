"""Data for the matrix: plain pictures and the name of their colour."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from PIL import Image

from core.spec import Source
from tests.matrix.families import EXPERTS, FAMILIES
from tests.matrix.line import Base, written

COLOURS = {"red": (220, 30, 30), "blue": (40, 60, 220)}


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Six pictures to learn from and four held out."""
    folder = tmp_path_factory.mktemp("colours")
    for split, count in (("train", 6), ("heldout", 4)):
        (folder / split).mkdir()
        lines = []
        for index in range(count):
            answer = list(COLOURS)[index % 2]
            red, green, blue = COLOURS[answer]
            Image.new("RGB", (48, 48), (red, green + 10 * index, blue)).save(folder / split / f"{index}.png")
            lines.append({"file_name": f"{index}.png", "question": "Colour?", "answer": answer})
        (folder / split / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Source("folder", str(folder))


@pytest.fixture(scope="session")
def base_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Base]:
    """Writes a family's model and processor, once."""
    made: dict[str, Base] = {}

    def make(name: str) -> Base:
        if name not in made:
            made[name] = written(name, (FAMILIES | EXPERTS)[name](), tmp_path_factory.mktemp(name) / "base")
        return made[name]

    return make
