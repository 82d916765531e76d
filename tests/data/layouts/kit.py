"""What small copies of layouts are made with.

Every layout is written into a folder by `write`; `LAYOUTS` says the format, the columns and the first row expected.
Where a layout is that of a data set, its name says which; the texts are made up.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

Files = dict[str, Any]


@cache
def png(number: int = 0, size: tuple[int, int] = (32, 32)) -> bytes:
    """A small picture; each number has its own."""
    file = BytesIO()
    Image.new("RGB", size, (number * 37 % 256, number * 91 % 256, number * 53 % 256)).save(file, "PNG")
    return file.getvalue()


def pictures(*names: str) -> Files:
    return {name: png(number) for number, name in enumerate(names)}


def numbered(form: str, count: int, start: int = 1) -> Files:
    return pictures(*(form.format(number) for number in range(start, start + count)))


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def parquet(columns: dict[str, list[Any]]) -> bytes:
    import pyarrow
    from pyarrow.parquet import write_table

    file = BytesIO()
    write_table(pyarrow.table(columns), file)
    return file.getvalue()


def hub_parquet(columns: dict[str, list[Any]], features: dict[str, Any]) -> bytes:
    """As the Hub's own files are, with the features in the schema."""
    from datasets import Dataset, Features

    file = BytesIO()
    Dataset.from_dict(columns, features=Features(features)).to_parquet(file)
    return file.getvalue()


@dataclass(frozen=True)
class Layout:
    name: str
    files: Callable[[], Files]
    format: str
    columns: dict[str, str]
    rows: int
    question: str
    answer: str
    shown: tuple[str, ...] = ()
    """Names of the first row's pictures."""
    split: str = "share"
    sides: tuple[int, int] = (0, 0)
    """Rows that are said to be trained on, and held out."""
    trouble: dict[str, int] = field(default_factory=dict)


def write(layout: Layout, root: Path) -> Path:
    for name, content in layout.files().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode() if isinstance(content, str) else None
        path.write_bytes(json.dumps(content).encode() if data is None else data)
    return root


SAID = (
    "A child in a pink dress climbs up a set of stairs",
    "Two dogs of different breeds look at each other on the road",
    "A man in a blue shirt stands on a ladder cleaning a window",
    "A girl with two pigtails paints in front of a rainbow of colours",
    "Three people sit on a bench and eat ice cream in the sun",
    "A black cat sleeps on top of an old red car",
)


DESCRIBE, WHAT, READ = "Describe the picture.", "What is in the picture?", "Read the text in the picture."
BELONGS = "Does this text belong to the picture?"
