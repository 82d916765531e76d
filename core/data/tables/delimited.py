"""CSV, TSV and their like: delimiter and header found by looking, quotes that are never closed kept to their row.

What it does not do: know what a column is for.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from pathlib import PurePosixPath

from core.data.files.entries import Entry
from core.data.files.pictures import PICTURES
from core.data.tables.lines import Line, first_lines, lines_of
from core.data.tables.record import MAX_ROW, ODD_SIGNS, TOO_LONG, Record
from core.spec.data import Place

_SAMPLE = 30
"""Lines by which delimiter and header are told."""
_DELIMITERS = "\t,;|"
_NAME = re.compile(r"[\w .:/()\[\]-]{1,60}")
"""What the name of a column looks like, where nothing else says that a file is a table."""
_REASONS = {
    "unexpected end of data": 'a quote (") in it is never closed',
    "field larger than field limit": 'a quote (") in it is not closed for several MB',
}


def delimiter_of(entry: Entry) -> str:
    """What stands between the cells; nothing when the lines are no table.

    A file called .csv or .tsv is a table, if need be of one column; another one when its first lines have the same
    number of cells, at least two, under names of columns or beside a picture's name.
    """
    lines = first_lines(entry, _SAMPLE)
    named = {".csv": ",", ".tsv": "\t"}.get(PurePosixPath(entry.name).suffix.lower(), "")
    best = max(_DELIMITERS, key=lambda sign: (*_fit(lines, sign), sign == named))
    width, same = _fit(lines, best)
    if named:
        return best if width else named
    cells = _cells(lines[0], best) if lines and width and same == 1 else []
    return best if _has_picture(cells) or (cells and all(_NAME.fullmatch(cell) for cell in cells)) else ""


def _fit(lines: list[str], delimiter: str) -> tuple[int, float]:
    """Cells of the first line beyond one, 0 for none, as 0 or 1; and the share of lines with as many cells."""
    widths = [len(cells) for line in lines if (cells := _cells(line, delimiter))]
    if not widths or widths[0] < 2:
        return 0, 0.0
    return 1, sum(width == widths[0] for width in widths) / len(widths)


def _cells(line: str, delimiter: str) -> list[str]:
    """The cells of one line, by themselves."""
    csv.field_size_limit(MAX_ROW)
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])]
    except csv.Error:
        return []


def _has_picture(cells: list[str]) -> bool:
    """Whether a cell names a picture, so that the line is a row and no header; `1.jpg#0` is one of Flickr8k."""
    return any(re.sub(r"#\d+$", "", cell).lower().endswith(PICTURES) for cell in cells)


class _Unclosed(Exception):
    """A row goes on for too many lines."""


class _Feed:
    """The lines of a file for the csv module; those of a row that went wrong can be given back but its first."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines, self._back = lines, deque[Line]()
        self.held: list[Line] = []
        """Of the row that is being read."""
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self.held.append(line)
        self._size += len(line.text)
        if len(self.held) > 1 and (line.long or self._size > MAX_ROW):
            raise _Unclosed
        return line.text

    def start(self) -> None:
        """Forgets the lines of the row before."""
        self.held, self._size = [], 0

    def give_back(self) -> None:
        """The lines of this row behind its first are read again."""
        self._back.extendleft(reversed(self.held[1:]))


def delimited(entry: Entry, delimiter: str) -> Iterator[Record]:
    """The rows of a table of text, each with the number of its first line."""
    csv.field_size_limit(MAX_ROW)
    header: list[str] = []
    for cells, held, trouble in _rows(entry, delimiter):
        place = Place(entry.name, held[0].number)
        if any(line.long for line in held):
            yield Record(place, None, TOO_LONG, "long_line")
        elif trouble:
            yield Record(place, None, trouble, "broken_line")
        elif header or _has_picture(cells):
            header = header or [f"column {number}" for number in range(1, len(cells) + 1)]
            yield _record(place, cells, header, any(line.odd for line in held))
        else:
            header, twice = _header(cells)
            if twice:
                yield Record(place, None, twice, "form")
        if not header:
            return  # without names of columns the rows say nothing


def _rows(entry: Entry, delimiter: str) -> Iterator[tuple[list[str], list[Line], str]]:
    """Cells, lines and trouble of every row that is not empty."""
    feed = _Feed(lines_of(entry))
    blanks = delimiter != "\t"
    reader = csv.reader(feed, delimiter=delimiter, strict=True, skipinitialspace=blanks)
    while True:
        feed.start()
        try:
            cells, trouble = next(reader), ""
        except StopIteration:
            return
        except (csv.Error, _Unclosed) as error:
            feed.give_back()
            reader = csv.reader(feed, delimiter=delimiter, strict=True, skipinitialspace=blanks)
            cells, trouble = _unquoted(feed.held[0].text, delimiter), ""
            del feed.held[1:]
            if not cells:
                reason = next((words for text, words in _REASONS.items() if text in str(error)), "")
                reason = reason or (_REASONS["unexpected end of data"] if isinstance(error, _Unclosed) else "")
                trouble = reason or 'its quotes (") do not fit: a quote inside of a cell is written twice'
        if trouble or any(cell.strip() for cell in cells) or any(line.long for line in feed.held):
            yield cells, feed.held, trouble


def _unquoted(line: str, delimiter: str) -> list[str]:
    """The cells of a line whose quotes are plain signs, as tables with tabs have them; none with other delimiters."""
    return line.rstrip("\n").split("\t") if delimiter == "\t" else []


def _header(cells: list[str]) -> tuple[list[str], str]:
    """Names of the columns, each only once, and a sentence about those that were named twice."""
    names: list[str] = []
    twice = ""
    for number, cell in enumerate(cells, 1):
        name = plain = cell.strip() or f"column {number}"
        count = 1
        while name in names:
            count += 1
            name = f"{plain} ({count})"
        if name != plain:
            twice = f"the column “{plain[:60]}” stands in it more than once; a later one is called “{name[:60]}”"
        names.append(name)
    return names, twice


def _record(place: Place, cells: list[str], header: list[str], odd: bool) -> Record:
    """A row under the names of its columns."""
    while len(cells) > len(header) and not cells[-1].strip():
        cells.pop()
    if len(cells) != len(header):
        count = f"{len(cells)} cell{'s'[: len(cells) - 1]}"
        return Record(place, None, f"it has {count}, and there are {len(header)} columns", "broken_line")
    values = dict(zip(header, cells, strict=True))
    return Record(place, values, ODD_SIGNS, "encoding") if odd else Record(place, values)
