"""Whether a text beside a picture says what is seen, what is written there, or of which class it is.

What it does not do: find the text (`evidence`, `layouts`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from core.data.formats import roles
from core.data.formats.columns import Column

_ARTICLES = re.compile(
    r"(an?|the|some|one|two|eine?|der|die|das|une?|l[aeo]|les|el|l[oa]s|una|uno|il)\b", re.IGNORECASE
)
"""A text begins with one of them, as captions do: English, German, French, Spanish, Italian."""


@dataclass(frozen=True)
class Judgement:
    """How sure each is, from 0 to 100."""

    captions: int
    ocr: int
    classes: int
    why: str = ""
    """What decided it, where that is not the column itself."""


def judge(column: Column, wide: bool) -> Judgement:
    """What a text is, by its column's name, its length, how often it repeats, and the shape of the pictures.

    Args:
        column: of the texts.
        wide: whether the pictures are far wider than high.

    >>> judge(Column("caption", "text", 9, 9, words=(5, 9, 12), different=9), False).captions
    85
    """
    found = _by_name(column) or _by_values(column)
    if wide and found.classes < 80 and not set(roles.plain(column.name).split("_")) & roles.SAID_ABOUT:
        why = "the pictures are far wider than high, as lines of writing are"
        return replace(found, ocr=max(found.ocr, 88), captions=min(found.captions, 60), why=why)
    return found


def _by_name(column: Column) -> Judgement | None:
    """By what the column is called, if that says something and the values do not speak against it."""
    name, long = roles.plain(column.name), column.words[1]
    words = set(name.split("_"))
    if name in roles.READ_OFF or words & (roles.READ_OFF - {"words"}):
        return Judgement(40, 85, 20)
    if words & roles.SAID_ABOUT:
        return Judgement(60, 20, 55) if column.repeats and long <= 2 else Judgement(85, 30, 20)
    if name in roles.CALLED["label"] and name not in ("name", "target") and long <= 6:
        if column.repeats or column.different <= 20:
            return Judgement(30, 40, 85)
        return Judgement(45, 60, 50) if long <= 3 else Judgement(60, 50, 40)
    return None


def _by_values(column: Column) -> Judgement:
    """Few values that repeat are classes, codes and markup are read off, several words say what is seen."""
    long = column.words[1]
    if column.repeats and long <= 4:
        return Judgement(40, 30, 80)
    if column.written * 3 >= column.filled > 0:
        return Judgement(50, 70, 10)
    if long >= 4:
        return Judgement(80, 50, 10)
    if _begin_as_phrases(column):
        return Judgement(75, 45, 20)
    if long >= 2 and not column.repeats:
        return Judgement(64, 60, 30)
    return Judgement(65, 45, 30) if roles.plain(column.name) in ("name", "title") else Judgement(50, 60, 30)


def _begin_as_phrases(column: Column) -> bool:
    """Whether most of its texts begin with an article, as a short caption does: `a small cat`."""
    begins = [_ARTICLES.match(example) is not None for example in column.examples]
    return column.words[1] >= 2 and sum(begins) * 2 > len(begins)
