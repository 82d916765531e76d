"""Whether a model's code is word for word code that is known, so that other arithmetic may stand in its place.

Names of parameters and comments do not count. What calls other functions of its own file has those looked at as well.
What it does not do: replace anything.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from functools import lru_cache
from typing import Any


def is_known(function: Any, *known: str) -> bool:
    """Whether a function's body is one of those given.

    Args:
        function: a function or a method as its class has it; one that a decorator has wrapped is never known.
        known: bodies, with the function's parameters after `self` called `x`, `x1`, `x2` and so on.
    """
    written = body(function)
    return bool(written) and written in {_plain(each) for each in known}


@lru_cache(maxsize=512)
def body(function: Callable[..., Any]) -> str:
    """A function's code without its comments, its parameters called `x`, `x1`, ...; "" where it cannot be read."""
    if not inspect.isfunction(function) or hasattr(function, "__wrapped__"):
        return ""
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except OSError:
        return ""
    tree = ast.parse(source).body[0]
    if not isinstance(tree, ast.FunctionDef):
        return ""
    inside = tree.body[1:] if ast.get_docstring(tree) is not None else tree.body
    names = [argument.arg for argument in tree.args.args if argument.arg != "self"]
    renamed = {name: f"x{at}" if at else "x" for at, name in enumerate(names)}
    return "\n".join(ast.unparse(_Renamed(renamed).visit(statement)) for statement in inside)


@lru_cache(maxsize=64)
def _plain(code: str) -> str:
    """Code as `body` writes it."""
    return ast.unparse(ast.parse(textwrap.dedent(code)))


class _Renamed(ast.NodeTransformer):
    """Gives names of variables others."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """One name."""
        return ast.copy_location(ast.Name(self._names.get(node.id, node.id), node.ctx), node)
