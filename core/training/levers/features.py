"""What a vision tower says of pictures, taken apart into plain lists of tensors, and put together again for a batch.

What it does not do: compute or keep anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

Features = dict[str, Any]
"""An output by field: tensors, and lists of them."""

ON_THE_WAY = frozenset({"last_hidden_state", "hidden_states", "attentions"})
"""What a tower says beside its result; many times as large, and usually read by nobody."""
BY_LAYER = frozenset({"deepstack_features", "hidden_states", "attentions"})
"""Fields whose outermost list goes by layer; all other lists go by picture or by row."""


def taken_apart(output: Any, without: frozenset[str]) -> Features:
    """The fields of an output of transformers, which may have been set after it was made, on the CPU.

    Parts that are outputs of their own (of a Q-Former) are left out.
    """
    fields = {name: value for name, value in vars(output).items() if name not in without}
    return {name: mapped(value, _alone) for name, value in fields.items() if _plain(value)}


def together(parts: Sequence[Features]) -> Features:
    """The features of several rows as those of one batch."""
    return {name: _joined([part[name] for part in parts], name in BY_LAYER) for name in parts[0]}


def rebuilt(kind: type, features: Features) -> Any:
    """An output of this class with these fields."""
    declared = {name: value for name, value in features.items() if name in kind.__dataclass_fields__}  # type: ignore[attr-defined]
    output = kind(**declared)
    for name in features.keys() - declared.keys():
        setattr(output, name, features[name])
    return output


def mapped(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The same lists with every tensor changed."""
    if isinstance(value, torch.Tensor):
        return change(value)
    return [mapped(item, change) for item in value] if isinstance(value, (list, tuple)) else value


def tensors(value: Any) -> list[torch.Tensor]:
    """All tensors in it, in their order."""
    found: list[torch.Tensor] = []
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    for item in items:
        found += tensors(item)
    return [value] if isinstance(value, torch.Tensor) else found


def nbytes(features: Features) -> int:
    """Bytes of all tensors."""
    return sum(tensor.nbytes for tensor in tensors(features))


def _plain(value: Any) -> bool:
    """Whether there is something in it, and nothing but tensors, numbers and lists of them."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(_plain(item) for item in value)
    return isinstance(value, (torch.Tensor, int, float))


def _alone(tensor: torch.Tensor) -> torch.Tensor:
    """On the CPU, in memory of its own."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _joined(values: Sequence[Any], by_layer: bool) -> Any:
    first = values[0]
    if isinstance(first, torch.Tensor):
        return torch.cat(list(values)) if first.ndim else first
    if not isinstance(first, list):
        return first
    if by_layer or not all(isinstance(item, (torch.Tensor, list)) for item in first):
        return [_joined(items, False) for items in zip(*values, strict=True)]
    return [item for value in values for item in value]
