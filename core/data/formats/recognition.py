"""How data want to be read, told by a look at names and first rows: the format, the columns, the reason.

Tables come first, if their rows name or hold pictures; then texts beside pictures; then one folder a class.
What it does not do: read all rows, or judge them (`core.data.checking.checks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from core.data.files.tree import Tree
from core.data.formats import evidence, layouts, roles
from core.data.formats.finder import Finder
from core.data.formats.first_look import LOOKED_AT, Table, survey
from core.data.formats.sides import side_of_folder, side_of_table, side_of_value
from core.data.formats.templates import DEFAULT_TEMPLATES
from core.data.tables import is_table
from core.errors import DataError
from core.spec.data import Format, Guess, Part, Reading, Split, SplitBy

KNOWN = (
    "rows that name pictures in CSV, JSON, JSON Lines or Parquet; one folder of pictures for each class; "
    "or a text file beside each picture"
)
_NAMES: dict[Format, str] = {
    "messages": "conversations (messages)",
    "sharegpt": "conversations as ShareGPT and LLaVA write them",
    "prompt_completion": "prompts with completions",
    "vqa": "questions with answers",
    "captions": "captions",
    "coco": "captions as COCO has them",
    "classes": "classes",
    "ocr": "text to read",
    "pairs": "pairs of picture and text",
}
_OTHER_FORMS = (".xlsx", ".xls", ".ods", ".xml", ".h5", ".hdf5", ".npz", ".npy", ".mat", ".tfrecord", ".pkl", ".pickle")
"""Endings of files in which people keep rows and which are not read."""
FEW = 0.2
"""A table whose rows are fewer than this share of the pictures tells of a part of them only."""
HARDLY = 30
"""A candidate less sure than this does not go before folders, even if its pictures are there."""
GROUPS = 5
"""From so many on, groups are kept together unless the person says otherwise."""
Scored = tuple[int, Guess]
"""How sure a guess is, and the guess; 100 and more where its pictures are there."""


def recognise(tree: Tree) -> Guess:
    """How the data of a tree want to be read; only the first rows are looked at.

    Raises:
        DataError: nothing is there that could be read; the sentence says what was seen and what is known.
    """
    finder = Finder(tree)
    tables = survey(tree, finder)
    guesses = [_of_tables(tables, finder), *(_of_layout(layout) for layout in layouts.found(tree, finder))]
    scored = [guess for guess in guesses if guess is not None]
    if not scored:
        raise _nothing(tree, finder, tables)
    best, *rest = (guess for _, guess in sorted(scored, key=lambda pair: -pair[0]))
    known = {best.reading.format, *(format for format, _ in best.others)}
    more = {guess.reading.format: guess.reason for guess in rest if guess.reading.format not in known}
    return replace(best, others=(*best.others, *more.items()))


def reread(tree: Tree, format: Format, before: Reading | None = None) -> Guess:
    """A full reading in the format that a person chose; what they wrote before (system prompt, split) stays.

    Raises:
        DataError: the data cannot be read so at all; the sentence says what is missing.
    """
    finder = Finder(tree)
    tables = survey(tree, finder)
    if before and before.tables:
        tables = [table for table in tables if set(table.alike) & set(before.tables)] or tables
    guesses = [_of_tables(tables, finder, format)]
    guesses += [_of_layout(layout) for layout in layouts.found(tree, finder, format)]
    scored = [guess for guess in guesses if guess is not None]
    if not scored:
        wanted = " and ".join(f"“{part}”" for part in roles.NEEDED[format])
        reason = f"no files or columns were found that could be {wanted}"
        raise DataError(f"Reading the data as {_NAMES[format]} was asked for", reason, "Choose another format")
    guess = max(scored, key=lambda pair: pair[0])[1]
    return replace(guess, reading=_kept(guess.reading, before)) if before else guess


def _kept(reading: Reading, before: Reading) -> Reading:
    """The new reading with what does not hang on the format; a split by share was chosen, or is possible anyway."""
    split = before.split if before.split.by in ("share", reading.split.by) else reading.split
    split = replace(split, group=split.group and "group" in reading.columns)
    kept = replace(reading, system=before.system, split=split, max_side=before.max_side)
    return replace(kept, drop=before.drop, limit=before.limit, foreign_paths=before.foreign_paths)


def _of_tables(tables: Sequence[Table], finder: Finder, format: Format | None = None) -> Scored | None:
    """The guess of the best table, with all tables that say the same."""
    rated = [
        (_score(table, candidate, finder), table.size, number, table, candidate)
        for number, table in enumerate(tables)
        for candidate in _ways(table, format)
    ]
    if not rated:
        return None
    score, _, _, table, candidate = max(rated, key=lambda each: each[:2])
    together, left_out = _together(tables, table, candidate)
    names = tuple(sorted({name for each in together for name in each.alike}, key=_train_first))
    by, names, why = _split(names, table, candidate)
    grouped = by == "share" and _has_groups(table, candidate)
    reading = _reading(candidate, names, Split(by=by, group=grouped))
    kept = f"rows with the same “{candidate.columns['group']}” are kept on one side" if grouped else ""
    left_out = left_out or _not_read(tables, names)
    where = f"“{names[0]}”" if len(names) == 1 else f"{len(names)} tables such as “{names[0]}”"
    reason = "; ".join(text for text in (f"{where}: {candidate.reason}", why, kept, left_out) if text)
    others = tuple((other.format, other.reason) for other in table.candidates if other.format != candidate.format)
    columns = tuple(dict.fromkeys(column.name for each in together for column in each.columns))
    joined = [name for name in candidate.columns.values() if name not in columns]
    return score, Guess(reading, reason, (*columns, *joined), candidate.reasons, others)


def _ways(table: Table, format: Format | None) -> Sequence[evidence.Candidate]:
    """The ways to read a table, or those in one format; COCO has its rows in two lists, read in one way only."""
    if format is None or table.coco:
        return [one for one in table.candidates if format in (None, one.format)]
    return evidence.for_format(table.columns, format) if format != "coco" else ()


def _reading(candidate: evidence.Candidate, tables: tuple[str, ...], split: Split) -> Reading:
    template = DEFAULT_TEMPLATES.get(candidate.format, "") if candidate.template is None else candidate.template
    return Reading(candidate.format, tables, candidate.columns, template, split=split)


def _score(table: Table, candidate: evidence.Candidate, finder: Finder) -> int:
    """Sure by its columns; beyond any layout of folders where the pictures are there."""
    if "image" not in candidate.columns:
        return candidate.sure + (20 if candidate.format in ("messages", "sharegpt") else 0)
    pictures = roles.picture_columns(table.columns)
    there = any(column.kind == "picture" or column.names_files or not column.looked_up for column in pictures)
    if there and table.rows < FEW * len(finder.pictures):
        return candidate.sure // 2 + 30  # such as the table of a small part beside folders for all
    return candidate.sure + 100 * (candidate.sure >= HARDLY) if there else candidate.sure // 2


def _together(tables: Sequence[Table], best: Table, candidate: evidence.Candidate) -> tuple[list[Table], str]:
    """The tables that can be read in the same way, and a sentence about those that look alike and cannot."""
    needed = [candidate.columns[part] for part in roles.NEEDED[candidate.format] if part in candidate.columns]
    wanted = {name for joined in needed for name in roles.split_names(joined, best.columns)}
    learned = needed[-1]
    chosen: list[Table] = []
    odd: list[str] = []
    for table in tables:
        if PurePosixPath(table.name).suffix != PurePosixPath(best.name).suffix or table.coco != best.coco:
            continue
        filled = {column.name for column in table.columns if column.filled}
        if learned in filled and wanted <= filled:
            if table is best or not any(_says_the_same(table, other, wanted) for other in (best, *chosen)):
                chosen.append(table)
        elif side_of_table(table.name):
            odd.append(table.name)
    left_out = f"“{odd[0]}” was left out, for it has nothing under “{learned}”" if odd else ""
    return chosen or [best], left_out


def _not_read(tables: Sequence[Table], names: Sequence[str]) -> str:
    """A sentence about tables that hold rows and are not among these."""
    rest = [table.name for table in tables if table.candidates and not set(table.alike) & set(names)]
    if not rest:
        return ""
    return (
        f"“{rest[0]}” is not read" if len(rest) == 1 else f"{len(rest)} other tables such as “{rest[0]}” are not read"
    )


def _says_the_same(one: Table, other: Table, names: set[str]) -> bool:
    """Whether two tables begin with the same rows: one set in two forms, such as plain and pretty-printed JSON."""
    same = all(one.heads.get(name) == other.heads.get(name) for name in names)
    return same and side_of_table(one.name) == side_of_table(other.name)


def _split(names: tuple[str, ...], table: Table, candidate: evidence.Candidate) -> tuple[SplitBy, tuple[str, ...], str]:
    """How rows are held out, the tables that take part in it, and a sentence about it."""
    sides = {name: side_of_table(name) for name in names}
    if {"train", "heldout"} <= set(sides.values()):
        used = tuple(name for name in names if sides[name])
        return "folders", used, "the tables' names say which rows are held out"
    if "split" in candidate.columns and _tells_sides(table, candidate.columns["split"]):
        return "column", names, f"“{candidate.columns['split']}” says which rows are held out"
    if {"train", "heldout"} == table.picture_sides:
        return "folders", names, "the pictures' folders say which rows are held out"
    return "share", names, ""


def _tells_sides(table: Table, name: str) -> bool:
    """Whether a column has both sides, or may still have both behind the rows that were looked at."""
    column = next(column for column in table.columns if column.name == name)
    both = {side_of_value(example) for example in column.examples} == {"train", "heldout"}
    return both or (column.rows >= LOOKED_AT and not side_of_table(table.name))


def _has_groups(table: Table, candidate: evidence.Candidate) -> bool:
    """Whether a column says which rows belong together, and there are groups enough to hold some of them out."""
    name = candidate.columns.get("group")
    return any(column.name == name and column.different >= GROUPS for column in table.columns)


def _train_first(name: str) -> tuple[bool, str]:
    return side_of_table(name) == "heldout", name


def _both_sides(names: Sequence[str]) -> bool:
    return {"train", "heldout"} <= {side_of_folder(name) for name in names}


def _of_layout(layout: layouts.Layout) -> Scored:
    by: SplitBy = "folders" if _both_sides(layout.pictures) else "share"
    columns: dict[Part, str] = layout.columns
    reading = Reading(layout.format, (), columns, DEFAULT_TEMPLATES[layout.format], split=Split(by=by))
    why = "; the folders' names say which rows are held out" if by == "folders" else ""
    reasons: dict[Part, str] = dict.fromkeys(columns, layout.reason)
    return layout.sure, Guess(reading, f"{layout.reason}{why}", layout.names, reasons, layout.others)


def _nothing(tree: Tree, finder: Finder, tables: Sequence[Table]) -> DataError:
    """What was seen, when nothing of it can be read."""
    asked = "The data were looked at"
    remedy = f"Bring {KNOWN}"
    if not tree.entries:
        return DataError(asked, "there is no file in them", remedy)
    count = len(finder.pictures)
    seen = "no picture was seen"
    if count:
        pictures = "1 picture" if count == 1 else f"{count:,} pictures"
        others = len(tree.entries) - count
        seen = f"{pictures} and {others:,} other {'file' if others == 1 else 'files'} were seen" if others else ""
        seen = seen or f"{pictures} {'was' if count == 1 else 'were'} seen and no other file"
    other = next((name for name in tree.entries if name.lower().endswith(_OTHER_FORMS)), None)
    empty = next((name for name in tree.entries if is_table(name) and not name.lower().endswith(".txt")), None)
    if not tables and empty:
        seen += f", and “{empty[:100]}” has no row that can be read"
    elif not (tables or count or other):
        seen += f", and “{next(iter(tree.entries))[:100]}” is no table"
    if tables:
        columns = ", ".join(f"“{column.name}”" for column in tables[0].columns[:8])
        seen += f", and “{tables[0].name}” with the columns {columns}"
    if other:
        seen += f", and “{other}”, which is in a form that is not read here"
        remedy = "Save the rows as CSV, JSON Lines or Parquet"
    return DataError(asked, f"{seen}; nothing says what is to be learned of which picture", remedy)
