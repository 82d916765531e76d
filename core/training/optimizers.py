"""The optimizer of a job: which AdamW, and what each trained parameter learns by: its rate and its weight decay.

LoRA's B may learn faster than its A (LoRA+, arXiv:2402.12354); parts of the model, and what is trained in full, may
have rates of their own. The groups are those of PEFT's `create_loraplus_optimizer`, with the rates kept apart.
What it does not do: the schedule, clipping and accumulation, which are transformers' own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from core.spec import Optimizer

NAMES: Mapping[Optimizer, str] = {
    "adamw": "adamw_torch",
    "adamw_8bit": "adamw_bnb_8bit",
    "paged_adamw": "paged_adamw_32bit",
    "paged_adamw_8bit": "paged_adamw_8bit",
}
"""The settings' words in transformers' words; all but the first are bitsandbytes'."""
Rates = Sequence[tuple[Sequence[torch.nn.Parameter], float]]
"""Parameters and their learning rate."""


def make_optimizer(
    model: Any, arguments: TrainingArguments, decayed: set[str], rates: Rates | None = None, lora_plus: float = 1.0
) -> torch.optim.Optimizer:
    """AdamW as transformers sets it up, over groups of our own.

    Args:
        model: PEFT model on its device.
        arguments: transformers'; they name the optimizer, the usual rate and the weight decay.
        decayed: names of the parameters that weight decay acts on.
        rates: parameters and their learning rates where the plan has several; None gives all the arguments' one.
        lora_plus: how many times faster LoRA's B learns than its A.
    """
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if rates is None:
        rates = [(list(trained.values()), arguments.learning_rate)]
    faster = faster_ones(trained) if lora_plus != 1 else set()
    names = {id(parameter): name for name, parameter in trained.items()}
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for parameters, rate in rates:
        for parameter in parameters:
            name = names[id(parameter)]
            own = (rate * lora_plus if name in faster else rate, arguments.weight_decay if name in decayed else 0.0)
            groups.setdefault(own, []).append(parameter)
    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments, model)
    options.pop("lr", None)
    if options.get("optim_bits") == 8:
        _keep_tables_precise(model)
    made: torch.optim.Optimizer = kind(
        [{"params": inside, "lr": rate, "weight_decay": decay} for (rate, decay), inside in groups.items()], **options
    )
    return made


def faster_ones(trained: Mapping[str, torch.nn.Parameter]) -> set[str]:
    """Names of what LoRA+ lets learn faster: B, its bias, and DoRA's magnitudes, as PEFT has it.

    Not what is trained in full, and nothing of an embedding, where LoRA's A begins at zero instead of its B.

    >>> one, many = torch.nn.Parameter(torch.zeros(4)), torch.nn.Parameter(torch.zeros(4, 2))
    >>> faster_ones({"q.lora_A.default.weight": many, "q.lora_B.default.weight": many, "norm.weight": one})
    {'q.lora_B.default.weight'}
    """
    tables = {name.partition(".lora_embedding_")[0] for name in trained if ".lora_embedding_" in name}
    found = set()
    for name, parameter in trained.items():
        layer, lora, rest = name.partition(".lora_")
        b_like = rest.startswith("B.") or (rest.startswith("magnitude_vector.") and parameter.dim() == 1)
        if lora and b_like and layer not in tables:
            found.add(name)
    return found


def _keep_tables_precise(model: Any) -> None:
    """Embeddings trained in full keep a 32-bit state; in 8 bits they learn unstably (arXiv:2110.02861, section 2.3)."""
    from bitsandbytes.optim.optimizer import GlobalOptimManager

    manager = GlobalOptimManager.get_instance()
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding) and module.weight.requires_grad:
            manager.override_config(module.weight, "optim_bits", 32)
