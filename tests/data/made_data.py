"""Small data sets, made for a test: pictures that no two are alike, and tables about them."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from core.data.files.entries import Entry
from core.data.files.tree import tree_of_folder
from core.data.formats.recognition import recognise
from core.spec import Finding, Reading, Split, from_dict, to_dict

VQA = Reading("vqa", ("rows.jsonl",), {"image": "image", "question": "question", "answer": "answer"})
ANSWERS = ("a cat", "a dog", "a bird", "a fish")


@dataclass(frozen=True)
class BytesEntry(Entry):
    """A file that is held in memory."""

    content: bytes = field(repr=False)

    def open(self) -> BinaryIO:
        return BytesIO(self.content)


def picture(number: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A soft pattern of colours, another one for each number."""
    dice = random.Random(number)
    spots = Image.frombytes("RGB", (6, 6), bytes(dice.randrange(256) for _ in range(108)))
    return spots.resize(size, Image.Resampling.BICUBIC)


def line(number: int, **changes: object) -> dict[str, object]:
    """A row about the picture of this number."""
    row = {"image": f"{number}.png", "question": "What is it?", "answer": ANSWERS[number % len(ANSWERS)]}
    return {**row, **changes}


def make(folder: Path, rows: Iterable[object], pictures: int = 0, name: str = "rows.jsonl") -> Path:
    """A folder with these rows (as they are where they are bytes) and the first pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = list(rows)
    text = b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)
    (folder / name).write_bytes(text + b"\n")
    for number in range(pictures or len(rows)):
        picture(number).save(folder / f"{number}.png")
    return folder


def make_csv(folder: Path, rows: list[dict[str, object]]) -> Path:
    """The same as a CSV file beside its pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def held_out(share: float = 0.2, **more: object) -> Split:
    """A split by share."""
    return Split(share=share, **more)


def guess(folder: Path) -> Reading:
    """How the folder is understood."""
    return recognise(tree_of_folder(folder)).reading


def pressed(reading: Reading, finding: Finding) -> Reading:
    """The reading after a finding's button, as the page makes it: lists are added to, values put into objects."""
    before = to_dict(reading)
    changed: dict[str, Any] = {}
    for name, value in finding.change.items():
        if isinstance(value, (list, tuple)):
            changed[name] = [*before[name], *value]
        else:
            changed[name] = {**before[name], **value} if isinstance(value, dict) else value
    return from_dict(Reading, before | changed)
