"""Some real steps on the model of every kind of layer, and what must hold after them."""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from core.lora.budget import budget
from core.lora.starts import as_plain_lora, remember_start
from core.lora.wrap import wrap
from core.spec import Inspection, Plan
from tests.lora.every_kind import EveryKind, batch


def trained(base: EveryKind, plan: Plan, steps: int = 3):
    """The wrapped model after some steps, and what was remembered of its start; AdaLoRA allots its ranks."""
    torch.manual_seed(1)
    model = wrap(copy.deepcopy(base), plan, steps).train()
    start = remember_start(model, plan)
    optimizer = torch.optim.Adam([value for value in model.parameters() if value.requires_grad], 0.05)
    for step in range(steps):
        optimizer.zero_grad()
        loss = model(**batch(step)).square().mean()
        loss.backward()
        optimizer.step()
        if plan.method == "adalora":
            model.base_model.update_and_allocate(step + 1)
    assert loss.isfinite()
    return model, start


def untrained_names(base: EveryKind, plan: Plan) -> list[str]:
    """Tensors that require a gradient and get none, or that get one and do not require it, in two steps."""
    model, _ = trained(base, plan, steps=2)
    wrong = []
    for name, value in model.named_parameters():
        learns = value.grad is not None and bool(value.grad.abs().max() > 0)
        if learns != value.requires_grad:
            wrong.append(name)
    return wrong


def saved(model, start, folder: Path) -> Path:
    """The adapter on disk, as the worker saves it."""
    if start is None:
        if hasattr(model.peft_config["default"], "target_r"):
            model.peft_config["default"].rank_pattern = None  # saved whole, with the ranks that were let go as zeros
        model.save_pretrained(folder, save_embedding_layers=False)
        return folder
    from safetensors.torch import save_file

    tensors, config = as_plain_lora(model, start)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / FILE, metadata={"format": "pt"})
    config.save_pretrained(folder)
    return folder


FILE = "adapter_model.safetensors"


def assert_all_agrees(base: EveryKind, made: Inspection, plan: Plan, folder: Path) -> None:
    """Counts are PEFT's, bytes are the file's, and plain PEFT loads from it what was trained."""
    from peft import PeftModel

    model, start = trained(base, plan)
    cost = budget(made, plan)
    assert model.get_nb_trainable_parameters()[0] == cost.trainable == sum(cost.by_component.values())
    saved(model, start, folder)
    assert (folder / FILE).stat().st_size == cost.adapter_bytes
    again = PeftModel.from_pretrained(copy.deepcopy(base), folder).eval()
    inputs = batch(7)
    with torch.no_grad():
        expected, found = model.eval()(**inputs), again(**inputs)
        before = base(**inputs)
    assert not torch.allclose(before, expected, atol=1e-4)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
