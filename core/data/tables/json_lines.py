"""JSON Lines: one object a line. A line that is none is numbered, and reading goes on.

What it does not do: read a list at the root (`json_lists.py`), or know what a key means.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from core.data.files.entries import Entry
from core.data.tables.lines import lines_of
from core.data.tables.record import ODD_SIGNS, TOO_LONG, Kind, Record
from core.spec.data import Place

MAX_NESTED = 100_000
"""Lists and objects in a row: each takes two signs in a file and a hundred bytes or more of memory."""


class TwiceError(ValueError):
    """A key stands twice in an object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, refused when a key stands twice: JSON would silently keep the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in found if keys.count(key) > 1)
        raise TwiceError(f"“{twice[:60]}” stands in it more than once")
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=lambda _: None)
"""NaN and infinity, which are no JSON and which pandas writes for empty cells, are read as nothing."""


def json_lines(entry: Entry) -> Iterator[Record]:
    """The objects of a file, one a line; empty lines are passed over."""
    for line in lines_of(entry):
        place = Place(entry.name, line.number)
        if line.long:
            yield Record(place, None, TOO_LONG, "long_line")
        elif text := line.text.strip():
            yield parsed(text, place, line.odd)


def parsed(text: str, place: Place, odd: bool = False) -> Record:
    """The object that a text holds, or why it holds none."""
    if text.count("[") + text.count("{") > MAX_NESTED:
        return Record(place, None, f"it holds more than {MAX_NESTED:,} lists and objects", "long_line")
    try:
        values = DECODER.decode(text)
        if "\\u" in text:
            json.dumps(values, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        return Record(place, None, *why_not(error, text))
    return checked(values, place, odd)


def checked(values: Any, place: Place, odd: bool = False) -> Record:
    """The record of a value that was read."""
    if not isinstance(values, dict):
        what = "a list" if isinstance(values, list) else "a single value"
        return Record(place, None, f"it is {what} and no object with keys", "broken_line")
    return Record(place, values, ODD_SIGNS, "encoding") if odd else Record(place, values)


def why_not(error: Exception, text: str) -> tuple[str, Kind]:
    """What is wrong with a text that is no JSON, in words, and its kind."""
    if isinstance(error, TwiceError):
        return str(error), "duplicate_key"
    if isinstance(error, UnicodeEncodeError):
        return "it holds half of a sign (a lone surrogate)", "broken_line"
    if isinstance(error, RecursionError):
        return "it is nested too deeply", "broken_line"
    if isinstance(error, json.JSONDecodeError):
        if not text.rstrip().endswith("}"):
            return "it is not JSON: its end is missing", "broken_line"
        return f"it is not JSON ({error.msg.lower()}, at sign {error.pos + 1:,})", "broken_line"
    return "it holds a number that is too long", "broken_line"
