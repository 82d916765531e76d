"""Starts that change the frozen weights, brought back to plain LoRA when the adapter is saved.

PiSSA and OLoRA begin at a part B0 A0 of the weight itself and take it out of the frozen weight (arXiv:2404.02948,
equation 3; arXiv:2406.01775, section 3), so the adapter alone does not fit the model as others have it. What training
has changed, B A - B0 A0, is LoRA of twice the rank: [B, -B0] [A; A0].

What it does not do: write files.
"""

from __future__ import annotations

import copy
from math import sqrt
from typing import Any

from core.lora.shapes import saved_suffix
from core.lora.tensors import CHANGES_WEIGHTS
from core.spec import Plan

_A, _B = ".lora_A.default.weight", ".lora_B.default.weight"


def remember_start(model: Any, plan: Plan) -> dict[str, Any] | None:
    """LoRA's matrices as they are before the first step, by name, on the CPU; None where plain saving will do.

    Args:
        model: what `wrap` made, not yet trained.
        plan: the same.
    """
    if plan.start not in CHANGES_WEIGHTS:
        return None
    return {
        name: value.detach().to("cpu", copy=True)
        for name, value in model.named_parameters()
        if name.endswith((_A, _B)) and value.requires_grad
    }


def as_plain_lora(model: Any, start: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The trained adapter as plain LoRA of twice the rank: tensors by their keys in the file, and PEFT's config.

    The scale stays: alpha / r, or alpha / sqrt(r) with rsLoRA, by an alpha that grows with the rank.

    Args:
        model: trained, wrapped with one of the starts that change the frozen weights.
        start: what `remember_start` has kept.
    """
    import torch
    from peft import get_peft_model_state_dict

    tensors = dict(get_peft_model_state_dict(model, save_embedding_layers=False))
    for name, before in start.items():
        path, ending = (name.removesuffix(_A), _A) if name.endswith(_A) else (name.removesuffix(_B), _B)
        key = f"{path}.{saved_suffix(ending[1:])}"
        now = tensors[key].detach().cpu()
        tensors[key] = torch.cat([now, before], dim=0) if ending == _A else torch.cat([now, -before], dim=1)
    return tensors, _doubled(model.peft_config["default"])


def _doubled(config: Any) -> Any:
    """The config with twice the ranks, the same scale, and a start that leaves the weights alone."""
    made = copy.deepcopy(config)
    grown = sqrt(2) if made.use_rslora else 2
    made.init_lora_weights = True
    made.r *= 2
    made.lora_alpha *= grown
    made.rank_pattern = {key: 2 * rank for key, rank in made.rank_pattern.items()}
    # A rank of its own with an alpha that is everyone's: PEFT reads the alpha from above, which has grown as well.
    made.alpha_pattern = {key: alpha * grown for key, alpha in made.alpha_pattern.items()}
    return made
