"""The peak of real steps on the CPU: every tensor is real, and the bytes of all that are alive are counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from core.evaluation.scores import token_losses
from core.lora.plan import make_plan
from core.lora.selection import available_cells
from core.lora.wrap import wrap
from core.memory.dry_run.inputs import BatchMaker
from core.memory.dry_run.ledger import Ledger
from core.memory.workload import Workload
from core.models.inspection import inspect_source
from core.models.source import Resolved
from core.spec import Plan, Recipe, Selection

PARTS = {
    "vision": ("vision.attention", "vision.mlp"),
    "language": ("language.attention", "language.mlp", "language.experts"),
    "all": ("vision.attention", "vision.mlp", "language.attention", "language.mlp", "language.experts"),
}


def plan_of(resolved: Resolved, part: str, rank: int = 8) -> Plan:
    """LoRA on one side or on everything, as far as the model has it."""
    inspection = inspect_source(resolved.source)
    cells = tuple(cell for cell in PARTS[part] if cell in available_cells(inspection))
    return make_plan(inspection, Selection(cells=cells), Recipe(rank=rank))


def measured_peak(model: Any, plan: Plan, work: Workload, steps: int = 2) -> int:
    """Most bytes alive at once in real steps: forward, loss as in the worker, backward, clipping, AdamW."""
    wrapped = wrap(model, plan).train()
    if work.checkpointing:
        wrapped.get_base_model().activation_checkpointing_enable({"use_reentrant": False})
        wrapped.get_base_model().disable_input_require_grads()  # as the worker keeps such hooks out
    if work.attention == "eager":
        model.set_attn_implementation("eager")
    batch = made_batch(wrapped, work)
    trained = [parameter for parameter in wrapped.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    ledger = Ledger()
    for tensor in (*wrapped.parameters(), *wrapped.buffers(), *batch.values()):
        if isinstance(tensor, torch.Tensor):
            ledger.add(tensor)
    with ledger:
        for _ in range(steps):
            for _ in range(work.accumulation):
                losses, targets = token_losses(wrapped.get_base_model(), batch)
                loss = losses.sum() / (targets != -100).sum()
                loss.backward()
                del losses, targets, loss
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()
    return ledger.peak


def made_batch(model: Any, work: Workload) -> dict[str, Any]:
    """A batch that the real model has accepted, with random pixels."""

    def attempt(call: Callable[[], Any]) -> Any:
        with torch.no_grad():
            return call()

    batch = BatchMaker(model, work, attempt).make()
    for value in batch.layout.inputs.values():
        if value.is_floating_point():
            value.normal_()
    if "flattened_patches" in batch.layout.inputs:
        batch.inputs["flattened_patches"][..., :2] = 1  # a patch's row and column are no pixels
    return batch.inputs
