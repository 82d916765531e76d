"""What a plan costs, in closed form: equal to what PEFT counts and to the bytes that PEFT writes.

What it does not do: know what the tensors are (`tensors.py`), or estimate memory or time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from itertools import accumulate, chain
from math import prod

from core.lora.shapes import Suffixes, count, saved_suffix
from core.lora.tensors import PREFIX, Alike, alike, by_name, unknown
from core.spec import COMPONENTS, Budget, Inspection, Module, Plan

BYTES_PER_PARAMETER = 4
"""What is trained is kept and saved in fp32, whatever the precision of the model."""
_ENTRY = len(',"":{"dtype":"F32","shape":[],"data_offsets":[,]}')


def budget(inspection: Inspection, plan: Plan) -> Budget:
    """What the plan costs on this model.

    Raises:
        PlanError: the plan names what the model does not have, or what LoRA cannot reach.
    """
    modules = by_name(inspection)
    _refuse_unreachable(inspection, modules, plan)
    present = {module.component for module in inspection.modules}
    by_component: dict[str, int] = {name: 0 for name in COMPONENTS if name in present}
    groups = alike(modules, plan)
    for group in groups:
        by_component[group.component] += len(group.paths) * count(group.suffixes)
    trainable = sum(by_component.values())
    return Budget(
        trainable=trainable,
        total=inspection.total_params,
        percent=100 * trainable / inspection.total_params,
        adapter_bytes=file_bytes(groups),
        by_component=by_component,
    )


def file_bytes(groups: Iterable[Alike]) -> int:
    """Exact size of the `adapter_model.safetensors` that holds these tensors.

    A safetensors file is 8 bytes with the length of its header, the header, and the tensors one after another. The
    header is JSON without spaces:

        {"__metadata__":{"format":"pt"}<entries>}           32 characters without the entries
        ,"<key>":{"dtype":"F32","shape":[<shape>],"data_offsets":[<begin>,<end>]}      one entry a tensor

    with begin and end in bytes from the end of the header. Entries and tensors stand in the order of the keys (all are
    F32; compared byte by byte). Spaces fill the header up to a multiple of 8.
    Source: `serialize` in safetensors 0.8 and `save_pretrained` in PEFT 0.21; the tests compare it with saved files.
    """
    keys: list[str] = []
    marks: dict[tuple[int, ...], str] = {}
    names = 0
    for group in groups:
        first, sizes, characters = _block(group.saved)
        # No other key stands between those of one layer: they begin alike, and no layer lies in another. Behind a zero,
        # which sorts before all that a key can hold, a mark tells the sizes when the keys stand in their order.
        end = f"{first}\0{marks.setdefault(sizes, chr(len(marks)))}"
        keys += [path + end for path in group.paths]
        names += len(group.paths) * (characters + len(sizes) * len(PREFIX)) + len(sizes) * sum(map(len, group.paths))
    keys.sort()
    sizes_of = {mark: sizes for sizes, mark in marks.items()}
    ends = list(accumulate(chain.from_iterable([sizes_of[key[-1]] for key in keys])))
    # Each tensor begins where the one before it ends, and the first one at 0.
    header = 32 + names + 2 * _digits(ends) + (1 - len(str(ends[-1])) if ends else 0)
    return 8 + header + -header % 8 + (ends[-1] if ends else 0)


@lru_cache(maxsize=4096)
def _block(suffixes: Suffixes) -> tuple[str, tuple[int, ...], int]:
    """Of the tensors of a layer, in the file's order: the first key's end, bytes of each, characters in the header.

    The characters are without the layer's path, and without the offsets.
    """
    entries = sorted((f".{saved_suffix(suffix)}", shape) for suffix, shape in suffixes)
    characters = sum(_ENTRY + len(key) + len(",".join(map(str, shape))) for key, shape in entries)
    return entries[0][0], tuple(BYTES_PER_PARAMETER * prod(shape) for _, shape in entries), characters


def _digits(rising: list[int]) -> int:
    """Digits of all these numbers, smallest first: one each, and one more for each power of ten that they reach."""
    total, power = len(rising), 10
    while rising and rising[-1] >= power:
        total += len(rising) - bisect_left(rising, power)
        power *= 10
    return total


def _refuse_unreachable(inspection: Inspection, modules: dict[str, Module], plan: Plan) -> None:
    """Raises PlanError for the first name beside those of layers that the model does not have or LoRA cannot reach."""
    for target in plan.target_parameters:
        name, _, parameter = target.rpartition(".")
        if name not in modules or not any(p.adaptable and p.name == parameter for p in modules[name].parameters):
            raise unknown(target, inspection.model_class)
    for name in plan.full_modules:
        if name not in modules:
            raise unknown(name, inspection.model_class)
