"""A data set by its source: a demo set, a folder read as uploads are, or a set that was stored under its hash.

A folder in the plain format is one JSON line a row; every other form that uploads may have is understood as well:

    dataset.json                title, story, licence, attribution (all may be missing)
    train/metadata.jsonl        {"file_name": "0001.png", "question": "Which digit is it?", "answer": "7"}
    train/0001.png
    heldout/metadata.jsonl      rows that are only looked at; without this folder a tenth of the pictures is held out

What it does not do: fetch anything, follow a link, or open a picture before it is asked for. Copies of a picture under
two names are found by the check of a draft, not here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from core.data import trouble
from core.data.checking import findings
from core.data.checking.splits import Groups, hold_out
from core.data.files.pictures import PictureFile, picture_header
from core.data.files.tree import Tree, tree_of_folder
from core.data.formats.recognition import recognise
from core.data.formats.records import Item, records
from core.data.rows import Dataset, Row, ask
from core.data.storing.stored import StoredPicture, stored
from core.errors import DataError, SourceNotFound, SourceRefused
from core.spec import Format, Reading, Source, Split

DEMO_DATA = Path(__file__).resolve().parents[2] / "assets" / "demo" / "data"
ROWS_FILE = "metadata.jsonl"
PLAIN = ("file_name", "question", "answer")
_REASONS = {
    trouble.MISSING_IMAGE: "the picture “{detail}” is not there",
    trouble.UNSAFE_PATH: "its picture is refused, {detail}",
    trouble.NO_IMAGE: "it has no picture",
    trouble.TEXT_ONLY: "“file_name” is missing",
    trouble.IMAGE_COUNT: "it has another number of pictures than its text says, {detail}",
    trouble.EMPTY_QUESTION: "its question is empty",
    trouble.EMPTY_ANSWER: "its answer is empty",
    trouble.BAD_TURNS: "its turns cannot be trained, {detail}",
    trouble.BAD_VALUE: "it holds something else than its columns should, {detail}",
    trouble.UNKNOWN_SPLIT: "its side is not known, {detail}",
}
"""Why a row of a folder cannot be used; for other kinds of trouble the detail says it."""


def load_dataset(source: Source, sets: Path | None = None) -> Dataset:
    """The rows of a demo set, of a folder, or of a stored set, which are read as they are needed.

    Args:
        source: what is asked for.
        sets: where stored sets lie: the owner's, or those that a job keeps.

    Raises:
        SourceNotFound: nothing of that name is there.
        SourceRefused: a picture lies outside the folder.
        DataError: a row cannot be used; the sentence names file and line.
    """
    asked = f"The data “{source.name[:200]}” was asked for"
    if "\0" in source.name:
        raise SourceNotFound(asked, "a name holds no NUL sign", "Check the name")
    if source.kind == "stored":
        if sets is None:
            raise SourceNotFound(asked, "stored sets belong to their owner", "Choose one of your own")
        return stored(sets, source.name)
    if source.kind == "hub":
        raise SourceNotFound(asked, "a data set of the Hub is brought in first", "Bring it in as your data")
    return _demo(source.name, asked) if source.kind == "demo" else _folder(source.name, asked)


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
        if not isinstance(picture, StoredPicture):  # those were opened before they were stored
            with picture_header(picture.path if isinstance(picture, PictureFile) else picture.read(), picture.name):
                pass


def _demo(name: str, asked: str) -> Dataset:
    """A set that comes with the app; nothing in it has to be guessed or checked."""
    folder = DEMO_DATA / name
    if Path(name).name != name or not (folder / "dataset.json").is_file():
        known = ", ".join(sorted(path.parent.name for path in DEMO_DATA.glob("*/dataset.json"))) or "none"
        raise SourceNotFound(asked, "no demo data set has this name", f"There are: {known}")
    train, heldout = tuple(_shipped(folder, "train")), tuple(_shipped(folder, "heldout"))
    return _made(folder.name, json.loads((folder / "dataset.json").read_bytes()), train, heldout)


def _shipped(folder: Path, side: str) -> Iterator[Row]:
    text = (folder / side / ROWS_FILE).read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        name, question, answer = map(json.loads(line).__getitem__, PLAIN)
        picture = PictureFile(folder / side / name, f"{side}/{name}")
        yield ask(picture, question, answer, origin=f"{side}/{ROWS_FILE}, line {number}")


def _made(
    name: str, about: dict[str, Any], train: tuple[Row, ...], heldout: tuple[Row, ...], form: Format | None = None
) -> Dataset:
    return Dataset(
        name=name,
        title=str(about.get("title") or name),
        story=str(about.get("story") or ""),
        licence=str(about.get("licence") or ""),
        attribution=str(about.get("attribution") or ""),
        train=train,
        heldout=heldout,
        pictures={picture.name: picture for row in (*heldout, *train) for picture in row.pictures},
        format=form,
    )


def _folder(name: str, asked: str) -> Dataset:
    folder = Path(name).expanduser().resolve()
    if not folder.is_dir():
        raise SourceNotFound(asked, "there is no such folder", "Check the path")
    tree = tree_of_folder(folder)
    about = _about(tree)
    reading = _reading(tree, asked)
    is_plain = reading.columns.get("image") == PLAIN[0]
    kept = [item for item in (_used(item, is_plain) for item in records(tree, reading)) if item.row is not None]
    train, heldout = _sides(folder.name, kept, reading)
    for what, side in (("train on", train), ("hold out", heldout)):
        if not side:
            reason, remedy = f"it has no rows to {what}", "Give at least two rows, about two pictures"
            raise DataError(f"The data “{folder.name}” was read", reason, remedy)
    return _made(folder.name, about, train, heldout, None if is_plain else reading.format)


def _about(tree: Tree) -> dict[str, Any]:
    """What `dataset.json` says; nothing when it is missing."""
    entry = tree.entries.get("dataset.json")
    if entry is None:
        return {}
    try:
        about = json.loads(entry.read().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError("dataset.json was read", f"it is not JSON ({error})", "Correct it or take it away") from None
    if not isinstance(about, dict):
        raise DataError("dataset.json was read", "it is not an object with keys", "Write {} around its keys")
    return about


def _reading(tree: Tree, asked: str) -> Reading:
    """The plain format where its rows file and its keys are there; else what is recognised."""
    learn = _plain_rows(tree)
    if learn is None:
        return recognise(tree).reading
    held_out = f"heldout/{ROWS_FILE}"
    given = held_out in tree.entries
    tables = (learn, held_out) if given else (learn,)
    columns = {"image": PLAIN[0], "question": PLAIN[1], "answer": PLAIN[2]}
    return Reading("vqa", tables, columns, split=Split("folders" if given else "share"))  # type: ignore[arg-type]


def is_plain(folder: Path) -> bool:
    """Whether a folder's rows are in the plain format. Raises SourceNotFound: there is no such folder."""
    return _plain_rows(tree_of_folder(folder.expanduser())) is not None


def _plain_rows(tree: Tree) -> str | None:
    """The file of the rows to learn from, where its first lines have two of the three keys: a third may be wrong."""
    name = next((name for name in (f"train/{ROWS_FILE}", ROWS_FILE) if name in tree.entries), None)
    if name is None:
        return None
    with tree.entries[name].open() as file:
        start = file.read(100_000)
    return name if sum(f'"{key}"'.encode() in start for key in PLAIN) >= 2 else None


def _used(item: Item, is_plain: bool) -> Item:
    """The row, when nothing stands against it; in the plain format every row has a picture.

    Raises:
        DataError, SourceRefused: with the file and the line in the sentence.
    """
    place = item.place
    for kind, detail in item.trouble:
        known = findings.KINDS.get(kind)
        if (known is not None and known.severity == "error") or (is_plain and kind == trouble.TEXT_ONLY):
            where = place.file if place.row is None else f"Line {place.row} of {place.file}"
            reason = _REASONS.get(kind, "{detail}").replace("{detail}", detail).rstrip(", ")
            error = SourceRefused if kind == trouble.UNSAFE_PATH else DataError
            raise error(f"{where} was read", reason, "Correct the line or take it away")
    return item


def _sides(name: str, items: list[Item], reading: Reading) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """Train rows and held-out rows; no picture is on both sides."""
    rows = [item.row for item in items if item.row is not None]
    held = [item.side == "heldout" for item in items] if reading.split.by != "share" else _held_out(rows, reading.split)
    learned = {picture: None for row, out in zip(rows, held, strict=True) if not out for picture in row.pictures}
    for row in (row for row, out in zip(rows, held, strict=True) if out):
        for picture in row.pictures:
            if picture in learned:
                reason = f"“{picture.name}” is both trained on and held out"
                raise DataError(f"The data “{name}” was read", reason, "Take its rows out of one of the two sides")
    sides = [tuple(row for row, out in zip(rows, held, strict=True) if out is side) for side in (False, True)]
    return sides[0], sides[1]


def _held_out(rows: list[Row], split: Split) -> list[bool]:
    """Whether each row is held out, by share; rows about one picture stay together."""
    import hashlib

    import numpy as np

    joined = Groups(len(rows))
    joined.join_equal((picture.name, number) for number, row in enumerate(rows) for picture in row.pictures)
    names = ("\0".join([row.question, *(picture.name for picture in row.pictures)]).encode() for row in rows)
    keys = [int.from_bytes(hashlib.blake2b(name, digest_size=8).digest()) for name in names]
    return [bool(out) for out in hold_out(joined.labels(), np.array(keys, np.uint64), split.share, split.seed)]
