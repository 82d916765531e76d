"""Short ways to the results of operations on fake tensors, whose own way takes most of the time of a step without data.

A step asks for the same few operations again and again, so results are remembered by the shapes that go in. What has
not been met yet goes straight to torch's kernels without data where these are all that there is to it.
What it does not do: find a shape by rules of its own, or remember what hangs on values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, in_kernel_invocation_manager

MOST = 100_000
"""Results that are remembered, of a few hundred bytes each."""
_CPU = torch.device("cpu")
_PLAIN = (int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format)
_aten = torch.ops.aten
_STRAIGHT = frozenset(
    (
        _aten.addmm.default, _aten.bmm.default, _aten.cat.default, _aten.clone.default, _aten.detach.default,
        _aten.mean.dim, _aten.mm.default, _aten.select_backward.default, _aten.slice_backward.default,
        _aten._softmax.default, _aten._softmax_backward_data.default, _aten.sum.dim_IntList,
    )
)  # fmt: skip
"""Beside views and what goes number by number: operations in whose way to a fake result no device has a say."""
_BY_VALUE = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape, torch.Tag.inplace_view)


class _Made(NamedTuple):
    """One tensor that an operation returns."""

    argument: int | None
    """The tensor among the arguments that it is, or whose storage it has; None for a new one."""
    same: bool
    """Whether it is that argument."""
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype


class _Result(NamedTuple):
    """What an operation returns."""

    kind: type | None
    """List or tuple; None for a tensor by itself."""
    parts: tuple[_Made | None, ...]


_remembered: dict[Any, _Result | None] = {}
_by_value: dict[Any, bool] = {}
_straight: dict[Any, bool] = {}
_attributes: dict[str, Any] = {}
"""Of a new fake tensor."""


class _Unknown(Exception):
    """Nothing can be remembered of this call."""


def recalled(mode: FakeTensorMode, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of an operation, from memory where its like was run before.

    Args:
        mode: of the fake tensors among the arguments.
        function: of torch.
        args: of it, with at least one fake tensor.
        kwargs: of it.
    """
    tensors: list[torch.Tensor] = []
    try:
        key = (function, *_key(args, tensors), *kwargs, *_key(kwargs.values(), tensors))
    except _Unknown:
        return function(*args, **kwargs)
    if key in _remembered:
        found = _remembered[key]
        return function(*args, **kwargs) if found is None else _again(mode, found, tensors)
    if _goes_straight(function) and all(type(tensor) is FakeTensor for tensor in tensors):
        result = _straight_result(mode, function, args, kwargs)
    else:
        result = function(*args, **kwargs)
    if len(_remembered) >= MOST:
        _remembered.clear()
    _remembered[key] = None if _hangs_on_values(function) else _seen(result, tensors)
    return result


def _goes_straight(function: Any) -> bool:
    """Whether torch's kernels without data say all about the operation's result."""
    if function not in _straight:
        alike = function in _STRAIGHT or function.is_view or torch.Tag.pointwise in function.tags
        _straight[function] = alike and not function._schema.is_mutable and not _hangs_on_values(function)
    return _straight[function]


def _straight_result(mode: FakeTensorMode, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of an operation on nothing but fake tensors."""
    with in_kernel_invocation_manager(mode):
        result = function(*args, **kwargs)
    if isinstance(result, torch.Tensor):
        return _fake(mode, result)
    return type(result)(one if one is None else _fake(mode, one) for one in result)


def _hangs_on_values(function: Any) -> bool:
    """Whether the result's shape does, or the operation changes that of an argument."""
    if function not in _by_value:
        _by_value[function] = function.namespace != "aten" or any(tag in function.tags for tag in _BY_VALUE)
    return _by_value[function]


def _key(values: Iterable[Any], tensors: list[torch.Tensor]) -> list[Any]:
    """What the result's shape hangs on; the tensors on the way are added to the list.

    Raises:
        _Unknown: on something else.
    """
    key: list[Any] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            fake = type(value) is FakeTensor
            if value.dtype.is_complex or not (fake or value.device is _CPU or value.device == _CPU):
                raise _Unknown
            tensors.append(value)
            key.append((fake, value.dtype, value.shape, value.stride(), value.storage_offset()))
        elif type(value) in (list, tuple):
            key.append(tuple(_key(value, tensors)))
        elif isinstance(value, _PLAIN):
            key.append((type(value), value))
        else:
            raise _Unknown
    return key


def _seen(result: Any, tensors: list[torch.Tensor]) -> _Result | None:
    """What a result consists of; None where it cannot be made again from shapes alone."""
    several = type(result) in (list, tuple)
    storages = {tensor.untyped_storage()._cdata: place for place, tensor in enumerate(tensors)}
    made: list[_Made | None] = []
    for value in result if several else (result,):
        if value is None:
            made.append(None)
            continue
        if type(value) is not FakeTensor or value.dtype.is_complex or value.layout is not torch.strided:
            return None
        storage = value.untyped_storage()
        argument = storages.get(storage._cdata)
        if argument is None:
            if storage.nbytes() != _nbytes(value) or value.storage_offset():
                return None
            storages[storage._cdata] = len(tensors)  # a second result in it is not new
        elif argument >= len(tensors) or type(tensors[argument]) is not FakeTensor:
            return None
        same = any(value is tensor for tensor in tensors)
        if value.requires_grad and not same:
            return None
        place = next(place for place, tensor in enumerate(tensors) if tensor is value) if same else argument
        offset = int(value.storage_offset())
        made.append(_Made(place, same, tuple(value.shape), value.stride(), offset, value.dtype))
    return _Result(type(result) if several else None, tuple(made))


def _nbytes(tensor: torch.Tensor) -> int:
    """Bytes that a tensor of its own needs."""
    if not tensor.numel():
        return 0
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.itemsize


def _again(mode: FakeTensorMode, result: _Result, tensors: list[torch.Tensor]) -> Any:
    """The result with these tensors as arguments."""
    made = [None if one is None else _made(mode, one, tensors) for one in result.parts]
    return made[0] if result.kind is None else result.kind(made)


def _made(mode: FakeTensorMode, one: _Made, tensors: list[torch.Tensor]) -> torch.Tensor:
    if one.argument is not None and one.same:
        return tensors[one.argument]
    with torch._C._DisableTorchDispatch():
        if one.argument is None:
            meta = torch.empty_strided(one.shape, one.stride, dtype=one.dtype, device="meta")
        else:
            meta = torch.empty_strided((0,), (1,), dtype=one.dtype, device="meta")
            meta.set_(tensors[one.argument].untyped_storage(), one.offset, one.shape, one.stride)
    return _fake(mode, meta)


def _fake(mode: FakeTensorMode, meta: torch.Tensor) -> torch.Tensor:
    """A fake tensor of this shape: what its class does to a new one, without looking at everything that could be."""
    if not _attributes:
        _attributes.update(vars(FakeTensor(mode, meta, _CPU)))
    made = torch.Tensor._make_subclass(FakeTensor, meta, False, dispatch_device=True, device_for_backend_keys=_CPU)
    vars(made).update(_attributes, fake_mode=mode)
    return made
