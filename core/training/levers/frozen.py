"""The lever `frozen_first`: what nothing before it trains stays out of the backward pass, also with checkpointing.

With an adapter and checkpointing, both TRL and transformers put a hook on every embedding, the vision tower's patches
included, so that its output asks for a gradient: a tower that is frozen is then computed again and gone back through at
every step. Only reentrant checkpointing needs that, and none here is. The hooks of the first who puts them are also
never taken off again. Here they are kept out, and the features of a real batch are asked whether they want a gradient.
What it does not do: freeze anything; the plan says what is trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from core.spec import Settings
from core.training.levers.applied import Applied, left_off

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


def frozen_first(asking: Mapping[str, bool], settings: Settings) -> Applied:
    """What is said of it.

    Args:
        asking: what `plain_pass` has found in real rows, inside of `no_input_hooks`.
        settings: of the job.
    """
    if "frozen_first" in settings.without:
        return left_off("frozen_first")
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


def _is_input_hook(hook: Any) -> bool:
    return getattr(hook, "__name__", "") in _HOOKS
