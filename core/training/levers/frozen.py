"""The lever `frozen_first`: what nothing before it trains stays out of the backward pass, also with checkpointing.

With an adapter and checkpointing, both TRL and transformers put a hook on every embedding, the vision tower's patches
included, so that its output asks for a gradient: a tower that is frozen is then computed again and gone back through at
every step. Only reentrant checkpointing needs that, and none here is. The hooks of the first who puts them are also
never taken off again. Here they are kept out, and the features of a real batch are asked whether they want a gradient.
What it does not do: freeze anything; the plan says what is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from core.data.batches.collate import Batch
from core.evaluation.answers import evaluating
from core.evaluation.scores import token_losses
from core.models.labels.components import Label, component_labels
from core.spec import Settings
from core.training.levers.applied import Applied, left_off

SEEING = ("vision", "audio", "projector")
WORDS = {"vision": "the vision tower", "audio": "the audio tower", "projector": "the projector"}
_HOOKS = frozenset({"make_inputs_require_grads", "make_inputs_require_grad"})
"""What transformers and PEFT call theirs."""


def input_hooks(model: Any) -> int:
    """How many hooks make an embedding's output ask for a gradient."""
    return sum(_is_input_hook(hook) for module in model.modules() for hook in module._forward_hooks.values())


def take_off_input_hooks(model: Any) -> None:
    """Takes all of them off, whoever put them there and whether or not a handle was kept."""
    for module in model.modules():
        for number in [number for number, hook in module._forward_hooks.items() if _is_input_hook(hook)]:
            del module._forward_hooks[number]


@contextmanager
def no_input_hooks(model: Any) -> Iterator[None]:
    """Inside, nobody puts such hooks on the model, and those that were there are gone.

    Args:
        model: PEFT model; TRL and transformers both ask the model inside of it.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    take_off_input_hooks(model)
    base.enable_input_require_grads = lambda: None
    try:
        yield
    finally:
        del base.enable_input_require_grads
        take_off_input_hooks(model)


def frozen_first(model: Any, batch: Batch, settings: Settings) -> Applied:
    """Asks whether what the vision side gives to the language model wants a gradient.

    Args:
        model: PEFT model, as it will be trained.
        batch: real rows, on the model's device, with `labels`.
        settings: of the job.
    """
    if "frozen_first" in settings.without:
        return left_off("frozen_first")
    with no_input_hooks(model):
        asking = asks_for_gradient(model, batch)
    frozen = [WORDS[part] for part, asks in asking.items() if not asks]
    reached = [WORDS[part] for part, asks in asking.items() if asks]
    if not asking:
        return Applied("frozen_first", True, "These rows go through nothing before the language model.")
    if not frozen:
        because = "something in or before it is trained" if len(reached) == 1 else "something in them is trained"
        return Applied("frozen_first", False, f"The backward pass goes through {' and '.join(reached)}: {because}.")
    stays = f"{' and '.join(frozen)} {'stays' if len(frozen) == 1 else 'stay'} out of the backward pass"
    goes = f", which goes through {' and '.join(reached)}" if reached else ""
    return Applied("frozen_first", True, f"{stays[0].upper()}{stays[1:]}{goes}.")


def asks_for_gradient(model: Any, batch: Batch) -> dict[str, bool]:
    """For each component that sees and has run: whether something that it gives asks for a gradient."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    found: dict[str, bool] = {}

    def watch(component: str) -> Callable[..., None]:
        def hook(_module: Any, _args: Any, output: Any) -> None:
            found[component] = found.get(component, False) or _asks(output)

        return hook

    handles = [module.register_forward_hook(watch(component)) for component, module in _seeing(base)]
    try:
        with evaluating(model), torch.enable_grad():  # who asks for a gradient does so in training as well
            token_losses(base, batch)
    finally:
        for handle in handles:
            handle.remove()
    return {component: found[component] for component in SEEING if component in found}


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


def _is_input_hook(hook: Any) -> bool:
    return getattr(hook, "__name__", "") in _HOOKS
