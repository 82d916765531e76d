"""Runs operations of torch without data: floating-point tensors are fake, whole numbers and truth values are real.

A fake tensor has a shape and a storage of a size, and nothing in it. Models read whole numbers in the middle (picture
grids, how many tokens stand for a picture), so these are computed for real, as small floating-point tensors made from
them are. Where a model reads a value that depends on a weight or a pixel, the answer is “yes”, or 1, and counted.
What it does not do: count bytes (see `ledger`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily

from core.memory.dry_run.recall import recalled

SMALL = 1 << 16
"""Elements: a floating-point tensor that depends on no weight and no pixel stays real up to this size."""
LARGE = 1 << 24
"""Elements: nothing larger is made for real, such as the masks of long rows; whole numbers in it are not known then."""
_aten = torch.ops.aten
_READS = (_aten._local_scalar_dense.default,)
_REDUCE = (_aten.sum.default, _aten.sum.dim_IntList, _aten.any.default, _aten.any.dim, _aten.all.default, _aten.all.dim)
"""What makes little out of much, so that it is done for real at any size."""
_EMPTY = (_aten.empty.memory_format, _aten.empty_strided.default)
"""What stands in it is unknown, so floating-point numbers of it are fake at any size, such as pixels."""
_EQUAL = (_aten.eq.Scalar, _aten.ne.Scalar)
_BY_MASK = (_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default, _aten._index_put_impl_.default)


class OutOfTime(Exception):
    """A step without data takes longer than anyone would wait for."""


class Pretence:
    """How operations are run on fake tensors; hand `run` to a `Ledger`.

    Args:
        mode: the fake mode, entered by whoever uses this.
        until: `time.monotonic()` after which no operation is begun.
    """

    def __init__(self, mode: FakeTensorMode, until: float = math.inf) -> None:
        self.mode, self._until = mode, until
        self.guesses = 0
        """How often a value was needed that nothing real could give."""

    def run(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result of one operation.

        Raises:
            OutOfTime: it is too late.
        """
        if time.monotonic() > self._until:
            raise OutOfTime
        if function is _aten._unsafe_view.default:
            function = _aten.view.default  # the same bytes, and torch remembers its result
        tensors = list(_tensors(args)) + list(_tensors(kwargs.values()))
        if not any(isinstance(tensor, FakeTensor) for tensor in tensors):
            if function in _REDUCE or (_is_small(tensors) if tensors else _makes_small(function, args, kwargs)):
                return self._really(function, args, kwargs)
        elif function in _READS:
            self.guesses += 1
            return tensors[0].dtype == torch.bool or 1
        elif function in _EQUAL and tensors[0].is_floating_point():
            return self._all(tensors[0].shape, function is _aten.ne.Scalar)
        elif function in _BY_MASK:
            args = (args[0], self._positions(args[1]), *args[2:])
        elif function is _aten.nonzero.default:
            return self._nonzero(tensors[0])
        elif function is _aten.masked_select.default:
            chosen = len(
                self._nonzero(torch.broadcast_to(args[1], torch.broadcast_shapes(args[0].shape, args[1].shape)))
            )
            return args[0].new_empty(chosen)
        elif function is _aten._grouped_mm.default:
            return _grouped(*args[:3])
        return recalled(self.mode, function, args, kwargs)

    def _all(self, shape: torch.Size, value: bool) -> torch.Tensor:
        """Whether numbers that are not known equal a given one: none does, as in a picture that is not empty."""
        self.guesses += 1
        with unset_fake_temporarily():
            return torch.tensor(value).expand(shape)

    def _really(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result from real tensors; a large floating-point one becomes fake."""
        with unset_fake_temporarily():
            result = function(*args, **kwargs)
        if isinstance(result, torch.Tensor) and result.is_floating_point() and result.numel() > SMALL:
            return self.mode.from_tensor(result)
        return result

    def _nonzero(self, mask: torch.Tensor) -> torch.Tensor:
        """Where a mask is true, [N, dims]: everywhere if it is fake, which is a guess."""
        with unset_fake_temporarily():
            if isinstance(mask, FakeTensor):
                self.guesses += 1
                mask = torch.ones(mask.shape, dtype=torch.bool)
            return mask.nonzero()

    def _positions(self, indices: Any) -> list[torch.Tensor | None]:
        """Masks among the indices as the positions that they choose, since the number of these must be known."""
        plain: list[torch.Tensor | None] = []
        for index in indices:
            if index is None or index.dtype not in (torch.bool, torch.uint8):
                plain.append(index)
            else:
                plain.extend(self._nonzero(index).unbind(dim=1))
        return plain


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    """The tensors among an operation's arguments, also those in lists."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif type(value) in (list, tuple):
            yield from _tensors(value)


def _grouped(left: torch.Tensor, right: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """The result of a product by groups, whose fake version knows bfloat16 only, unlike the kernels."""
    if left.ndim == 2 and right.ndim == 2:
        return left.new_empty(ends.shape[0], left.shape[0], right.shape[1])
    if left.ndim == 3 and right.ndim == 3:
        return left.new_empty(left.shape[0], left.shape[1], right.shape[2])
    return left.new_empty(left.shape[-2], right.shape[-1])


def _makes_small(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an operation without tensors makes whole numbers, or a small tensor of any kind."""
    sizes = args[0] if args and isinstance(args[0], (list, tuple)) else args
    count = 1
    for size in sizes:
        if isinstance(size, int):
            count *= max(1, abs(size))
    dtype = kwargs.get("dtype") or torch.get_default_dtype()
    if function in _EMPTY and dtype.is_floating_point:
        return False
    return count <= (SMALL if dtype.is_floating_point or dtype.is_complex else LARGE)


def _is_small(tensors: list[torch.Tensor]) -> bool:
    """Whether an operation on these real tensors makes one that may be real: as large as all of them broadcast."""
    if max(tensor.numel() for tensor in tensors) > LARGE:
        return False
    try:
        return math.prod(torch.broadcast_shapes(*(tensor.shape for tensor in tensors))) <= LARGE
    except RuntimeError:  # shapes that are not broadcast, as in indexing
        return True


def put_fakes(model: Any, mode: FakeTensorMode, dtype: torch.dtype, skip: frozenset[int] = frozenset()) -> None:
    """Replaces every parameter and buffer by a fake one of its shape, shared ones by the same.

    PEFT cannot wrap a model of fake tensors; so a model is built and wrapped on the meta device first.

    Args:
        model: on the meta device.
        mode: of the fakes.
        dtype: of frozen floating-point parameters; trained ones and buffers keep theirs.
        skip: ids of modules that stay as they are, since they never run.
    """
    made: dict[int, torch.Tensor] = {}
    kept: list[torch.Tensor] = []  # so that no id is used twice
    with mode:
        for module in model.modules():
            if id(module) in skip:
                continue
            for slots in (module._parameters, module._buffers):
                for name, old in slots.items():
                    if old is None:
                        continue
                    if id(old) not in made:
                        made[id(old)] = _fake(old, dtype)
                        kept.append(old)
                    slots[name] = made[id(old)]


def _fake(old: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A tensor like the old one in a fake mode."""
    is_parameter = isinstance(old, torch.nn.Parameter)
    keeps = not is_parameter or old.requires_grad or not old.is_floating_point()
    new = torch.empty(old.shape, dtype=old.dtype if keeps else dtype, device="cpu")
    return torch.nn.Parameter(new, requires_grad=old.requires_grad) if is_parameter else new
