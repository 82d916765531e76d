"""A model with its adapter, as the plan says: PEFT's wrapping, and what PEFT has no option for.

PEFT has one dropout for all layers, copies what is trained in full in the model's precision, and matches names by
their endings. Here each component gets its dropout, the copies learn in 32-bit floats (in bfloat16, which has 8 bits,
a step of 1e-5 of a weight is rounded away), and exactly the planned tensors require gradients, or nothing is trained.
It works on the meta device too.

What it does not do: start training, or save.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

from core.errors import CountMismatch, PlanError
from core.lora.live import live_modules, unwrapped
from core.lora.plan import peft_config
from core.lora.portable import listed, names_as_they_are, portable_config, rewrites
from core.lora.tensors import Tensor, also_hit, overrides_of, planned_tensors, unknown, wraps
from core.spec import Plan

UNMATCHED = r"The following (rank|alpha)_pattern keys did not match any targeted module"
"""What PEFT says of patterns for parameters, which it looks for among modules only; they do work."""


def wrap(model: Any, plan: Plan, total_steps: int | None = None) -> Any:
    """The PEFT model; the model itself is changed.

    Args:
        model: of transformers, on any device.
        plan: what is trained.
        total_steps: optimizer steps of the whole training, for AdaLoRA alone.

    Raises:
        PlanError: a name of the plan would also hit something else, or hits nothing.
        CountMismatch: other tensors than the planned ones would be trained.
    """
    from peft import get_peft_model

    model_type = str(getattr(getattr(model, "config", None), "model_type", ""))
    _refuse_ambiguous(model, plan, model_type)
    _refuse_shared(model, plan)
    planned = list(planned_tensors(live_modules(model, plan), plan))
    saved = portable_config(plan, model_type, total_steps)
    config = peft_config(plan, total_steps)
    if not _called_as_text(model):
        saved.task_type = config.task_type = None
    model.requires_grad_(False)  # PEFT leaves it to its adapters, of which a plan in full has none
    with _on_device_of(model), names_as_they_are(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", UNMATCHED)
        try:
            wrapped = get_peft_model(model, config)
        except NotImplementedError as error:  # PEFT asks some models for embeddings that they do not have
            raise PlanError(
                f"An adapter on {type(model).__name__} was asked for",
                f"PEFT cannot wrap this model ({str(error).partition(';')[0]})",
                "Take another model",
            ) from None
    if saved.target_modules != config.target_modules:
        wrapped.peft_config["default"] = saved
    _freeze_rank_numbers(wrapped)
    _set_dropout(wrapped, plan)
    _settle_copies(wrapped)
    _keep_attention(wrapped)
    _check(wrapped, planned)
    return wrapped


def _called_as_text(model: Any) -> bool:
    """Whether PEFT may call it as a model of text: not one that writes none (CLIP), and none without `inputs_embeds`.

    Those PEFT hands over to every such model; BLIP hands on what it does not know to its tower.
    """
    return hasattr(model, "prepare_inputs_for_generation") and "inputs_embeds" in signature(model.forward).parameters


def parameter_groups(model: Any, plan: Plan, learning_rate: float) -> list[tuple[list[Any], float]]:
    """The trained parameters by learning rate, for the optimizer: no parameter twice, none left out.

    Args:
        model: what `wrap` made.
        plan: the same.
        learning_rate: of what the plan gives no other.
    """
    rates = {target: override.learning_rate for target, override in overrides_of(plan).items()}
    rates.update(dict.fromkeys(plan.full_modules, plan.full_learning_rate))
    trained = dict(model.named_parameters())
    groups: dict[float, list[Any]] = {}
    for tensor in planned_tensors(live_modules(model.get_base_model(), plan), plan):
        rate = rates.get(tensor.owner)
        groups.setdefault(learning_rate if rate is None else rate, []).append(trained[tensor.name])
    return [(parameters, rate) for rate, parameters in groups.items()]


def _refuse_ambiguous(model: Any, plan: Plan, model_type: str) -> None:
    """PEFT matches parameters' names and modules to copy by their endings: none may end another's name."""
    modules = [name for name, _ in model.named_modules(remove_duplicate=False)]
    parameters = [name for name, _ in model.named_parameters(remove_duplicate=False)]
    by_ending = listed(plan, model_type) if rewrites(model_type) and plan.method != "adalora" else None
    for wanted, names, joint in (
        (set(wraps(plan.full_modules).values()), modules, ""),
        (set(by_ending.target_parameters if by_ending else plan.target_parameters), parameters, "."),
        (set(by_ending.target_modules if by_ending else ()), modules, "."),
    ):
        for name, hit in also_hit(wanted, names, joint):
            raise PlanError(
                f"Training “{name}” was asked for",
                f"PEFT goes by the ends of names and would train “{hit}” along with it",
                "Leave it out, or adapt single layers in it instead",
            )


def _refuse_shared(model: Any, plan: Plan) -> None:
    """A copy to be trained in full would part from what shares its weights, and loading would tie the two again."""
    holders: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False) if plan.full_modules else ():
        holders.setdefault(id(parameter), []).append(name)
    full = set(plan.full_modules)
    for names in holders.values():
        if len(names) > 1 and full & {name.rpartition(".")[0] for name in names}:
            raise PlanError(
                f"Training “{names[0].rpartition('.')[0]}” in full was asked for",
                f"it shares a weight with “{names[1].rpartition('.')[0]}”, from which its copy would part",
                "Adapt it with LoRA instead",
            )


@contextmanager
def _on_device_of(model: Any) -> Iterator[None]:
    """New tensors are made on the meta device where the model lies there, which costs neither time nor memory."""
    import torch

    if next(model.parameters()).device.type != "meta":
        yield
        return
    with torch.device("meta"):
        yield


def _freeze_rank_numbers(model: Any) -> None:
    """AdaLoRA counts its ranks in a parameter, which PEFT lets learn where it puts it into 32-bit floats."""
    for name, parameter in model.named_parameters():
        if name.endswith(".ranknum.default"):
            parameter.requires_grad_(False)


def _set_dropout(model: Any, plan: Plan) -> None:
    """Gives each target the dropout of its component."""
    import torch

    own = overrides_of(plan)
    base = model.get_base_model()
    for name in plan.target_modules:
        dropout = own[name].dropout if name in own else plan.dropout
        layer = _tuner_layer(base, name)
        layer.lora_dropout["default"] = torch.nn.Dropout(dropout) if dropout > 0 else torch.nn.Identity()


def _tuner_layer(base: Any, name: str) -> Any:
    """The layer that PEFT has put in the place of a target."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    outer, _, last = name.rpartition(".")
    layer = getattr(unwrapped(base, outer) if outer else base, last)
    if not isinstance(layer, BaseTunerLayer):
        raise unknown(name, type(base).__name__)
    return layer


def _settle_copies(model: Any) -> None:
    """What is trained in full learns in 32-bit floats, and hands on what it makes in the precision of the model."""
    import torch
    from peft.utils.other import ModulesToSaveWrapper

    for module in model.modules():
        if not isinstance(module, ModulesToSaveWrapper):
            continue
        before = next(module.original_module.parameters()).dtype
        copy = module.modules_to_save["default"]
        if before == torch.float32:
            continue
        copy.to(torch.float32)
        copy.register_forward_pre_hook(_casting(torch.float32), with_kwargs=True)
        copy.register_forward_hook(lambda _module, _args, output, dtype=before: _cast(output, dtype))


def _keep_attention(model: Any) -> None:
    """PEFT adds the adapter to the weights of PyTorch's attention for each forward pass and subtracts it again, which
    moves them by a rounding each time: here they are put back as they were, to the last bit."""
    from peft.tuners.lora.layer import MultiheadAttention

    for layer in model.modules():
        if isinstance(layer, MultiheadAttention):
            kept: list[Any] = []
            layer.register_forward_pre_hook(lambda module, _args, kept=kept: kept.extend(_attention_weights(module)))
            layer.register_forward_hook(
                lambda module, _args, _output, kept=kept: _put_back(module, kept), always_call=True
            )


def _attention_weights(layer: Any) -> list[Any]:
    attention = layer.get_base_layer()
    return [attention.in_proj_weight.data, attention.out_proj.get_base_layer().weight.data]


def _put_back(layer: Any, kept: list[Any]) -> None:
    attention = layer.get_base_layer()
    if kept and not layer.merged:
        attention.in_proj_weight.data, attention.out_proj.get_base_layer().weight.data = kept
    kept.clear()


def _casting(dtype: Any) -> Any:
    def cast_inputs(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _cast(args, dtype), _cast(kwargs, dtype)

    return cast_inputs


def _cast(value: Any, dtype: Any) -> Any:
    """The floating tensors in a value, in another precision."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if type(value) in (tuple, list):
        return type(value)(_cast(part, dtype) for part in value)
    if type(value) is dict:
        return {key: _cast(part, dtype) for key, part in value.items()}
    return value


def _check(model: Any, tensors: list[Tensor]) -> None:
    """Raises CountMismatch unless exactly the planned tensors require gradients, each with its planned shape."""
    planned = {tensor.name: tensor.shape for tensor in tensors}
    trained = {name: tuple(value.shape) for name, value in model.named_parameters() if value.requires_grad}
    if planned == trained:
        return
    wrong = sorted(planned.items() ^ trained.items())
    name = wrong[0][0]
    what = "would not be trained" if name not in trained else "would be trained too"
    raise CountMismatch(
        f"Training {len(planned):,} tensors was asked for",
        f"{len(wrong):,} come out otherwise in the model as loaded: “{name}” {what}",
        "Choose the parts of the model again",
    )
