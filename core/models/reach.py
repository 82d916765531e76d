"""Whether LoRA can reach a module, so that what it adds is really trained, saved small and merged exactly.

Every rule stands for something that PEFT 0.21 or TRL 1.16 was seen to do; the sentence says what.

What it does not do: judge whether adapting a module is a good idea.
"""

from __future__ import annotations

import re
from typing import Any

from core.models.labels.roles import Chain, is_router
from core.models.labels.usage import own_matrices, weights_read
from core.models.labels.words import a
from core.spec import Component, Role

_QUANTIZER = re.compile(r"VQ|VectorQuant")


def unreachable(around: Chain, role: Role, twin: str | None) -> str | None:
    """Why LoRA cannot reach the first module of the chain; None when it can.

    Args:
        around: the module and all that it lies in.
        role: what the module does.
        twin: another module that holds the same weight.
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    _, module = around[0]
    layers = (torch.nn.Linear, Conv1D, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.Embedding)
    if is_router(around):
        return "a router's choice of experts must stay as it was trained"
    if twin is not None:
        return (
            f"it shares its weight with {twin}: two adapters would work against each other, and one be merged into both"
        )
    if not isinstance(module, layers):
        return _no_layer(module, role)
    if getattr(module, "groups", 1) > 1:
        return "a convolution in groups takes only ranks that the groups divide, and cannot be merged"
    if isinstance(module, torch.nn.Embedding) and not _looks_up(module):
        return f"as {a(type(module).__name__)} it does more than look up, which LoRA's copy of it leaves out"
    return _bypassed(around)


def reached_by_name(around: Chain, name: str, parameter: Any, component: Component, role: Role) -> bool:
    """Whether LoRA reaches a parameter of the chain's first module by the parameter's own name.

    So are experts that are fused into one tensor (E, a, b), and a projector's matrix that is no layer's weight; not
    rows of learned queries or tables of positions, which nothing is multiplied by.
    """
    owner, module = around[0]
    if role != "mlp" or not owner or is_router(around) or name not in own_matrices(module):
        return False
    return parameter.dim() == 3 or (component == "projector" and parameter.dim() == 2)


def _bypassed(around: Chain) -> str | None:
    """Why a layer that PEFT would wrap still would not learn."""
    import torch

    name, _ = around[0]
    for outer_name, outer in around[1:]:
        if isinstance(outer, torch.nn.MultiheadAttention):
            return f"PyTorch's attention ({outer_name}) reads its weight directly, so LoRA on it would never learn"
        if _QUANTIZER.search(type(outer).__name__):
            return "it belongs to an image tokenizer, through which no gradient passes"
    if "Mamba" in type(around[1][1]).__name__ and name.endswith("out_proj"):
        return "Mamba's fused kernel reads its weight directly, so LoRA on it would never learn"
    for outer_name, outer in around[1:4]:
        path, kind = name[len(outer_name) + 1 if outer_name else 0 :], outer.__class__
        if path in weights_read(kind):
            return f"{kind.__name__} reads its weight directly, past what LoRA adds"
    return None


def _looks_up(table: Any) -> bool:
    """Whether an embedding does nothing but look up, and at most scale, as PEFT's copy of it does."""
    import torch

    return type(table).forward is torch.nn.Embedding.forward or hasattr(table, "embed_scale")


def _no_layer(module: Any, role: Role) -> str:
    """Why a module that is no Linear and no convolution is out of reach."""
    import torch

    own = [parameter for _, parameter in module.named_parameters(recurse=False)]
    if isinstance(module, torch.nn.MultiheadAttention):
        return "PyTorch's attention keeps query, key and value in one bare tensor"
    if any(parameter.dim() == 3 for parameter in own) and role == "mlp":
        return "its experts are fused into one tensor of three dimensions, which is no layer that LoRA can wrap"
    if role == "norm":
        return "a norm has no matrix to which a low-rank update could be added"
    return "it holds bare parameters and is no layer that LoRA can wrap"
