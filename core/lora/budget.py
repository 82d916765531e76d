"""What a plan costs, in closed form: equal to what PEFT counts and to the bytes that PEFT writes.

What it does not do: know what the tensors are (`tensors.py`), or estimate memory or time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from math import prod

from core.lora.tensors import (
    Tensor,
    by_name,
    count,
    find,
    initial_rank,
    layer_suffixes,
    overrides_of,
    parameter_suffixes,
    planned_tensors,
    unknown,
)
from core.spec import COMPONENTS, Budget, Inspection, Module, Plan

BYTES_PER_PARAMETER = 4
"""What is trained is kept and saved in fp32, whatever the precision of the model."""
_ENTRY = len(',"":{"dtype":"F32","shape":[],"data_offsets":[,]}')


def parameters(module: Module, rank: int) -> int:
    """LoRA's parameters on one module: rank * (in * kernel + out), for each of its matrices where it has several."""
    reached = [parameter for parameter in module.parameters if parameter.adaptable]
    if reached:
        return sum(count(parameter_suffixes(parameter, rank)) for parameter in reached)
    return count(layer_suffixes(module, rank, "lora", False))


def recount(modules: Iterable[Module], rank: int) -> int:
    """LoRA's parameters on these modules."""
    return sum(parameters(module, rank) for module in modules)


def budget(inspection: Inspection, plan: Plan) -> Budget:
    """What the plan costs on this model.

    Raises:
        PlanError: the plan names what the model does not have, or what LoRA cannot reach.
    """
    modules = by_name(inspection)
    _refuse_unreachable(inspection, modules, plan)
    present = {module.component for module in inspection.modules}
    by_component: dict[str, int] = {name: 0 for name in COMPONENTS if name in present}
    for module, number in _counts(modules, plan):
        by_component[module.component] += number
    trainable = sum(by_component.values())
    return Budget(
        trainable=trainable,
        total=inspection.total_params,
        percent=100 * trainable / inspection.total_params,
        adapter_bytes=file_bytes(planned_tensors(modules, plan, saved=True)),
        by_component=by_component,
    )


def file_bytes(tensors: Iterable[Tensor]) -> int:
    """Exact size of the `adapter_model.safetensors` that holds these tensors.

    A safetensors file is 8 bytes with the length of its header, the header, and the tensors one after another. The
    header is JSON without spaces:

        {"__metadata__":{"format":"pt"}<entries>}           32 characters without the entries
        ,"<key>":{"dtype":"F32","shape":[<shape>],"data_offsets":[<begin>,<end>]}      one entry a tensor

    with begin and end in bytes from the end of the header. Entries and tensors stand in the order of the keys (all are
    F32; compared byte by byte). Spaces fill the header up to a multiple of 8.
    Source: `serialize` in safetensors 0.8 and `save_pretrained` in PEFT 0.21; the tests compare it with saved files.
    """
    entries = sorted((tensor.key, tensor.shape) for tensor in tensors)
    ends = list(accumulate(BYTES_PER_PARAMETER * prod(shape) for _, shape in entries))
    names = sum(len(key) + len(",".join(map(str, shape))) for key, shape in entries)
    header = 32 + len(entries) * _ENTRY + names + _digits(ends) + _digits([0, *ends[:-1]])
    return 8 + header + -header % 8 + (ends[-1] if ends else 0)


def _digits(rising: list[int]) -> int:
    """Digits of all these numbers, smallest first: one each, and one more for each power of ten that they reach."""
    total, power = len(rising), 10
    while rising and rising[-1] >= power:
        total += len(rising) - bisect_left(rising, power)
        power *= 10
    return total


def _counts(modules: dict[str, Module], plan: Plan) -> Iterable[tuple[Module, int]]:
    """Trained parameters of each target and each module in full, by the closed forms alone."""
    own = overrides_of(plan)
    for name in plan.target_modules:
        rank = own[name].rank if name in own else plan.rank
        module = find(modules, name)
        yield module, count(layer_suffixes(module, initial_rank(plan.method, rank), plan.method, plan.lora_bias))
    for target in plan.target_parameters:
        rank = own[target].rank if target in own else plan.rank
        name, _, inner = target.rpartition(".")
        module = find(modules, name)
        parameter = next((p for p in module.parameters if p.name == inner), None)
        if parameter is None:
            raise unknown(target)
        yield module, count(parameter_suffixes(parameter, initial_rank(plan.method, rank)))
    for name in plan.full_modules:
        module = find(modules, name)
        yield module, sum(prod(parameter.shape) for parameter in module.parameters)


def _refuse_unreachable(inspection: Inspection, modules: dict[str, Module], plan: Plan) -> None:
    """Raises PlanError for the first name that the model does not have or that LoRA cannot reach."""
    for name in plan.target_modules:
        if name not in modules or not modules[name].adaptable:
            raise unknown(name, inspection.model_class)
