"""What the command line is given as data, and the flags that say how they are read.

    data check photos.zip --format captions --column text=caption --template "What is in the picture?"
    data import ./scans --heldout 0.2 --drop missing_image,duplicate_row

What it does not do: look for trouble, or store anything.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from core.data.checking import findings
from core.data.files.archives import entries_of, is_archive
from core.data.files.tree import Tree, tree_of_folder
from core.data.formats.mapping import refuse_unknown, refuse_unknown_fields
from core.data.formats.recognition import recognise, reread
from core.data.hub import fetch_hub
from core.data.tables import is_table
from core.errors import DataError, SourceNotFound, SpecError
from core.spec import Format, Guess, Part, Reading, Split, from_dict, to_dict
from core.spec.data import SplitBy

FORMATS: tuple[Format, ...] = get_args(Format)
PARTS: tuple[Part, ...] = get_args(Part)
SPLITS: tuple[SplitBy, ...] = get_args(SplitBy)
ERRORS = "errors"
"""Stands for all kinds of errors whose rows can be left out."""
Value = TypeVar("Value")


@dataclass(frozen=True)
class Given:
    """Data that a person has named."""

    tree: Tree
    origin: str
    """Without the machine's folders."""


def add_source(parser: argparse.ArgumentParser) -> None:
    """The argument that names data."""
    parser.add_argument("path", metavar="PATH", help="a folder, a zip or tar, a table, or hub:OWNER/NAME[@REVISION]")
    parser.add_argument("--hub-split", metavar="NAME", help="one split of a data set of the Hub; all unless told")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of `reading_of`."""
    parser.add_argument("--format", choices=FORMATS, help="what the rows are; recognised by looking unless told")
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="PART=COLUMN",
        help=f"which column holds a part, or PART= for none; parts: {', '.join(PARTS)}; may be repeated; split= says "
        "which rows are held out unless --split or --heldout does; group= keeps rows of one group together",
    )
    parser.add_argument(
        "--template", metavar="TEXT", help="what is asked where rows hold no question; {column} stands for a text"
    )
    parser.add_argument("--answer-template", metavar="TEXT", help="how an answer is worded, such as 'This is {label}.'")
    parser.add_argument("--system", metavar="TEXT", help="the system prompt of rows without one")
    parser.add_argument(
        "--heldout", type=float, metavar="SHARE", help="share of the rows that is held out, such as 0.1"
    )
    parser.add_argument(
        "--split",
        choices=SPLITS,
        help="what says which rows are held out: a share of them, the column of the part `split`, or the names of "
        "folders and files; as recognised unless told",
    )
    parser.add_argument("--split-seed", type=int, metavar="N", help="another choice of held-out rows")
    parser.add_argument(
        "--group", action="store_true", help="keep rows of one group (the column of the part `group`) together"
    )
    parser.add_argument(
        "--drop",
        default="",
        metavar="KIND,...",
        help="kinds of findings whose rows are left out, as `data check` names them; errors: all rows with errors",
    )
    parser.add_argument("--max-side", type=int, metavar="PIXELS", help="make larger pictures smaller")
    parser.add_argument("--limit", type=int, metavar="ROWS", help="read at most so many rows")
    parser.add_argument(
        "--foreign-paths",
        action="store_true",
        help="look for pictures that are named by paths of another machine by the ends of these paths, among the files",
    )


@contextmanager
def given(options: argparse.Namespace) -> Iterator[Given]:
    """The data that were named, as long as they are needed.

    Raises:
        SourceError: nothing is there, or it may not be read.
        DataError: it is damaged.
    """
    text: str = options.path
    with tempfile.TemporaryDirectory(prefix="vlm-lora-studio-") as staging:
        if text.startswith("hub:"):
            name, _, revision = text.removeprefix("hub:").partition("@")
            found = fetch_hub(name, revision or None, options.hub_split, None, Path(staging), options.limit)
            yield Given(tree_of_folder(Path(staging)), f"{found.name}@{found.commit[:12]}")
            return
        path = Path(text).expanduser().absolute()
        if not path.exists():
            raise SourceNotFound(f"The data “{text[:200]}” were asked for", "nothing is there", "Check the path")
        yield Given(_tree(path, Path(staging)), path.name)


def guess_of(tree: Tree, options: argparse.Namespace) -> Guess:
    """How the data are read: as recognised, or as the flags say.

    Raises:
        DataError: nothing can be recognised, or the data cannot be read in the form that was asked for.
        SpecError: a flag is not understood, or names a column that is not there.
    """
    guess = recognise(tree)
    if options.format and options.format != guess.reading.format:
        guess = reread(tree, options.format, guess.reading)
    reading = reading_of(guess.reading, options)
    refuse_unknown(reading, guess.columns)
    refuse_unknown_fields(reading, guess.columns)
    return replace(guess, reading=reading)


def reading_of(reading: Reading, options: argparse.Namespace) -> Reading:
    """The reading with what the flags say. Raises SpecError: one is not understood or out of range."""
    plain: dict[str, Any] = to_dict(reading)
    plain["columns"] = {**plain["columns"], **dict(map(_column, options.column))}
    plain["columns"] = {part: column for part, column in plain["columns"].items() if column}
    for key in ("template", "answer_template", "system", "max_side", "limit"):
        if (value := getattr(options, key)) is not None:
            plain[key] = value
    plain["foreign_paths"] = reading.foreign_paths or options.foreign_paths
    plain["drop"] = [*plain["drop"], *_kinds(options.drop)]
    split = _split(reading.split, options)
    plain["split"] = to_dict(replace(split, group=split.group and (options.group or "group" in plain["columns"])))
    return from_dict(Reading, plain)


def _tree(path: Path, staging: Path) -> Tree:
    """A folder; the inside of an archive; or a table with the files beside it, other tables left aside."""
    if path.is_dir():
        return tree_of_folder(path)
    if is_archive(path.name):
        entries, refused = entries_of(path, path.name, staging)
        return Tree(dict(sorted(entries.items())), tuple(refused))
    if not is_table(path.name):
        reason = "it is no folder, no zip or tar, and no table in CSV, JSON, JSON Lines or Parquet"
        raise DataError(f"The data “{path.name[:200]}” were asked for", reason, "Name one of these")
    tree = tree_of_folder(path.parent)
    others = {name: entry for name, entry in tree.entries.items() if name == path.name or not is_table(name)}
    return Tree(others, tree.refused)


def _column(text: str) -> tuple[str, str]:
    part, found, column = text.partition("=")
    if not found or part not in PARTS:
        raise SpecError(f"“{text}” was given as a column", "it is no PART=COLUMN", f"Parts are: {', '.join(PARTS)}")
    return part, column


def _kinds(text: str) -> list[str]:
    kinds = [kind.strip() for kind in text.split(",") if kind.strip()]
    if ERRORS in kinds:
        errors = [kind for kind, known in findings.KINDS.items() if known.severity == "error"]
        kinds = [*(kind for kind in kinds if kind != ERRORS), *filter(findings.can_drop, errors)]
    for kind in kinds:
        if kind not in findings.KINDS:
            known = ", ".join(findings.KINDS)
            raise SpecError(f"Leaving out “{kind}” was asked for", "there is no such finding", f"There are: {known}")
        if not findings.can_drop(kind):
            reason = "it is no trouble of single rows, so none would be left out"
            raise SpecError(f"Leaving out “{kind}” was asked for", reason, findings.KINDS[kind].remedy)
    return kinds


def _split(split: Split, options: argparse.Namespace) -> Split:
    told = {part for part, column in map(_column, options.column) if column}
    if "split" in told:
        split = replace(split, by="column")
    if options.heldout is not None:
        split = replace(split, by="share", share=options.heldout)
    if options.split is not None:
        split = replace(split, by=options.split)
    if options.split_seed is not None:
        split = replace(split, seed=options.split_seed)
    return replace(split, group=True) if options.group or "group" in told else split
