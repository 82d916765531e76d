"""Counts the bytes of all tensors that are alive, real ones and fake ones, while a step runs.

Every operation of torch passes through a dispatch mode. A storage that is seen for the first time is added, and taken
off when it dies. The bytes are kept apart by where in the step they were made, so that at each maximum it is known
what it consisted of.
What it does not do: see what a kernel allocates and frees inside of itself, or run a step.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_DEVICE = torch.ops.prim.device.default
Run = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]
"""How an operation is run: function, positional and keyword arguments -> result."""


class Place(NamedTuple):
    """Where in the step a storage was made."""

    call: int
    """How many calls of repeated layers had begun."""
    part: str
    """`input`, `vision`, `language`, `logits`, `gradient` or `workspace`."""


class When(NamedTuple):
    """A stretch of the step: the forward or the backward pass of one call of a repeated layer."""

    backward: bool
    call: int


@dataclass(frozen=True)
class Moment:
    """The maximum within one stretch, and what it consisted of."""

    when: When
    live: dict[Place, int]
    """Bytes."""

    @property
    def total(self) -> int:
        """Bytes alive."""
        return sum(self.live.values())


def _plainly(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)


class Ledger(TorchDispatchMode):
    """Counts storages made while it is entered. `place` and `when` are set from outside as the step goes on.

    Args:
        run: how operations are run; as they are unless told otherwise.
        rounding: each storage counts as the next multiple of so many bytes.
    """

    def __init__(self, run: Run = _plainly, rounding: int = 1) -> None:
        super().__init__()
        self._run, self._rounding = run, rounding
        self._known: dict[int, tuple[Place, int]] = {}
        self._watched: dict[int, Any] = {}
        self._live: Counter[Place] = Counter()
        self._peaks: dict[When, tuple[int, dict[Place, int]]] = {}
        self.total = 0
        self.place = Place(0, "input")
        self.when = When(False, 0)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here; asking for it at every operation takes longer than the operation

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is _DEVICE and hasattr(args[0], "fake_device"):  # asked by autograd for every tensor
            return args[0].fake_device
        result = self._run(func, args, kwargs or {})
        for value in result if type(result) in (list, tuple) else (result,):
            if isinstance(value, torch.Tensor):
                self.add(value)
            elif type(value) in (list, tuple):
                self._add_all(value)
        return result

    def _add_all(self, values: Any) -> None:
        for value in tree_leaves(values):
            if isinstance(value, torch.Tensor):
                self.add(value)

    def ignore(self, tensors: Iterable[torch.Tensor]) -> None:
        """Takes these as being there from the start, at no cost; they must outlive the ledger."""
        for tensor in tensors:
            self._known[tensor.untyped_storage()._cdata] = (Place(0, "input"), 0)

    def add(self, tensor: torch.Tensor) -> None:
        """Counts the tensor's storage unless it is known."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = -(-storage.nbytes() // self._rounding) * self._rounding
        self._known[key] = (self.place, size)
        self._live[self.place] += size
        self.total += size
        self._watched[key] = weakref.ref(storage, partial(self._drop, key))
        if self.total > self._peaks.get(self.when, (-1,))[0]:
            self._peaks[self.when] = (self.total, dict(self._live))

    def move(self, tensor: torch.Tensor, part: str) -> None:
        """Says what a storage has turned out to be, such as a gradient."""
        key = tensor.untyped_storage()._cdata
        if key in self._known:
            place, size = self._known[key]
            self._live[place] -= size
            self._live[(place := Place(place.call, part))] += size
            self._known[key] = (place, size)

    def own(self, tensor: torch.Tensor, call: int) -> None:
        """Says that a storage belongs to a call: what a layer is given is kept, if at all, for its own sake."""
        key = tensor.untyped_storage()._cdata
        if key in self._known:
            place, size = self._known[key]
            self._live[place] -= size
            self._live[(place := Place(call, place.part))] += size
            self._known[key] = (place, size)

    def _drop(self, key: int, _: Any) -> None:
        del self._watched[key]
        place, size = self._known.pop(key)
        self._live[place] -= size
        self.total -= size

    def moments(self) -> list[Moment]:
        """The maxima so far, in the order of the stretches."""
        return [Moment(when, live) for when, (_, live) in sorted(self._peaks.items())]

    @property
    def peak(self) -> int:
        """Most bytes that were alive at once."""
        return max((total for total, _ in self._peaks.values()), default=0)
