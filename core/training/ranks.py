"""Where AdaLoRA's rank goes: it is allotted after each optimizer step, and what was allotted is written down.

PEFT decides (arXiv:2303.10512, algorithm 1); a rank is the number of singular values that it has left to a layer.
What it does not do: choose the schedule (`core.lora.plan`), or regularize (`methods`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import TrainerCallback

from core.lora.tensors import by_name
from core.spec import Inspection
from core.training.metrics import Metrics

ADAPTER = "default"
"""PEFT's name of our only adapter."""
MOST_POINTS = 100
"""Points of one job at most, so that a picture of them stays quick."""
_VALUES = f".lora_E.{ADAPTER}"


class RankAllocation(TrainerCallback):
    """Lets AdaLoRA move its rank to where it matters, after each optimizer step."""

    def __init__(self, model: Any, inspection: Inspection, metrics: Metrics) -> None:
        self._model, self._metrics = model, metrics
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._began = first_ranks(model)
        self._written: tuple[list[int], int] = ([], 0)
        labels = by_name(inspection)
        named = [(name, labels[name]) for name in self._began]
        metrics.add(
            "rank_modules",
            modules=[{"name": n, "component": m.component, "role": m.role, "layer": m.layer} for n, m in named],
        )
        self._write(0, list(self._began.values()))

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Gradients are still there; what no gradient reached counts as unimportant."""
        for parameter in self._trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        step = state.global_step + 1
        self._model.base_model.update_and_allocate(step)
        config = self._model.peft_config[ADAPTER]
        settled = step >= config.total_step - config.tfinal
        before, at = self._written
        now = ranks_now(config.rank_pattern, self._began)
        # The last one is always written; before it some may be left out, never two close to each other.
        if now != before and (settled or step - at >= max(1, config.total_step // (MOST_POINTS - 2))):
            self._write(step, now)

    def _write(self, step: int, ranks: Sequence[int]) -> None:
        self._written = (list(ranks), step)
        self._metrics.add("ranks", step=step, ranks=list(ranks))


def first_ranks(model: Any) -> dict[str, int]:
    """The rank that each adapted module begins with, by the module's name, in the model's order."""
    base = model.get_base_model()
    values = ((name, value) for name, value in base.named_parameters() if name.endswith(_VALUES))
    return {name.removesuffix(_VALUES): len(value) for name, value in values}


def ranks_now(pattern: Mapping[str, Sequence[bool]] | None, began: Mapping[str, int]) -> list[int]:
    """The ranks in the order of `began`, of what PEFT's `rank_pattern` has left; all of them before the first cut."""
    if pattern is None:
        return list(began.values())
    return [sum(pattern[f"{name}{_VALUES}"]) for name in began]
