"""Real rows through the model as it is, once: what several levers are judged by, and what asks for a gradient.

What it does not do: keep anything for a backward pass, so that it takes no more memory than a look at held-out rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from core.data.batches.collate import IGNORED, Batch
from core.evaluation.answers import evaluating
from core.evaluation.scores import token_losses
from core.models.labels.components import Label, component_labels

SEEING = ("vision", "audio", "projector")


@dataclass(frozen=True)
class PlainPass:
    """What came of it."""

    losses: torch.Tensor
    """Of the learned tokens, [N], in nats."""
    asking: Mapping[str, bool]
    """For each component that sees and has run: whether something that it gives asks for a gradient."""


def plain_pass(model: Any, batch: Batch) -> PlainPass:
    """Sends a batch through the model, without dropout.

    Args:
        model: PEFT model or base model, on its device.
        batch: real rows, on the device, with `labels`.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    found: dict[str, bool] = {}

    def watch(component: str) -> Callable[..., None]:
        def hook(_module: Any, _args: Any, output: Any) -> None:
            found[component] = found.get(component, False) or _asks(output)

        return hook

    handles = [module.register_forward_hook(watch(component)) for component, module in _seeing(base)]
    try:
        losses = learned_losses(base, batch)
    finally:
        for handle in handles:
            handle.remove()
    return PlainPass(losses, {component: found[component] for component in SEEING if component in found})


def learned_losses(model: Any, batch: Batch) -> torch.Tensor:
    """The losses of the learned tokens, [N]; computed as in training, where gradients are taken, without dropout."""
    with evaluating(model), nothing_kept():
        losses, targets = token_losses(model, batch)
    return losses[targets != IGNORED].detach().float()


@contextmanager
def nothing_kept() -> Iterator[None]:
    """Inside, tensors know whether they ask for a gradient, but none is kept to go back with."""
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(lambda tensor: None, lambda kept: kept):
        yield


def sight_learns(model: Any) -> bool:
    """Whether something in a component that sees is trained."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return any(parameter.requires_grad for _, module in _seeing(base) for parameter in module.parameters())


def _seeing(base: Any) -> Iterator[tuple[str, Any]]:
    """The outermost modules of the components that see, with the component."""
    labels: Mapping[str, Label] = component_labels(base)
    for name, label in labels.items():
        outer = labels.get(name.rpartition(".")[0]) if name else None
        if label.component in SEEING and (outer is None or outer.component != label.component):
            yield label.component, base.get_submodule(name)


def _asks(value: Any) -> bool:
    """Whether any tensor in it asks for a gradient."""
    if isinstance(value, torch.Tensor):
        return value.requires_grad
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return any(_asks(item) for item in inner)
