"""What a plan costs, in closed form: equal to what PEFT counts and to the bytes that PEFT writes.

LoRA adds to a weight of shape (out, in, *kernel) the matrices A (rank, in, *kernel) and B (out, rank, 1, ...), see
arXiv:2106.09685, section 4.1: rank * (in * kernel + out) parameters.

What it does not do: estimate memory or time.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from core.errors import PlanError
from core.spec import COMPONENTS, Budget, Inspection, Module, Plan

BYTES_PER_PARAMETER = 4
"""PEFT keeps and saves LoRA's weights in fp32, whatever the precision of the model."""
PREFIX = "base_model.model."
"""What PEFT's save_pretrained puts before a module's name."""


def parameters(module: Module, rank: int) -> int:
    """LoRA's parameters on one module: rank * (in * kernel + out)."""
    return rank * (prod(module.shape[1:]) + module.shape[0])


def recount(modules: Iterable[Module], rank: int) -> int:
    """LoRA's parameters on these modules."""
    return sum(parameters(module, rank) for module in modules)


def budget(inspection: Inspection, plan: Plan) -> Budget:
    """What the plan costs on this model.

    Raises:
        PlanError: the plan names a module that the model does not have or that LoRA cannot reach.
    """
    modules = _planned(inspection, plan)
    by_component: dict[str, int] = {}
    present = {module.component for module in inspection.modules}
    by_component.update((name, 0) for name in COMPONENTS if name in present)
    for module in modules:
        by_component[module.component] += parameters(module, plan.rank)
    trainable = sum(by_component.values())
    return Budget(
        trainable=trainable,
        total=inspection.total_params,
        percent=100 * trainable / inspection.total_params,
        adapter_bytes=adapter_bytes(modules, plan.rank),
        by_component=by_component,
    )


def adapter_bytes(modules: Iterable[Module], rank: int) -> int:
    """Exact size of the `adapter_model.safetensors` that PEFT saves for these modules.

    A safetensors file is 8 bytes with the length of its header, the header, and the tensors one after another. The
    header is JSON without spaces:

        {"__metadata__":{"format":"pt"}<entries>}           32 characters without the entries
        ,"<key>":{"dtype":"F32","shape":[<shape>],"data_offsets":[<begin>,<end>]}      one entry a tensor

    with key = base_model.model.<name>.lora_A.weight (and lora_B), the shapes of A and B above joined by commas, and
    begin and end in bytes from the end of the header. Entries and tensors stand in the order of the keys (all are F32;
    compared byte by byte), so a module's A comes right before its B. Spaces fill the header up to a multiple of 8.
    Source: `serialize` in safetensors 0.8 and `save_pretrained` in PEFT 0.21; the tests compare it with saved files.
    """
    header, offset = 32, 0
    for module in sorted(modules, key=lambda module: module.name + ".lora_"):
        key = len(PREFIX) + len(module.name) + len(".lora_A.weight")
        for shape in _shapes(module, rank):
            end = offset + BYTES_PER_PARAMETER * prod(shape)
            header += _ENTRY + key + len(",".join(map(str, shape))) + len(str(offset)) + len(str(end))
            offset = end
    return 8 + header + -header % 8 + offset


_ENTRY = len(',"":{"dtype":"F32","shape":[],"data_offsets":[,]}')


def _shapes(module: Module, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of A and B."""
    out, *rest = module.shape
    return (rank, *rest), (out, rank, *(1 for _ in rest[1:]))


def _planned(inspection: Inspection, plan: Plan) -> list[Module]:
    by_name = {module.name: module for module in inspection.modules}
    found = [by_name[name] for name in plan.target_modules if name in by_name and by_name[name].adaptable]
    if len(found) < len(plan.target_modules):
        missing = next(name for name in plan.target_modules if name not in by_name or not by_name[name].adaptable)
        raise PlanError(
            f"The module “{missing}” was asked for",
            f"LoRA cannot reach it in {inspection.model_class}, or there is none of this name",
            "Choose the targets anew on this model",
        )
    return found
