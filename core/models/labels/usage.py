"""What the code of a module's class does with tensors: which of its own it multiplies by, which of its parts' it reads.

Read from the source, not run: a matrix that goes through a product is one that a low-rank update can change, while
learned queries, tables of positions and class tokens are only added or looked at. And a layer whose weight is read by
the code around it, instead of being called, is read past its LoRA.

What it does not do: follow a tensor into other classes, or read code that is not on this machine.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import Any

PRODUCTS = frozenset(
    {"matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "linear", "bilinear", "grouped_mm", "_grouped_mm"}
)
"""Functions of torch that multiply by a matrix they are given."""
_ABOUT_A_TENSOR = frozenset({"dtype", "device", "shape", "size", "ndim", "dim", "numel", "requires_grad", "is_meta"})
_ASIDE = re.compile(r"^(__init__|_?init_|_?tie_|reset_|get_|set_|resize_|_?load_|post_init)")
"""Methods that no forward calls."""


@cache
def multiplied(kind: Any) -> frozenset[str]:
    """Names of the attributes of `self` that methods of this class, or of those it inherits from, multiply by.

    >>> class Projection:
    ...     def forward(self, x):
    ...         return x @ self.weight + self.positions
    >>> multiplied(Projection)
    frozenset({'weight'})
    """
    return frozenset(name for method in _methods(kind) for name in _products(_parsed(_source(method))))


@cache
def weights_read(kind: Any) -> frozenset[str]:
    """Paths of parts, such as `attn.out_proj`, whose weight this class uses in a computation of its own."""
    return frozenset(
        path
        for method in _methods(kind)
        if "weight" in method.__code__.co_names and not _ASIDE.search(method.__name__)
        for path in _weights(_parsed(_source(method)))
    )


def _methods(kind: Any) -> list[Any]:
    bases = [base for base in kind.__mro__ if base.__module__.partition(".")[0] not in ("builtins", "torch")]
    return [inspect.unwrap(part) for base in bases for part in vars(base).values() if inspect.isfunction(part)]


def _source(method: Any) -> str:
    """The text of one method, by its line in its file: to ask for a whole class takes a second in a large file."""
    code = method.__code__
    try:
        lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 :]
        return textwrap.dedent("".join(inspect.getblock(lines)))
    except (OSError, TypeError, SyntaxError):
        return ""


def _products(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        factors: list[Any] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            factors = [node.left, node.right]
        elif isinstance(node, ast.Call) and _called(node) in PRODUCTS:
            factors = [*node.args, *(keyword.value for keyword in node.keywords)]
        for factor in factors:
            yield from _own(factor)


def _weights(tree: ast.AST) -> Iterator[str]:
    """`self.<path>.weight`, unless only its type, device or shape is asked for."""
    asked = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in _ABOUT_A_TENSOR
    } | {
        id(node.args[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _called(node) in ("isinstance", "hasattr") and node.args
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "weight" and id(node) not in asked:
            path = ast.unparse(node.value)
            if path.startswith("self."):
                yield path.removeprefix("self.")


def _parsed(source: str) -> ast.AST:
    try:
        return ast.parse(source)
    except SyntaxError:  # a method that was put together by code, or with text at the left margin
        return ast.Module(body=[], type_ignores=[])


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _own(factor: ast.AST) -> Iterator[str]:
    """`self.weight`, also when it is sliced, transposed or cast."""
    while isinstance(factor, (ast.Attribute, ast.Subscript, ast.Call)):
        if isinstance(factor, ast.Attribute) and isinstance(factor.value, ast.Name) and factor.value.id == "self":
            yield factor.attr
        factor = factor.func if isinstance(factor, ast.Call) else factor.value


def own_matrices(module: Any) -> frozenset[str]:
    """Names of the bare parameters, of two dimensions or more, that a module which is no layer multiplies by."""
    import torch
    from transformers.pytorch_utils import Conv1D

    if type(module).__module__.startswith("torch.nn") or isinstance(module, (torch.nn.Linear, Conv1D)):
        return frozenset()
    own = {name for name, value in module.named_parameters(recurse=False) if value.dim() > 1 and min(value.shape) > 1}
    kind: Any = type(module)
    return frozenset(own & multiplied(kind)) if own else frozenset()
