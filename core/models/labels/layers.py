"""The number of the layer in which a module lies, counted through all stacks of its component.

A layer is an item of a numbered stack that attends (or mixes, as Mamba does). Where stacks lie in stacks, as the blocks
in the stages of Swin, the inner ones count; a second stack of a component, such as a decoder after an encoder, goes on
where the first ended. Experts, the halves of a T5 block and the parts of a Sequential are no layers.

What it does not do: say to which component a stack belongs (`components.py`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

_ATTENDS = re.compile(r"Att|Mamba|DeltaNet|ShortConv|Mixer|SSM")


class Layers:
    """The numbers of all layers of a model."""

    def __init__(self, modules: Mapping[str, Any], components: Mapping[str, str]) -> None:
        """Counts the layers.

        Args:
            modules: full name -> module, in the order of the model.
            components: full name -> component.
        """
        self._lengths = _lists(modules)
        self._stacks = _stacks(self._lengths, _attending(modules))
        self._first: dict[str, int] = {}
        """The number of the first layer of each stack that no other lies in."""
        self._last_inside: dict[str, int] = {}
        """The number of the last layer inside of each module that holds a stack."""
        holding = {above for name in self._stacks for above in _above(name)}
        with_stacks = {components[name] for name in self._stacks}
        seen: Counter[str] = Counter()
        for name, length in self._lengths.items():
            component = components[name]
            inside = any(above in self._lengths for above in _above(name))
            alone = component not in with_stacks and not inside and _holds_blocks(modules[name])
            if name not in holding and (name in self._stacks or alone):
                self._first[name] = seen[component]
                seen[component] += length
                self._last_inside.update((above, seen[component] - 1) for above in _above(name))

    def of(self, name: str) -> int | None:
        """The number of the layer in which a module lies; None outside of all layers."""
        item = name
        while item:
            above, _, index = item.rpartition(".")
            if above in self._first:
                return self._first[above] + int(index)
            if above in self._stacks and item in self._last_inside:  # beside the blocks of a stage
                return self._last_inside[item]
            item = above
        return None


def _stacks(lengths: Mapping[str, int], attending: set[str]) -> set[str]:
    """The lists whose items are layers: some of them attend, and inside of another stack all do."""
    found: set[str] = set()
    for name, length in lengths.items():
        attend = [f"{name}.{index}" in attending for index in range(length)]
        inside = any(above in found for above in _above(name))
        if all(attend) if inside else any(attend):
            found.add(name)
    return found


def _lists(modules: Mapping[str, Any]) -> dict[str, int]:
    """Name and length of each ModuleList that holds something."""
    return {name: len(module) for name, module in modules.items() if type(module).__name__ == "ModuleList" and module}


def _holds_blocks(stack: Any) -> bool:
    """Whether the items of a list are made of parts; one of single layers is no more than a Sequential."""
    return all(any(True for _ in item.children()) for item in stack)


def _attending(modules: Mapping[str, Any]) -> set[str]:
    """Names of what attends, and of all that it lies in."""
    found: set[str] = set()
    for name, module in modules.items():
        if _ATTENDS.search(type(module).__name__):
            while name not in found:
                found.add(name)
                name = name.rpartition(".")[0]
    return found


def _above(name: str) -> list[str]:
    """Names of all that a module lies in, the nearest first, without the model itself."""
    found = []
    while name := name.rpartition(".")[0]:
        found.append(name)
    return found
