"""What a plan names, read from a model instead of its inspection, before or after PEFT has wrapped it.

What it does not do: label anything, or change the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.lora.tensors import unknown
from core.spec import Module, Parameter, Plan


def live_modules(model: Any, plan: Plan) -> dict[str, Module]:
    """What the plan names, read from a model instead of its inspection; labels are left open.

    Raises:
        PlanError: the model has nothing of a name.
    """
    names = [*plan.target_modules, *(t.rpartition(".")[0] for t in plan.target_parameters), *plan.full_modules]
    found = {}
    for name in dict.fromkeys(names):
        try:
            module = unwrapped(model, name)
        except AttributeError:
            raise unknown(name, type(model).__name__) from None
        found[name] = _as_module(name, module)
    return found


def unwrapped(model: Any, name: str) -> Any:
    """A module of the model as it was before PEFT wrapped it and what it lies in."""
    module = model
    for part in name.split("."):
        module = getattr(_bare(module), part)
    return _bare(module)


def _bare(module: Any) -> Any:
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    while isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper):
        module = module.get_base_layer() if isinstance(module, BaseTunerLayer) else module.original_module
    return module


def _as_module(name: str, module: Any) -> Module:
    own = dict(module.named_parameters(recurse=False))
    transposed = bool(getattr(module, "is_transposed", False))
    return Module(
        name=name,
        kind=type(module).__name__,
        shape=_shape(module, own),
        component="other",
        role="other",
        layer=None,
        params=0,
        adaptable=True,
        reason="",
        parameters=tuple(
            Parameter(key, tuple(map(int, value.shape)), True, transposed and value.dim() == 3)
            for key, value in own.items()
        ),
    )


def _shape(module: Any, own: Mapping[str, Any]) -> tuple[int, ...]:
    """Of the weight, outputs first; quantized weights are packed and say nothing of it."""
    import torch

    if isinstance(module, torch.nn.Linear):
        return (module.out_features, module.in_features)
    if not own:
        return ()
    # PEFT registers the weights of PyTorch's attention anew, after its biases.
    first = next((value for value in own.values() if value.dim() > 1), next(iter(own.values())))
    shape = tuple(map(int, own.get("weight", first).shape))
    return shape[::-1] if type(module).__name__ == "Conv1D" else shape
