"""The repeated layers of a model: which are alike, and how all but a few of each kind are left out of a run.

A layer that is left out hands on what it is given, so that everything that counts layers (indices of layers that are
read out, cross-attention at every fifth layer) goes on working.
What it does not do: say what a layer costs (see `extrapolation`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

FEW = 3
"""Shorter stacks are run whole."""
_LAYER = re.compile(r"layer|block|stage", re.IGNORECASE)


@dataclass(frozen=True)
class Stack:
    """Layers that run one after the other, each on the output of the one before."""

    name: str
    layers: tuple[Any, ...]
    kinds: tuple[int, ...]
    """Of each layer: equal numbers mean equal structure, equal targets and an equal place in the backward pass."""

    def kept(self) -> frozenset[int]:
        """The layers that a short run keeps: the first, one of each kind after it, and the last."""
        references = (self.reference(index) for index in range(1, len(self.layers)))
        return frozenset((0, *references, len(self.layers) - 1))

    def reference(self, index: int) -> int:
        """The layer that stands for this one: the first of its kind that is not the stack's first.

        What the stack's first layer is given is held by others as well, so it is not like the rest.
        """
        return self.kinds.index(self.kinds[index], 1)


def find_stacks(model: Any, targets: Collection[str]) -> list[Stack]:
    """The outermost lists of layers in which kinds repeat.

    Args:
        model: before PEFT wraps it.
        targets: full names of modules that are trained.
    """
    return list(_stacks(model, "", frozenset(targets), None))


def _stacks(module: Any, name: str, targets: frozenset[str], config: Any) -> Iterator[Stack]:
    config = getattr(module, "config", config)
    for child_name, child in module.named_children():
        full = f"{name}.{child_name}" if name else child_name
        if isinstance(child, (torch.nn.ModuleList, torch.nn.Sequential)) and _are_layers(child):
            stack = _stack(full, child, targets, config)
            if len(stack.kept()) < len(stack.layers):
                yield stack
                continue
        yield from _stacks(child, full, targets, config)


def _are_layers(modules: Any) -> bool:
    children = list(modules)
    return len(children) > FEW and all(_LAYER.search(type(child).__name__) for child in children)


def _stack(name: str, modules: Any, targets: frozenset[str], config: Any) -> Stack:
    layers = tuple(modules)
    lists = _by_layer(config, len(layers))
    trained = [_trained(f"{name}.{index}.", layer, targets) for index, layer in enumerate(layers)]
    numbers: dict[Any, int] = {}
    kinds = []
    for index, layer in enumerate(layers):
        below = any(trained[:index])  # whether gradients go through this layer to one before
        signature = (_structure(layer), trained[index], below, tuple(values[index] for values in lists))
        kinds.append(numbers.setdefault(signature, len(numbers)))
    return Stack(name, layers, tuple(kinds))


def _trained(prefix: str, layer: Any, targets: frozenset[str]) -> tuple[str, ...]:
    """The targets inside of a layer, by their names there."""
    return tuple(name for name, _ in layer.named_modules() if prefix + name in targets)


def _structure(layer: Any) -> tuple[Any, ...]:
    """Names and shapes of a layer's parameters, and what its modules are told in words or as yes or no."""
    shapes = tuple((name, tuple(parameter.shape)) for name, parameter in layer.named_parameters())
    words = tuple(
        (key, value)
        for module in layer.modules()
        for key, value in vars(module).items()
        if isinstance(value, (bool, str)) and not key.startswith("_")
    )
    return type(layer).__name__, shapes, words


def _by_layer(config: Any, count: int) -> list[list[Any]]:
    """What a config says layer by layer: a list with one entry a layer, some layers' indices, or fields of each."""
    found = _own_fields(config, count)
    for value in vars(config).values() if config is not None else ():
        if not isinstance(value, (list, tuple)) or not value:
            continue
        if len(value) == count and all(isinstance(item, (str, bool, int, type(None))) for item in value):
            found.append(list(value))
        elif len(value) < count and all(type(item) is int and 0 <= item < count for item in value):
            found.append([index in value for index in range(count)])
    return found


def _own_fields(config: Any, count: int) -> list[list[Any]]:
    """The fields of which layers have values of their own, each with one entry a layer."""
    names = sorted(getattr(config, "per_layer_attributes", None) or ())
    if not names or len(config.per_layer_config) != count:
        return []
    layers = list(config.per_layer_config)
    return [[repr(getattr(layer, name, None)) for layer in layers] for name in names]


def refined(stack: Stack, graded: Mapping[int, bool]) -> Stack:
    """The stack with layers told apart by whether gradients go back through them, as a run has shown."""
    numbers: dict[tuple[int, bool], int] = {}
    pairs = [(kind, graded.get(index, False)) for index, kind in enumerate(stack.kinds)]
    return replace(stack, kinds=tuple(numbers.setdefault(pair, len(numbers)) for pair in pairs))


class NotRepeatable(Exception):
    """A stack whose layers do not hand on one tensor of one shape: it has to be run whole."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack.name)
        self.stack = stack


@dataclass
class Shape:
    """How the layers of one stack hand on what they compute, learned from those that run."""

    stack: Stack
    others: tuple[Any, ...] | None = field(default=None)
    """What stands beside the hidden states in a tuple; None where the output is a tensor."""
    where: int | str = 0
    """The argument that the hidden states come in by: its position or its name."""
    known: bool = False

    def learn(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """From one call of a layer that runs.

        Raises:
            NotRepeatable: its output is not like any of its inputs.
        """
        hidden = output[0] if isinstance(output, tuple) and output else output
        self.others = output[1:] if isinstance(output, tuple) else None
        named: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
        for where, value in named:
            if isinstance(value, torch.Tensor) and isinstance(hidden, torch.Tensor) and value.shape == hidden.shape:
                self.where, self.known = where, True
                return
        raise NotRepeatable(self.stack)

    def hidden(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The hidden states among a layer's arguments; until one has run, the first tensor."""
        if self.known:
            return args[self.where] if isinstance(self.where, int) else kwargs[self.where]
        return next(value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor))

    def hand_on(self, *args: Any, **kwargs: Any) -> Any:
        """The output of a layer that is left out.

        Raises:
            NotRepeatable: no layer of the stack has run yet.
        """
        if not self.known:
            raise NotRepeatable(self.stack)
        hidden = self.hidden(args, kwargs)
        return hidden if self.others is None else (hidden, *self.others)
