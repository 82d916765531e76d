"""`data`: what is in a folder, an archive or a table, whether it can be trained on, and a stored set made of it.

    data check PATH --json      how it is understood, what is wrong, with file and row
    data preview PATH           the first rows as they will be asked and answered; with --model, as tokens
    data import PATH            stores it; prints what a spec's `data` is then
    data list                   the stored sets

What it does not do: train (see `jobs`), or bring data into the page of another data folder than its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from core.cli.choice import SOURCE_HELP
from core.cli.reading import add_flags, add_source, given, guess_of
from core.data.checking.checks import check
from core.data.checking.findings import can_drop
from core.data.formats.records import Item, records
from core.data.previewing.preview import encoder_of, preview
from core.data.rows import Picture, Row, Turn
from core.data.storing.importing import Blocked, store
from core.data.storing.stored import SETS, list_sets
from core.errors import DataError
from core.jobs.home import LOCAL_OWNER, open_home
from core.models.source import parse_source
from core.spec import Guess, Imported, Place, Report, to_dict

TELL_EVERY = 1.0
"""Seconds between two words about the progress."""


def add_commands(commands: Any) -> None:
    """Adds `data` with its own commands to the parsers of the command line."""
    parts = commands.add_parser("data", help="check, preview and store data of your own").add_subparsers(
        required=True, metavar="WHAT"
    )
    for name, run, about in (
        ("check", run_check, "how data are understood and what is wrong with them"),
        ("preview", run_preview, "the first rows, as they will be asked and answered"),
        ("import", run_import, "store data, so that jobs can train on them"),
    ):
        parser = parts.add_parser(name, help=about)
        add_source(parser)
        add_flags(parser)
        parser.add_argument("--json", action="store_true", help="one JSON object")
        parser.set_defaults(run=run)
        if name == "preview":
            parser.add_argument("--rows", type=int, default=5, metavar="N", help="how many; 5 unless told")
            parser.add_argument("--model", metavar="SOURCE", help=f"show tokens and loss for this model: {SOURCE_HELP}")
        if name == "import":
            parser.add_argument("--title", help="what it is called; the name of PATH unless told")
    listing = parts.add_parser("list", help="the stored data sets, newest first")
    listing.add_argument("--json", action="store_true", help="one JSON array")
    listing.set_defaults(run=run_list)


def run_check(options: argparse.Namespace) -> int:
    """`data check`: 0 when nothing stands in the way, 1 when an error does."""
    with given(options) as data:
        guess = guess_of(data.tree, options)
        report = check(data.tree, guess.reading, _Told())
    print(json.dumps(_checked(data.origin, guess, report)) if options.json else _report_words(guess, report))
    return 1 if report.blocked else 0


def run_preview(options: argparse.Namespace) -> int:
    """`data preview`: the first rows; those that cannot be used say why."""
    with given(options) as data:
        guess = guess_of(data.tree, options)
        encoder = encoder_of(parse_source(options.model)) if options.model else None
        shown = [_previewed(item, encoder) for item in records(data.tree, guess.reading, max(1, options.rows))]
    if options.json:
        print(json.dumps({"origin": data.origin, **_understood(guess), "rows": shown}))
    else:
        print("\n".join([_understood_words(guess), *map(_row_words, shown)]))
    return 0


def run_import(options: argparse.Namespace) -> int:
    """`data import`: stores the data and prints the `data` of a spec."""
    sets = open_home().data(LOCAL_OWNER) / SETS
    with given(options) as data:
        guess = guess_of(data.tree, options)
        title = options.title or data.origin
        try:
            made = store(data.tree, guess.reading, None, sets, title, data.origin, _Told())
        except Blocked as error:
            raise DataError(error.asked, error.reason, _remedy(error)) from None
    print(json.dumps(_kept(made)) if options.json else _kept_words(made))
    return 0


def run_list(options: argparse.Namespace) -> int:
    """`data list`: what is stored in this data folder."""
    found = list_sets(open_home().data(LOCAL_OWNER) / SETS)
    if options.json:
        print(json.dumps([_kept(made) for made in found]))
    for made in () if options.json else found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(made.created))
        print(f"stored:{made.name}  {when}  {made.train:,} + {made.heldout:,} rows  {made.title}")
    return 0


def _remedy(error: Blocked) -> str:
    """What can be done here, with the flags that leave such rows out."""
    kinds = [kind for kind in error.kinds if can_drop(kind)]
    flags = f"Here --drop {','.join(kinds)} leaves such rows out, and --drop errors all rows with errors"
    return f"{error.remedy}. {flags}" if kinds else error.remedy


class _Told:
    """Tells stderr how far a long look is."""

    def __init__(self) -> None:
        self._next = time.monotonic() + TELL_EVERY

    def __call__(self, done: int, total: int | None) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + TELL_EVERY
            print(f"{done:,} rows" + (f" of {total:,}" if total else ""), file=sys.stderr, flush=True)


def _understood(guess: Guess) -> dict[str, Any]:
    plain = to_dict(guess)
    others = dict(plain["others"])
    kept = {"format": guess.reading.format, "reason": guess.reason, "mapping": plain["reading"]["columns"]}
    return {**kept, "columns": plain["columns"], "others": others, "reading": plain["reading"]}


def _checked(origin: str, guess: Guess, report: Report) -> dict[str, Any]:
    found: dict[str, Any] = to_dict(report)
    problems = [{key: each[key] for key in each if key not in ("action", "change")} for each in found.pop("findings")]
    return {"origin": origin, "ok": not report.blocked, **_understood(guess), **found, "problems": problems}


def _understood_words(guess: Guess) -> str:
    columns = ", ".join(f"{part} = {column}" for part, column in guess.reading.columns.items())
    lines = [f"Read as {guess.reading.format}: {guess.reason}"]
    if guess.reading.tables:
        lines.append(f"  rows in: {', '.join(guess.reading.tables[:5])}{' ...' if guess.reading.tables[5:] else ''}")
    if columns:
        lines.append(f"  columns: {columns}")
    if guess.reading.template:
        lines.append(f"  asked: {guess.reading.template}")
    return "\n".join(lines)


def _report_words(guess: Guess, report: Report) -> str:
    lines = [
        _understood_words(guess),
        f"{report.rows:,} rows with {report.pictures:,} different pictures: "
        f"{report.train:,} to learn from, {report.heldout:,} held out, {report.rows - report.usable:,} left out",
    ]
    for finding in report.findings:
        lines.append(f"{finding.severity.upper()} {finding.kind}: {finding.title}. {finding.reason}. {finding.remedy}.")
        lines += [f"    {_at(place)}" for place in finding.places[:5]]
        if finding.count > 5:
            lines.append(f"    and {finding.count - 5:,} more")
    if report.heldout:
        lines.append(f"Always giving the most common answer would score {100 * report.majority:.1f}%.")
    lines.append("It cannot be used like this." if report.blocked else "It can be used.")
    return "\n".join(lines)


def _at(place: Place) -> str:
    row = "" if place.row is None else f", row {place.row:,}"
    return f"{place.file}{row}{': ' if place.detail else ''}{place.detail}"


def _previewed(item: Item, encoder: Any) -> dict[str, Any]:
    """One row in plain values."""
    shown: dict[str, Any] = {
        "file": item.place.file,
        "row": item.place.row,
        "side": item.side,
        "trouble": [{"kind": kind, "detail": detail} for kind, detail in item.trouble],
        "turns": [_turn(turn) for turn in item.row.turns] if item.row else [],
    }
    return shown | (_tokens(item.row, encoder) if item.row and encoder else {})


def _turn(turn: Turn) -> dict[str, Any]:
    def plain(part: str | Picture) -> dict[str, str]:
        return {"text": part} if isinstance(part, str) else {"picture": part.name}

    return {"speaker": turn.speaker, "parts": [plain(part) for part in turn.parts]}


def _tokens(row: Row, encoder: Any) -> dict[str, Any]:
    """What a model gets of the row, or why it cannot learn from it."""
    try:
        seen = preview(encoder, row)
    except DataError as error:
        return {"refused": str(error)}
    tokens = [[token.text, token.kind, token.learned, token.count] for token in seen.tokens]
    counts = {"image": seen.image, "text": seen.words, "learned": seen.learned}
    return {"text": seen.text, "tokens": tokens, "counts": counts, "limit": seen.limit}


def _row_words(row: dict[str, Any]) -> str:
    place = _at(Place(row["file"], row["row"]))
    lines = [f"{place}{' (' + row['side'] + ')' if row['side'] else ''}"]
    for turn in row["turns"]:
        said = " ".join(part.get("text") or f"[{part['picture']}]" for part in turn["parts"])
        lines.append(f"  {turn['speaker']}: {said}")
    lines += [f"  ! {trouble['kind']} {trouble['detail']}" for trouble in row["trouble"]]
    if "refused" in row:
        lines.append(f"  ! {row['refused']}")
    elif "counts" in row:
        learned = "".join(text for text, _, learns, _ in row["tokens"] if learns)
        counts = row["counts"]
        lines.append(
            f"  {counts['image']} image and {counts['text']} text tokens; learned ({counts['learned']}): {learned!r}"
        )
    return "\n".join(lines)


def _left_out(made: Imported) -> list[dict[str, Any]]:
    """Kinds of what was left out with the numbers of their rows, those that were chosen by hand included."""
    return [{"kind": each.kind, "rows": each.left_out} for each in made.report.findings if each.left_out]


def _kept(made: Imported) -> dict[str, Any]:
    keys = ("title", "origin", "train", "heldout", "pictures", "size", "created")
    plain = to_dict(made)
    return {
        "data": {"kind": "stored", "name": made.name},
        **{key: plain[key] for key in keys},
        "left_out": _left_out(made),
    }


def _kept_words(made: Imported) -> str:
    return (
        f"Stored “{made.title}”: {made.train:,} rows to learn from, {made.heldout:,} held out, "
        f"{made.pictures:,} pictures, {made.size:,} bytes\n"
        + "".join(f"Left out: {each['rows']:,} ({each['kind']})\n" for each in _left_out(made))
        + f"stored:{made.name}"
    )
