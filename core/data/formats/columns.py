"""What the columns of a table hold, judged by the values of its first rows.

What it does not do: decide the format (`core.data.formats.recognition`), or read the whole table.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import Any

from core.data.files.pictures import picture_header
from core.data.formats.finder import Finder
from core.data.formats.turns import Unusable
from core.data.formats.values import Kind, answer_of, kind_of, text_of, texts_of, unfolded
from core.errors import DataError
from core.spec.data import Place

MOST_LOOKED_UP = 50
"""Values of a column that are looked for among the pictures."""
MOST_MEASURED = 6
"""Pictures of a column whose headers are read."""
WIDE = 3.0
"""Times wider than high from which a picture is taken for a line of writing."""
_WRITTEN = re.compile(r"\n|\\[a-z]+|\$.+\$|</\w+>|\d[.,]\d\d\b|\b[A-Z]*\d+[A-Z]+\d*\b")


@dataclass(frozen=True)
class Column:
    """One column as its first values show it."""

    name: str
    kind: Kind
    """Of most values."""
    rows: int
    """Looked at."""
    filled: int
    """Of these with something in it."""
    found: int = 0
    """Of the values that were looked up, how many find a picture."""
    looked_up: int = 0
    words: tuple[int, float, int] = (0, 0, 0)
    """Fewest, median and most words of its texts."""
    different: int = 0
    """Texts that are not the same."""
    keys: frozenset[str] = frozenset()
    """Of its objects."""
    written: int = 0
    """How many texts look like writing that was read off: line breaks, markup, formulas, amounts, codes."""
    wide: bool = False
    """Whether its first pictures are far wider than high, as lines of writing are."""
    examples: tuple[str, ...] = ()
    """The first few different texts."""

    @property
    def shows_pictures(self) -> bool:
        """Whether rows name or hold pictures here, by their form or because files are there."""
        return self.kind in ("picture", "pictures", "name") or self.names_files

    @property
    def names_files(self) -> bool:
        """Whether at least half of the values find a picture."""
        return self.looked_up > 0 and self.found * 2 >= self.looked_up

    @property
    def is_text(self) -> bool:
        """Whether it can be read as a text."""
        return self.kind in ("text", "texts", "number", "answers")

    @property
    def repeats(self) -> bool:
        """Whether few different values stand in many rows, as labels do."""
        return self.filled >= 4 and self.different * 2 <= self.filled

    def said(self, as_pictures: bool = True) -> str:
        """What it holds, in words; texts and numbers that files are called by as names of these where that is meant.

        >>> Column("a", "text", 9, 9, words=(5, 7, 60), different=9).said()
        'holds text of 5 to 60 words'
        """
        if self.kind in ("picture", "pictures"):
            return "holds pictures" if self.kind == "picture" else "names the pictures of a row"
        if self.shows_pictures and (as_pictures or self.kind == "name"):
            there = f"{self.found} of the first {self.looked_up} are there" if self.looked_up else "none was looked for"
            return "names pictures that are there" if 0 < self.looked_up == self.found else f"names pictures, {there}"
        if self.kind == "turns":
            return "holds conversations"
        if self.kind == "pairs":
            return "holds questions with their answers"
        if self.kind == "json":
            return f"holds objects with {', '.join(f'“{key}”' for key in sorted(self.keys)[:3])}"
        return self._text_said()

    def _text_said(self) -> str:
        low, _, high = self.words
        length = f"{low} to {high} words" if low < high else f"{high} {'word' if high == 1 else 'words'}"
        what = {"texts": "several texts", "answers": "several answers", "number": "numbers"}.get(self.kind, "text")
        if self.repeats and self.different == 1:
            return f"holds the same value in all {self.filled} rows"
        if self.repeats:
            return f"holds {self.different} different values in {self.filled} rows"
        return f"holds {what}" if self.kind == "number" else f"holds {what} of {length}"


def looked_at(rows: Sequence[dict[str, Any]], finder: Finder, beside: str = "") -> tuple[Column, ...]:
    """The columns of some rows, in the order in which they appear.

    Args:
        rows: the first ones of a table.
        finder: of the tree's pictures.
        beside: the table's name, beside which pictures are looked for.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    return tuple(_column(name, [row.get(name) for row in rows], finder, beside) for name in names)


def _column(name: str, values: Sequence[Any], finder: Finder, beside: str) -> Column:
    kinds = [kind_of(value) for value in values]
    filled = [value for value, kind in zip(values, kinds, strict=True) if kind != "empty"]
    kind = _most(kinds)
    sample = _to_look_up(filled, kind, finder)
    texts = (
        [_as_text(value, kind) for value in filled] if kind in ("text", "texts", "number", "answers", "name") else []
    )
    counts = sorted(len(text.split()) for text in texts) or [0]
    objects = [item for value in filled[:20] for item in _objects(unfolded(value))]
    return Column(
        name,
        kind,
        rows=len(values),
        filled=len(filled),
        found=sum(finder.has(value, beside) for value in sample),
        looked_up=len(sample),
        words=(counts[0], median(counts), counts[-1]),
        different=len(set(texts)),
        keys=frozenset(key for item in objects for key in item if item[key] is not None),
        written=sum(bool(_WRITTEN.search(text)) for text in texts),
        wide=_are_wide(filled if kind in ("picture", "name") else [], finder, beside),
        examples=tuple(dict.fromkeys(text[:80] for text in texts))[:5],
    )


def _most(kinds: Sequence[Kind]) -> Kind:
    """The kind of most filled values; a column of texts may hold numbers here and there."""
    counts = Counter(kind for kind in kinds if kind != "empty")
    if not counts:
        return "empty"
    if set(counts) == {"text", "number"}:
        return "text"
    return max(counts, key=lambda kind: counts[kind])


def _to_look_up(filled: Sequence[Any], kind: Kind, finder: Finder) -> list[Any]:
    """Values that may name files: single names, those in lists, and texts and numbers if files could be called so."""
    if kind == "pictures":
        named = [one for value in filled[:MOST_LOOKED_UP] for one in unfolded(value) if kind_of(one) == "name"]
    elif kind == "name":
        named = list(filled)
    elif kind in ("text", "number") and finder.pictures:
        named = [value for value in filled if 0 < len(text_of(value)) <= 200 and len(text_of(value).split()) <= 4]
        named = named if len(named) == len(filled) else []
    else:
        named = []
    return named[:MOST_LOOKED_UP]


def _as_text(value: Any, kind: Kind) -> str:
    if kind == "answers":
        return answer_of(value)
    return texts_of(value)[0] if kind == "texts" and texts_of(value) else text_of(value)


def _objects(value: Any) -> list[dict[str, Any]]:
    """The object that a value is, or those that its list holds."""
    items = value[:3] if isinstance(value, (list, tuple)) else [value]
    return [item for item in items if isinstance(item, dict)]


def _are_wide(values: Sequence[Any], finder: Finder, beside: str) -> bool:
    """Whether most of the first pictures are far wider than high; those that cannot be opened do not count."""
    ratios = []
    for value in values[:MOST_MEASURED]:
        with suppress(Unusable, DataError):
            picture = finder.find(value, Place(beside))
            with picture_header(picture.read(), picture.name) as image:
                ratios.append(image.width / image.height)
    return bool(ratios) and median(ratios) >= WIDE
