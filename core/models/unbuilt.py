"""Why a config could not be built, in words: the package that is missing, or the field that is empty.

Whatever transformers raises, the frame that raised it tells which of the config's fields it was reading.

What it does not do: mend a config, or decide what is refused (`build.py`).
"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import textwrap
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from core.models.repository import clip


class Why(NamedTuple):
    """A reason and what to do."""

    reason: str
    remedy: str


_WRONG = "is not of the type"


class _Read(NamedTuple):
    """A field of a config that a function read, and its value."""

    config: Any
    field: str
    value: Any


_NAME = re.compile(r"^\w+Error: (?=.*\s)")
"""The name of an error, which says nothing to a person where words follow it."""


def why_unbuilt(error: Exception, written: dict[str, Any], config: Any = None) -> Why:
    """The reason in words for what building a model raised, and the remedy.

    Args:
        error: as caught, with its traceback.
        written: the config as it is written.
        config: the model's, where it was read already; fields are named from it.
    """
    if isinstance(error, ImportError):
        package = missing_package(error)
        return Why(
            f"it needs the package {package}, which is not installed", f"Install {package}, or take another model"
        )
    if found := _by_type(error, written) or _by_field(error, config):
        verb = "Correct" if _WRONG in found else "Fill in"
        return Why(found, f"{verb} the field in its config.json, or take another version of the model")
    return Why(
        f"its config cannot be built ({_NAME.sub('', first_line(error))})",
        "Check its config.json, or take a version of the model made for transformers",
    )


def missing_package(error: ImportError) -> str:
    """The package that an import error speaks of.

    >>> missing_package(ImportError("TimmWrapperModel requires the timm library but it was not found"))
    'timm'
    """
    named = re.search(r"requires the ([\w.-]+) library|pip install ([\w.-]+)|No module named '([\w-]+)", str(error))
    return next(filter(None, named.groups())) if named else (error.name or first_line(error))


def first_line(error: BaseException) -> str:
    """What an error says, without paths of this machine; of one that only wraps another, what that says."""
    while error.__cause__ is not None and not isinstance(error, (TypeError, KeyError)):
        error = error.__cause__
    line = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return clip(f"{type(error).__name__}: {re.sub(r'(/[^/ ]+){2,}', '…', line)}", 160)


def _by_type(error: BaseException, written: dict[str, Any]) -> str | None:
    """The field whose value has the wrong type, as transformers checks it."""
    found = re.search(r"Field '(\w+)' expected (.+?), got (\w+)", first_line(error))
    if found is None:
        return None
    field, wanted, got = found.groups()
    name = next((path for path, value in _written(written, field) if type(value).__name__ == got), field)
    return (
        f"its config leaves {name} empty" if got == "NoneType" else f"its config's {name} {_WRONG} {wanted}, but {got}"
    )


def _written(part: dict[str, Any], field: str) -> Iterator[tuple[str, Any]]:
    """Where a field of this name stands in a config, and its value."""
    if field in part:
        yield field, part[field]
    for key, inner in part.items():
        if isinstance(inner, dict):
            yield from ((f"{key}.{path}", value) for path, value in _written(inner, field))


def _by_field(error: Exception, config: Any) -> str | None:
    """The field of the config that was missing or empty, as a reason."""
    if not isinstance(error, (TypeError, AttributeError, KeyError)):
        return None
    missing, obj = getattr(error, "name", None), getattr(error, "obj", None)
    if isinstance(error, AttributeError) and missing and hasattr(obj, "model_type"):
        return f"its config has no field {_path(obj, config)}{missing}"
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_models(frame)]
    for frame, line in reversed(frames):
        for read in _suspects(frame, line):
            name = f"{_path(read.config, config)}{read.field}"
            if isinstance(error, KeyError) and isinstance(read.value, dict):
                return f"its config's {name} has no entry “{clip(str(error.args[0]))}”"
            if read.value is None:
                return f"its config leaves {name} empty"
    return None


def _is_models(frame: FrameType) -> bool:
    return bool(re.search(r"transformers.models.\w+.(modeling|configuration)_", frame.f_code.co_filename))


def _suspects(frame: FrameType, line: int) -> Iterator[_Read]:
    """The fields that the failing statement reads, then those that were put into what it reads of `self`."""
    function, first = _function(frame)
    if function is None:
        return
    statements = [node for node in ast.walk(function) if isinstance(node, ast.stmt) and not hasattr(node, "body")]
    failing = [node for node in statements if node.lineno + first <= line <= (node.end_lineno or 0) + first]
    for statement in failing:
        yield from _reads(statement, frame)
    used = {
        ast.unparse(node) for statement in failing for node in ast.walk(statement) if isinstance(node, ast.Attribute)
    }
    for statement in statements:
        if isinstance(statement, ast.Assign) and {ast.unparse(target) for target in statement.targets} & used:
            yield from _reads(statement, frame)


def _function(frame: FrameType) -> tuple[ast.AST | None, int]:
    """The function of a frame as a tree, and what is added to its line numbers."""
    begin = frame.f_code.co_firstlineno
    lines = linecache.getlines(frame.f_code.co_filename)[begin - 1 :]
    try:
        return ast.parse(textwrap.dedent("".join(inspect.getblock(lines)))), begin - 1
    except SyntaxError:
        return None, 0


def _reads(statement: ast.AST, frame: FrameType) -> Iterator[_Read]:
    """Fields of configs that a statement reads, with their values; nothing of it is run."""
    for node in ast.walk(statement):
        field: str | None
        if isinstance(node, ast.Attribute):
            config, field = _value(node.value, frame), node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            config, field = _value(node.args[0], frame), getattr(node.args[1], "value", None)
        else:
            continue
        if hasattr(config, "model_type") and field in vars(config):
            yield _Read(config, str(field), vars(config)[field])


def _value(node: ast.AST, frame: FrameType) -> Any:
    """The value of a name, or of plain attributes of one."""
    if isinstance(node, ast.Name):
        return frame.f_locals.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_value(node.value, frame), "__dict__", {}).get(node.attr)
    return None


def _path(part: Any, config: Any) -> str:
    """How a part of the config is reached from the whole, with a dot behind it; nothing for the whole itself."""
    if part is config:
        return ""
    key = getattr(part, "base_config_key", "")
    return _path_inside(part, config) or (f"{key}." if key else "")


def _path_inside(part: Any, config: Any) -> str:
    for key, inner in vars(config).items() if config is not None else ():
        if inner is part:
            return f"{key}."
        if hasattr(inner, "model_type") and hasattr(inner, "to_dict") and (found := _path_inside(part, inner)):
            return f"{key}.{found}"
    return ""
