"""Whether a reading that a person put together fits the data: its columns are there, its form has their parts, and
its templates name nothing else.

What it does not do: guess columns (`recognition`), or look whether they hold what their part needs (`records` does).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.data.formats import roles
from core.data.formats.records import picture_columns
from core.errors import SpecError
from core.spec.data import Part, Reading

_FIELD = re.compile(r"(?<![\w}\\]){([^\W_][\w .-]{0,99})}")
"""A name in braces; not JSON, and not the braces of a formula such as `\\frac{a}{b}`."""


def refuse_unknown(reading: Reading, columns: Sequence[str]) -> None:
    """Refuses a reading that names what is not there, by its name; such a part would be left out without a word.

    Args:
        reading: as a person wants it.
        columns: all that the data have, `Guess.columns`.

    Raises:
        SpecError: a column is not there, the form has no such part, or no column says the sides.
    """
    for part, column in reading.columns.items():
        _refuse_column(part, column, columns)
        _refuse_part(part, column, reading)
    if reading.split.by == "column" and "split" not in reading.columns:
        remedy = "Choose the column for “split”, or hold out a share"
        raise SpecError("A column is to say which rows are held out", "none is chosen", remedy)


def refuse_unknown_fields(reading: Reading, columns: Sequence[str]) -> None:
    """Refuses templates with `{name}` where nothing is called so; the page shows such a text and warns beside it.

    Raises:
        SpecError: a template names what is no column and no part.
    """
    _refuse_field(reading.template, ("question",), reading, columns)
    _refuse_field(reading.answer_template, ("answer", "text", "label"), reading, columns)


def _refuse_column(part: Part, column: str, columns: Sequence[str]) -> None:
    known = set(columns)
    missing = [name for name in picture_columns(column, known.__contains__) if name not in known]
    if missing:
        asked = f"The column “{missing[0][:100]}” was chosen for “{part}”"
        there = ", ".join(f"“{name}”" for name in columns[:20]) + (" and others" if len(columns) > 20 else "")
        raise SpecError(asked, "the data have no such column", f"Choose one of {there}" if there else "Choose none")


def _refuse_part(part: Part, column: str, reading: Reading) -> None:
    parts = roles.parts_of(reading.format)
    if part not in parts:
        asked = f"The column “{column[:100]}” was chosen for “{part}”"
        reason = f"rows of the form {reading.format} have no such part"
        remedy = f"Choose another form, or one of its parts: {', '.join(parts)}"
        raise SpecError(asked, reason, remedy)


def _refuse_field(template: str, own: Sequence[str], reading: Reading, columns: Sequence[str]) -> None:
    """Refuses `{name}` where no column and no part is called so; it would be asked as it stands there."""
    known = {*columns, *own, *reading.columns}
    unknown = next((name for name in _FIELD.findall(template) if name not in known), None)
    if unknown is not None:
        there = ", ".join(f"{{{name}}}" for name in columns[:20])
        remedy = f"Name one of {there}, or write it without braces" if there else "Write it without braces"
        raise SpecError(f"The template asks for {{{unknown}}}", "no column is called so", remedy)
