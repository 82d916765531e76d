"""What the model card calls what a job chose: the words of the page, not those of the code.

What it does not do: know what these mean (`core.spec.Settings`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.lora.limits import NAMES, START_NAMES
from core.spec import Plan

LEVERS: Mapping[str, str] = {
    "answers_only": "only answers go through the head",
    "frozen_first": "nothing goes back through frozen parts",
    "vision_cache": "a frozen vision part sees each picture once",
    "shared_pictures": "questions share their picture",
    "packing": "short rows side by side",
    "fused_lora": "a layer and its LoRA in one step",
    "last_layer": "the last layer only for answers",
    "kernels": "Liger's kernels",
}
"""As the settings' form calls them."""
CHOICES: Mapping[str, str] = {
    "device": "device",
    "precision": "precision",
    "attention": "attention",
    "checkpointing": "checkpointing",
    "at_once": "rows at a time",
    "accumulation": "accumulation",
    "workers": "loader processes",
}
"""As the page calls what was chosen for a job."""
VALUES: Mapping[str, Mapping[str, str]] = {
    "optimizer": {
        "adamw": "AdamW",
        "adamw_8bit": "AdamW, 8 bits",
        "paged_adamw": "AdamW, paged",
        "paged_adamw_8bit": "AdamW, paged, 8 bits",
    },
    "attention": {
        "sdpa": "PyTorch's own (SDPA)",
        "eager": "step by step (eager)",
        "flash_attention_2": "FlashAttention 2",
    },
    "precision": {"bf16": "16 bits (bfloat16)", "fp32": "32 bits"},
    "keep": {"best": "the best", "last": "the last"},
    "augment": {
        "colour": "brightness and contrast",
        "rotation": "turn slightly",
        "crop": "crop slightly",
        "blur": "blur",
        "jpeg": "JPEG traces",
    },
}
"""As the settings' form calls what can be chosen there."""


def value(name: str, chosen: Any) -> str:
    """What was chosen for a setting or by the studio.

    >>> value("checkpointing", True), value("optimizer", "adamw_8bit")
    ('on', 'AdamW, 8 bits')
    """
    if isinstance(chosen, bool):
        return "on" if chosen else "off"
    return "none" if chosen is None else VALUES.get(name, {}).get(str(chosen), str(chosen))


def kind(plan: Plan) -> str:
    """What the adapter is, with its article: by its method, and by what is trained without one."""
    if not (plan.target_modules or plan.target_parameters):
        return "An adapter of parts trained in full"
    method = NAMES[plan.method]
    article = "A" if method[0] in "LD" else "An"  # An AdaLoRA, and an rsLoRA, which is read letter by letter
    start = "" if plan.start == "default" else f" that began from {START_NAMES[plan.start]}"
    full = ", with parts trained in full," if plan.full_modules else ""
    return f"{article} {method} adapter{start}{full}"
