"""A JSON list of objects, or an object that holds lists, read element by element: memory stays flat at any size.

What it does not do: read on where the text no longer shows where an element ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from io import TextIOBase
from typing import Any

from core.data.files.entries import Entry
from core.data.tables.json_lines import DECODER, checked, parsed
from core.data.tables.lines import as_latin, is_odd, text_of
from core.data.tables.record import MAX_ROW, TOO_LONG, Record
from core.spec.data import Place

_CHUNK = 2**18
_SPACE = re.compile(r"[ \t\r\n\ufeff]*")
_MARKS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_REST = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\s]+")
_CUT = "the rest of the file cannot be read: the list is not closed, or text between its elements is damaged"


class Cursor:
    """A place in JSON text that is read piece by piece.

    Args:
        file: the text.
    """

    def __init__(self, file: TextIOBase) -> None:
        self._file, self._text, self._at, self._ended = file, "", 0, False

    def peek(self) -> str:
        """The next sign that is no space; nothing at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, sign: str) -> bool:
        """Steps over a sign when it is the next."""
        if self.peek() != sign:
            return False
        self._at += 1
        return True

    def sound(self) -> tuple[Any, str] | None:
        """The next value with its text, stepped over, if it is whole in what was read and is sound; else None."""
        self.peek()
        try:
            value, end = DECODER.raw_decode(self._text, self._at)
        except (ValueError, RecursionError):
            return None
        if end == len(self._text) and not self._ended:  # a number might go on
            return None
        text, self._at = self._text[self._at : end], end
        return value, text

    def next(self) -> str | None:
        """The text of the next value, stepped over; None when it is longer than `MAX_ROW`.

        Raises:
            EOFError: the text ends inside of it.
        """
        self.peek()
        depth, at = 0, self._at
        while True:
            end, depth, at = self._scan(depth, at)
            if end is not None:
                text, self._at = self._text[self._at : end], end
                return text
            if len(self._text) - self._at > MAX_ROW:
                self._skip(depth, at)
                return None
            start = self._at
            if not self._more():
                raise EOFError
            at -= start - self._at

    def _scan(self, depth: int, at: int) -> tuple[int | None, int, int]:
        """Looks on from `at` for the end of the value: its end if found, the depth, and where to look on."""
        if depth == 0 and self._text[at : at + 1] not in ('"', "[", "{"):
            found = _SCALAR.match(self._text, at)
            end = found.end() if found else at
            return (end if end < len(self._text) or self._ended else None), 0, at
        for mark in _MARKS.finditer(self._text, at):
            sign = mark.group()[0]
            if sign == '"':
                if mark.end() == len(self._text) and not self._closed(mark):
                    return None, depth, mark.start()
            else:
                depth += 1 if sign in "[{" else -1
            if depth <= 0:
                return mark.end(), 0, mark.end()
            at = mark.end()
        return None, depth, at

    @staticmethod
    def _closed(mark: re.Match[str]) -> bool:
        """Whether a string that reaches to the end of what was read is whole."""
        text = mark.group()
        body = text[1:-1]
        return len(text) > 1 and text[-1] == '"' and (len(body) - len(body.rstrip("\\"))) % 2 == 0

    def _skip(self, depth: int, at: int) -> None:
        """Steps over the rest of a value that is too long, holding none of it. Raises EOFError."""
        end = None
        while end is None:
            self._at = at
            if self._text.startswith('"', at):
                self._skip_string()
                if depth == 0:
                    return
            elif not self._more():
                raise EOFError
            end, depth, at = self._scan(depth, self._at)
        self._at = end

    def _skip_string(self) -> None:
        """Steps over a string, holding none of it. Raises EOFError."""
        self._at += 1
        while True:
            found = _REST.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._text.startswith('"', self._at):
                self._at += 1
                return
            if not self._more():
                raise EOFError

    def _more(self) -> bool:
        """Reads on and forgets what was stepped over; False at the end."""
        left = self._text[self._at :]
        found = self._file.read(max(_CHUNK, len(left)))
        self._text, self._at, self._ended = left + found, 0, not found
        return bool(found)


def json_list(entry: Entry, part: str = "") -> Iterator[Record]:
    """The objects of a list, counted from 1.

    Args:
        entry: the file; a list, or an object that holds lists.
        part: the key of the list in the object; the longest unless told. Where no list of objects is in it, each key
            with its value is a row of `key` and `value`.
    """
    with text_of(entry) as file:
        cursor = Cursor(file)
        if cursor.take("["):
            yield from _elements(cursor, entry.name)
            return
    if not part:
        lengths = _lists(entry)
        part = max(lengths, key=lambda key: lengths[key], default="")
    with text_of(entry) as file:
        cursor = Cursor(file)
        if not cursor.take("{"):
            yield Record(Place(entry.name), None, "it is not JSON", "broken_line")
        elif not part:
            yield from _pairs(cursor, entry.name)
        elif _enter(cursor, part):
            yield from _elements(cursor, entry.name)


def lists_of(entry: Entry) -> tuple[str, ...]:
    """The keys of a JSON object under which lists of objects stand; none for a list and for any other file."""
    return tuple(_lists(entry)) if entry.name.lower().endswith(".json") else ()


def _lists(entry: Entry) -> dict[str, int]:
    """Lists of objects under the keys of the object at the root, with the lengths of their first rows in characters."""
    found: dict[str, int] = {}
    with text_of(entry) as file:
        cursor = Cursor(file)
        if not cursor.take("{"):
            return {}
        with suppress(EOFError):  # reading the rows will say that the file is cut off
            while (key := _key(cursor)) is not None:
                if cursor.take("["):
                    if cursor.peek() == "{":
                        found[key] = 0
                    length = _pass(cursor)
                    if key in found:
                        found[key] = length
                else:
                    cursor.next()
                cursor.take(",")
    return found


def _key(cursor: Cursor) -> str | None:
    """The next key of an object, stepped over with its colon."""
    if cursor.peek() != '"':
        return None
    text = cursor.next()
    try:
        key = json.loads(text or "")
    except ValueError:
        return None
    return key if cursor.take(":") else None


def _enter(cursor: Cursor, part: str) -> bool:
    """Steps into the list under a key."""
    while (key := _key(cursor)) is not None:
        if key == part:
            return cursor.take("[")
        if cursor.take("["):
            _pass(cursor)
        else:
            cursor.next()
        cursor.take(",")
    return False


def _pass(cursor: Cursor) -> int:
    """Steps over the rest of a list; how many characters its elements have. Raises EOFError."""
    length = 0
    while not cursor.take("]"):
        text = cursor.next()
        if text == "":  # the end, or a sign that no value begins with
            raise EOFError
        length += MAX_ROW if text is None else len(text)
        cursor.take(",")
    return length


def _elements(cursor: Cursor, name: str) -> Iterator[Record]:
    """The elements of a list up to its end."""
    number = 0
    while not cursor.take("]"):
        number += 1
        place = Place(name, number)
        whole = cursor.sound()
        if whole is not None:
            value, text = whole
            plain = "\\u" not in text and not is_odd(text)
            yield checked(value, place) if plain else _element(text, place)
        else:
            try:
                unsound = cursor.next()
            except EOFError:
                unsound = ""
            if unsound == "":
                yield Record(place, None, _CUT, "broken_line")
                return
            yield Record(place, None, TOO_LONG, "long_line") if unsound is None else _element(unsound, place)
        cursor.take(",")


def _element(text: str, place: Place) -> Record:
    """One element from its text."""
    odd = is_odd(text)
    return parsed(as_latin(text) if odd else text, place, odd)


def _pairs(cursor: Cursor, name: str) -> Iterator[Record]:
    """The keys of an object with their values as rows, such as names of pictures with their captions."""
    number = 0
    while (key := _key(cursor)) is not None:
        number += 1
        place = Place(name, number)
        try:
            text = cursor.next()
        except EOFError:
            text = ""
        if not text:
            yield Record(place, None, _CUT if text == "" else TOO_LONG, "broken_line")
            return
        row = _element(f'{{"value": {text}}}', place)
        values: dict[str, Any] | None = row.values and {"key": key, **_spread(row.values["value"])}
        yield Record(place, values, row.trouble, row.kind)
        cursor.take(",")


def _spread(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"value": value}
