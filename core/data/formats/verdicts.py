"""Whether a text belongs to its picture, as a column of pairs says it: 1 and 0, yes and no, true and false.

What it does not do: word the question (`templates`), or choose the form (`evidence`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.data.formats import roles
from core.data.formats.columns import Column
from core.data.formats.values import text_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


YES = _words("1 1.0 true t yes y match matches matched matching positive correct aligned entailment")
NO = _words("0 0.0 -1 -1.0 false f no n mismatch mismatched nonmatch unmatched negative incorrect wrong contradiction")
_SAYS_SO = _words(
    "match matches matched matching is_match is_matched is_matching belongs belong belongs_together is_correct "
    "correct is_relevant relevant is_aligned aligned is_positive is_pair true_pair verdict entailment entails"
)
"""Names of columns that say whether picture and text belong together."""
_MAY_SAY_SO = _words("label labels target class y gt")
"""Names of columns that say so when they hold yes and no beside what is said of a picture, another one in each row."""
_SAID_OF_IT = roles.SAID_ABOUT | {"statement", "statements", "hypothesis", "claim", "query"}
"""Names of columns of texts that are true of a picture or not; a mere `text` may be one that stands in it."""


def verdict_of(value: Any) -> str:
    """What a cell says of its pair; nothing where it says neither.

    >>> verdict_of(True), verdict_of(0.0), verdict_of("Match"), verdict_of("cat")
    ('yes', 'no', 'yes', '')
    """
    said = text_of(value).lower()
    return "yes" if said in YES else "no" if said in NO else ""


def verdict_column(columns: Sequence[Column], text: Column) -> Column | None:
    """The column that says whether a text belongs to its picture; None where none says so."""
    told = [column for column in columns if column is not text and _holds_verdicts(column)]
    named = [column for column in told if roles.plain(column.name) in _SAYS_SO]
    if set(roles.plain(text.name).split("_")) & _SAID_OF_IT:
        named += _labels_beside(text, told)
    return next(iter(named), None)


def class_of_both(columns: Sequence[Column], text: Column) -> Column | None:
    """The column that says yes or no of a picture together with a text, such as of a meme; None where none does."""
    told = [column for column in columns if column is not text and _holds_verdicts(column)]
    if verdict_column(columns, text) is not None:
        return None
    return next(iter(_labels_beside(text, told)), None)


def _labels_beside(text: Column, told: Sequence[Column]) -> list[Column]:
    """Labels of yes and no beside a text that is another one in each row."""
    if text.repeats or text.words[1] < 2:
        return []
    return [column for column in told if roles.plain(column.name) in _MAY_SAY_SO]


def _holds_verdicts(column: Column) -> bool:
    said = [verdict_of(example) for example in column.examples]
    return column.kind in ("text", "number") and set(said) == {"yes", "no"} and column.different <= len(said)
