"""A wrapped model taken apart again: which tensors are the adapter's, and what the others are called without PEFT.

What it does not do: change a model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.lora.tensors import PREFIX

_OWN = ("lora_", "modules_to_save", "ranknum")
"""How parts of a tensor's name begin that PEFT has added."""
_AROUND = ("base_layer", "original_module")
"""Parts of a name where PEFT has put something around a module."""


def is_added(name: str) -> bool:
    """Whether a module or tensor is one that PEFT has added.

    >>> is_added("base_model.model.q.lora_A.default.weight"), is_added("base_model.model.q.base_layer.weight")
    (True, False)
    """
    return any(part.startswith(_OWN) for part in name.split("."))


def original_name(name: str) -> str:
    """The name that a tensor or module of the base model has without the adapter.

    >>> original_name("base_model.model.vision.q.base_layer.weight")
    'vision.q.weight'
    """
    return ".".join(part for part in name.removeprefix(PREFIX).split(".") if part not in _AROUND)


def base_tensors(model: Any) -> Iterator[tuple[str, Any]]:
    """Name and tensor of all that the base model keeps and nothing trains, tied ones once.

    Packed weights come as they are packed, and with them what is needed to unpack them; buffers that a saved model
    holds come as well, such as the averages of a batch norm.
    """
    seen: set[int] = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if is_added(name) or not hasattr(tensor, "requires_grad") or tensor.requires_grad or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        yield original_name(name), tensor


def dense_weight(module: Any, name: str = "weight") -> Any:
    """A parameter of a module as numbers; packed ones are unpacked (arXiv:2305.14314; arXiv:2208.07339, section 2)."""
    value = getattr(module, name)
    kind = type(value).__name__
    if kind == "Params4bit":
        from bitsandbytes.functional import dequantize_4bit

        return dequantize_4bit(value.data, value.quant_state)
    if kind == "Int8Params":  # rows of whole numbers up to 127 with the largest magnitude of each beside them
        largest = value.SCB if getattr(value, "SCB", None) is not None else module.state.SCB
        return value.data.float() * (largest.float().to(value.device)[:, None] / 127)
    return value.detach()
