"""What the code of a module's class does with its own tensors: which of them it multiplies by.

Read from the source, not run: a matrix that goes through a product is one that a low-rank update can change, while
learned queries, tables of positions and class tokens are only added or looked at.

What it does not do: follow a tensor into other classes, or read code that is not on this machine.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import Any

PRODUCTS = frozenset(
    {"matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "linear", "bilinear", "grouped_mm", "_grouped_mm"}
)
"""Functions of torch that multiply by a matrix they are given."""


@cache
def multiplied(kind: Any) -> frozenset[str]:
    """Names of the attributes of `self` that methods of this class, or of those it inherits from, multiply by.

    >>> class Projection:
    ...     def forward(self, x):
    ...         return x @ self.weight + self.positions
    >>> multiplied(Projection)  # a class that is typed in has no source
    frozenset()
    """
    bases = [base for base in kind.__mro__ if base.__module__.partition(".")[0] not in ("builtins", "torch")]
    methods = [part for base in bases for part in vars(base).values() if inspect.isfunction(part)]
    return frozenset(name for method in methods for name in _products(_source(method)))


def _source(method: Any) -> str:
    """The text of one method, by its line in its file: to ask for a whole class takes a second in a large file."""
    code = inspect.unwrap(method).__code__
    try:
        lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
        return textwrap.dedent("".join(inspect.getblock(lines)))
    except (OSError, TypeError, SyntaxError):
        return ""


def _products(source: str) -> Iterator[str]:
    for node in ast.walk(_parsed(source)):
        factors: list[Any] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            factors = [node.left, node.right]
        elif isinstance(node, ast.Call) and _called(node) in PRODUCTS:
            factors = [*node.args, *(keyword.value for keyword in node.keywords)]
        for factor in factors:
            yield from _own(factor)


def _parsed(source: str) -> ast.AST:
    try:
        return ast.parse(source)
    except SyntaxError:  # a method that was put together by code, or with text at the left margin
        return ast.Module(body=[], type_ignores=[])


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _own(tree: ast.AST) -> Iterator[str]:
    """`self.weight`, also when it is sliced, transposed or cast."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            yield node.attr


def own_matrices(module: Any) -> frozenset[str]:
    """Names of the bare parameters, of two dimensions or more, that a module which is no layer multiplies by."""
    import torch
    from transformers.pytorch_utils import Conv1D

    if type(module).__module__.startswith("torch.nn") or isinstance(module, (torch.nn.Linear, Conv1D)):
        return frozenset()
    own = {name for name, value in module.named_parameters(recurse=False) if value.dim() > 1 and min(value.shape) > 1}
    kind: Any = type(module)
    return frozenset(own & multiplied(kind)) if own else frozenset()
