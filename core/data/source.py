"""Data sets on disk: a folder of pictures with one JSON line a row.

    dataset.json                title, story, licence, attribution, question, kind (all may be missing)
    train/metadata.jsonl        {"file_name": "0001.png", "question": "Which digit is it?", "answer": "7"}
    train/0001.png
    heldout/metadata.jsonl      rows that are only looked at; without this folder a tenth of the pictures is held out

A folder without `train/` may hold `metadata.jsonl` and the pictures directly.
What it does not do: fetch anything, follow a link out of the folder, or open a picture before it is asked for.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from core.data.pictures import PictureFile, picture_header
from core.data.rows import Dataset, Row, ask
from core.errors import DataError, SourceNotFound, SourceRefused
from core.spec import Source

DEMO_DATA = Path(__file__).resolve().parents[2] / "assets" / "demo" / "data"
ROWS_FILE = "metadata.jsonl"
MAX_LINE = 1_000_000
"""Longest line (bytes) of a rows file."""
HELD_OUT_SHARE = 0.1
HELD_OUT_SEED = 0
"""Fixed, so that two jobs on one folder are judged on the same rows."""


def load_dataset(source: Source) -> Dataset:
    """The rows of a demo data set or of a folder.

    Raises:
        SourceNotFound: nothing of that name is there.
        SourceRefused: a picture lies outside the folder.
        DataError: a line cannot be used; the sentence names file and line.
    """
    folder = _folder_of(source)
    about = _about(folder)
    train, heldout = _splits(folder)
    return Dataset(
        name=folder.name,
        title=str(about.get("title") or folder.name),
        story=str(about.get("story") or ""),
        licence=str(about.get("licence") or ""),
        attribution=str(about.get("attribution") or ""),
        train=train,
        heldout=heldout,
        pictures={picture.name: picture for row in (*heldout, *train) for picture in row.pictures},
    )


def demo_datasets() -> tuple[Dataset, ...]:
    """The data sets that come with the app, in the order of their names; empty when none is there."""
    folders = sorted(path.parent for path in DEMO_DATA.glob("*/dataset.json"))
    return tuple(load_dataset(Source("demo", folder.name)) for folder in folders)


def check_pictures(rows: Iterable[Row]) -> None:
    """Looks at every picture's header, so that a job does not end at its thousandth row.

    Raises:
        DataError: one is no picture, or too large. Damage behind the header shows only when it is opened.
    """
    for picture in dict.fromkeys(picture for row in rows for picture in row.pictures):
        if isinstance(picture, PictureFile):
            with picture_header(picture.path):
                pass


def _folder_of(source: Source) -> Path:
    """The folder that a source names, with links resolved."""
    asked = f"The data “{source.name[:200]}” was asked for"
    if "\0" in source.name:
        raise SourceNotFound(asked, "a name holds no NUL sign", "Check the name")
    if source.kind == "hub":
        raise SourceNotFound(asked, "data sets of the Hub cannot be used yet", "Download it and give its folder")
    if source.kind == "demo":
        folder = (DEMO_DATA / source.name).resolve()
        if folder.parent != DEMO_DATA.resolve() or not folder.is_dir():
            known = ", ".join(sorted(path.parent.name for path in DEMO_DATA.glob("*/dataset.json"))) or "none"
            raise SourceNotFound(asked, "no demo data set has this name", f"There are: {known}")
        return folder
    folder = Path(source.name).expanduser().resolve()
    if not folder.is_dir():
        raise SourceNotFound(asked, "there is no such folder", "Check the path")
    return folder


def _about(folder: Path) -> dict[str, Any]:
    """What `dataset.json` says; nothing when it is missing."""
    path = folder / "dataset.json"
    if not path.exists():
        return {}
    try:
        about = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError) as error:
        raise DataError("dataset.json was read", f"it is not JSON ({error})", "Correct it or take it away") from None
    if not isinstance(about, dict):
        raise DataError("dataset.json was read", "it is not an object with keys", "Write {} around its keys")
    return about


def _splits(folder: Path) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Train rows and held-out rows, the latter taken out of the train rows when there is no folder for them."""
    learn = folder / "train" if (folder / "train").is_dir() else folder
    train = tuple(_rows(folder, learn))
    if (folder / "heldout").is_dir():
        heldout = tuple(_rows(folder, folder / "heldout"))
        _refuse_shared(folder, train, heldout)
    else:
        train, heldout = _hold_out(train)
    for name, rows in (("train on", train), ("hold out", heldout)):
        if not rows:
            raise DataError(
                f"The data “{folder.name}” was read",
                f"it has no rows to {name}",
                "Give at least two rows, about two pictures",
            )
    return train, heldout


def _hold_out(rows: tuple[Row, ...]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """The rows of a seeded tenth of the pictures, at least one, kept from training: no picture is on both sides."""
    pictures = list(dict.fromkeys(row.picture for row in rows))
    count = min(len(pictures), max(1, round(HELD_OUT_SHARE * len(pictures))))
    chosen = set(random.Random(HELD_OUT_SEED).sample(pictures, count))
    train = tuple(row for row in rows if row.picture not in chosen)
    return train, tuple(row for row in rows if row.picture in chosen)


def _refuse_shared(root: Path, train: tuple[Row, ...], heldout: tuple[Row, ...]) -> None:
    """Raises DataError when a held-out picture is also trained on: the result would flatter."""
    learned = {row.picture for row in train}
    shared = next((row.picture for row in heldout if row.picture in learned), None)
    if shared is not None:
        raise DataError(
            f"The data “{root.name}” was read",
            f"“{shared.name}” is both trained on and held out",
            "Take its rows out of train/metadata.jsonl or out of heldout/metadata.jsonl",
        )


def _rows(root: Path, folder: Path) -> Iterator[Row]:
    """The rows of one split, line by line.

    Raises:
        DataError, SourceRefused: with the file and the line in the sentence.
    """
    path = folder / ROWS_FILE
    name = path.relative_to(root).as_posix()
    if not path.is_file():
        raise DataError(
            f"The data “{root.name}” was read",
            f"{name} is missing",
            'Write one line for each picture: {"file_name": "1.png", "question": "What is it?", "answer": "a cat"}',
        )
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), start=1):
            if line.strip():
                yield _row(root, folder, line, f"Line {number} of {name} was read")


def _row(root: Path, folder: Path, line: bytes, asked: str) -> Row:
    """One line as a row; `asked` opens the sentence of every error."""
    if len(line) > MAX_LINE:
        raise DataError(asked, f"it is longer than {MAX_LINE:,} bytes", "Break the file into one row a line")
    try:
        data = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(asked, f"it is not JSON in UTF-8 ({error})", "Correct the line") from None
    if not isinstance(data, dict):
        raise DataError(asked, "it is not an object", 'Write {"file_name": …, "question": …, "answer": …}')
    values = [_text(data, key, asked) for key in ("file_name", "question", "answer")]
    path = _picture(root, folder, values[0], asked)
    return ask(PictureFile(path, path.relative_to(root).as_posix()), values[1], values[2])


def _text(data: dict[str, Any], key: str, asked: str) -> str:
    """The text under a key, trimmed."""
    value = data.get(key)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise DataError(asked, f"“{key}” is missing or is not text", f"Add “{key}”")
    if not value.strip():
        raise DataError(asked, f"“{key}” is empty", "Fill it in or take the line away")
    return value.strip()


def _picture(root: Path, folder: Path, file_name: str, asked: str) -> Path:
    """The picture's real path, which lies inside the data folder."""
    if "://" in file_name or "\\" in file_name or "\0" in file_name or Path(file_name).is_absolute():
        raise SourceRefused(asked, "“file_name” is not a plain name", "Put the picture beside metadata.jsonl")
    path = (folder / file_name).resolve()
    if not path.is_relative_to(root):
        raise SourceRefused(asked, "its picture lies outside the data folder", "Put the picture into the folder")
    if not path.is_file():
        raise DataError(asked, f"the picture “{file_name}” is not there", "Add the picture or take the line away")
    return path
