"""Values as JSON, in and out; extra keys and wrong types are refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from core.errors import SpecError
from core.files import taking_the_place_of

STRICT = ConfigDict(extra="forbid")
"""Of every value that crosses a border."""


def plain_number(number: float) -> str:
    """The number as people write it.

    >>> plain_number(1e7), plain_number(1e-9), plain_number(0.5)
    ('10,000,000', '1e-09', '0.5')
    """
    whole = isinstance(number, float) and number.is_integer() and abs(number) < 1e15
    return f"{int(number) if whole else number:,}"


def plural(count: int, noun: str) -> str:
    """A number with its noun.

    >>> plural(1, "row"), plural(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


Value = TypeVar("Value")


def to_json(value: Any, indent: int | None = None) -> str:
    """The value as JSON text; NaN and infinity never stand in it."""
    return json.dumps(TypeAdapter(type(value)).dump_python(value, mode="json"), indent=indent, allow_nan=False)


def to_dict(value: Any) -> dict[str, Any]:
    """The value as plain dicts, lists, strings and numbers."""
    plain: dict[str, Any] = TypeAdapter(type(value)).dump_python(value, mode="json")
    return plain


def from_dict(kind: type[Value], data: Any) -> Value:
    """The value from plain data.

    Raises:
        SpecError: a key is unknown or missing, or a value has the wrong type.
        PlanError: see `Plan`.
    """
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or kind.__name__
        raise SpecError(
            f"{kind.__name__}: “{where}” was read", first["msg"].lower(), "See `python -m core.cli spec --demo digits`"
        ) from None


def from_json(kind: type[Value], text: str | bytes) -> Value:
    """The value from JSON text; raises like `from_dict`."""
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"A {kind.__name__} was read", f"it is not JSON ({error})", "Check the file") from None
    return from_dict(kind, data)


def read(kind: type[Value], path: Path) -> Value:
    """The value from a file.

    Raises:
        SpecError: the file is missing or does not hold such a value.
    """
    try:
        return from_json(kind, path.read_bytes())
    except OSError as error:
        raise SpecError(f"{path.name} was read", error.strerror or "it cannot be read", "Check the path") from None


def write(value: Any, path: Path) -> None:
    """Writes the value as JSON, so that no reader sees half of it and a failure leaves what was there.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    with taking_the_place_of(path) as staged:
        staged.write_text(to_json(value, indent=2) + "\n", encoding="utf-8")
