"""The config under which plain PEFT finds exactly the planned targets again: in a saved adapter, or in a script.

For some mixture-of-experts models (GLM-4.5V, Qwen3-Omni) PEFT 0.21 takes any adapter for one that was trained before
transformers 5 fused their experts. It then reduces a regex to the last parts of the names that it matches, which hit
the other tower as well, and takes `gate_proj`, `up_proj` and `down_proj` anywhere for experts. Full names as a list
outlive that, and matrices of those names do as parameters, which is the same LoRA under the same keys.

What it does not do: wrap (`wrap.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

from core.errors import PlanError
from core.lora.plan import peft_config
from core.spec import Plan


def portable_config(plan: Plan, model_type: str, total_steps: int | None = None) -> Any:
    """As `peft_config`, in a form that plain PEFT takes for what it says on a model of this type.

    Args:
        plan: what is trained.
        model_type: of the model's config.
        total_steps: optimizer steps of the whole training, for AdaLoRA alone.

    Raises:
        PlanError: PEFT has no such form, or AdaLoRA has no number of steps.
    """
    if not rewrites(model_type) or plan.method == "adalora" or not plan.target_modules:
        return peft_config(plan, total_steps)
    plain = listed(plan, model_type)
    config = peft_config(plain, total_steps)
    config.target_modules = set(plain.target_modules)
    return config


@cache
def rewrites(model_type: str) -> bool:
    """Whether PEFT makes other targets out of those that it is told on a model of this type."""
    return _converted("any", model_type).target_parameters is not None


def listed(plan: Plan, model_type: str) -> Plan:
    """The plan with those layers as parameters that PEFT would take for experts.

    Raises:
        PlanError: they are to get what parameters cannot have.
    """
    endings = {name.rpartition(".")[2] for name in plan.target_modules}
    lost = {ending for ending in endings if not _kept(ending, model_type)}
    moved = {name: f"{name}.weight" for name in plan.target_modules if name.rpartition(".")[2] in lost}
    if moved and (plan.method == "dora" or plan.lora_bias):
        what = "DoRA" if plan.method == "dora" else "A LoRA bias"
        raise PlanError(
            f"{what} on “{next(iter(moved))}” was asked for",
            "such an adapter could not be loaded again: PEFT would mistake this model's layers called "
            f"{', '.join(sorted(lost))} for experts",
            "Take LoRA or rsLoRA without a bias, or leave such layers out",
        )
    return replace(
        plan,
        target_modules=tuple(name for name in plan.target_modules if name not in moved),
        target_parameters=(*plan.target_parameters, *moved.values()),
        overrides=tuple(
            replace(override, targets=tuple(moved.get(name, name) for name in override.targets))
            for override in plan.overrides
        ),
    )


@contextmanager
def names_as_they_are() -> Iterator[None]:
    """Keeps PEFT from making other targets out of ours, which come from the model as it is now."""
    from peft.utils import transformers_weight_conversion as conversion

    before = conversion.convert_peft_config_for_transformers
    conversion.convert_peft_config_for_transformers = lambda *args, **kwargs: None
    try:
        yield
    finally:
        conversion.convert_peft_config_for_transformers = before


@cache
def _kept(name: str, model_type: str) -> bool:
    """Whether PEFT leaves a target of this name alone."""
    try:
        return name in _converted(name, model_type).target_modules
    except ValueError:  # it misses another part of what it takes for an expert
        return False


def _converted(name: str, model_type: str) -> Any:
    """PEFT's config for this one target, after PEFT has made of it what it thinks fit for the model."""
    from peft import LoraConfig
    from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers

    config = LoraConfig(target_modules=[name])
    model = SimpleNamespace(config=SimpleNamespace(model_type=model_type))
    convert_peft_config_for_transformers(config, model=model, conversions=None)
    return config
