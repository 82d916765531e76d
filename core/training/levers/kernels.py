"""Liger's kernels (arXiv:2410.10989) in the place of a model's norms, rotations and gated MLPs, where they are there.

Its fused head and loss stay off: the loss is computed here, on the positions that are learned alone, and Liger's would
replace the model's whole forward, which then takes no `logits_to_keep` any more. Its plain cross entropy stays off too:
it would take the place of torch's in the whole process.
Liger goes by the type of a model and trusts that the code behind it is the one that it knows. So loss and gradients of
a real batch are compared before and after, and all of it is undone where they differ.
What it does not do: choose the attention (`core.training.choices`), or run on anything but CUDA.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch

from core.data.batches.collate import Batch
from core.evaluation.answers import evaluating
from core.evaluation.scores import token_losses
from core.models.out_of_memory import is_out_of_memory
from core.spec import Settings
from core.training.levers.applied import Applied, left_off

PARTS = {
    "rope": True,
    "rms_norm": True,
    "layer_norm": True,
    "swiglu": True,
    "geglu": True,
    "cross_entropy": False,
    "fused_linear_cross_entropy": False,
}
"""What is asked of Liger; it leaves out what the model's family does not know."""
TOLERANCE = {torch.bfloat16: 2e-2, torch.float16: 2e-2}
"""Share by which loss and gradients may differ: other sums of the same numbers round in another way."""
FINE = 1e-4
"""The same in 32 bits."""


def apply_kernels(model: Any, settings: Settings, device: str, batch: Callable[[], Batch]) -> Applied:
    """Puts Liger's kernels into the model where that changes nothing that is learned.

    Args:
        model: PEFT model on its device.
        settings: of the job.
        device: `cpu` or `cuda`.
        batch: makes a small batch of real rows, on the device.
    """
    if "kernels" in settings.without:
        return left_off("kernels")
    kind = str(getattr(model.get_base_model().config, "model_type", ""))
    if problem := why_not(kind, device):
        return Applied("kernels", False, problem)
    undo = _Undo(model)
    rows = batch()
    before = _learned(model, rows)
    try:
        _put_in(model.get_base_model())
        after = _learned(model, rows)
    except Exception as error:  # whatever kernels raise that do not fit this machine or model
        if is_out_of_memory(error):
            raise
        undo.all()
        return Applied("kernels", False, _failure(error))
    differ = _difference(before, after)
    if not differ <= TOLERANCE.get(model.get_base_model().dtype, FINE):  # NaN is no agreement
        undo.all()
        return Applied("kernels", False, f"Liger’s kernels learn something else here: off by {differ:.1%} on a batch.")
    return Applied("kernels", True, f"Liger’s kernels compute norms, rotations and MLPs of “{kind}”.")


def why_not(kind: str, device: str) -> str | None:
    """Why Liger's kernels are not taken for a type of model, before one is tried; None where they may be."""
    if device != "cuda":
        return "Liger’s kernels run on CUDA only."
    if not installed():
        return "The package liger-kernel is not installed."
    if kind not in families():
        return f"Liger has no kernels for models of the type “{kind}”."
    return None


def installed() -> bool:
    """Whether a version of Liger is there that transformers can use."""
    from transformers.utils import is_liger_kernel_available

    return bool(is_liger_kernel_available())


def families() -> frozenset[str]:
    """Types of models that Liger knows."""
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN

    return frozenset(MODEL_TYPE_TO_APPLY_LIGER_FN)


def _put_in(base: Any) -> None:
    """The same call as transformers' own trainer makes, on the model inside of PEFT's."""
    from liger_kernel.transformers import _apply_liger_kernel_to_instance

    _apply_liger_kernel_to_instance(model=base, **PARTS)


def _failure(error: Exception) -> str:
    """Why kernels that were tried are not taken, in a sentence."""
    if isinstance(error, ImportError):  # it imports what only other versions of transformers have
        return f"liger-kernel {version('liger-kernel')} does not fit transformers {version('transformers')} here."
    return f"Liger’s kernels do not run with this model here ({type(error).__name__})."


Learned = tuple[float, dict[str, float]]
"""A loss, and the norm of the gradient of each parameter that has one."""


def _learned(model: Any, batch: Batch) -> Learned:
    """What a batch teaches, without dropout; no gradient is left."""
    model.zero_grad(set_to_none=True)
    with evaluating(model), torch.autocast(model.device.type, torch.bfloat16, enabled=model.dtype == torch.bfloat16):
        losses, _ = token_losses(model, batch)
        loss = losses.sum()
    loss.backward()
    norms = {name: float(p.grad.norm()) for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return float(loss), norms


def _difference(one: Learned, other: Learned) -> float:
    """The largest share by which losses, or gradients beside the largest, differ; infinite where others learn."""
    if one[1].keys() != other[1].keys():
        return float("inf")
    largest = max(one[1].values(), default=0.0)
    shares = [abs(one[1][name] - other[1][name]) / largest for name in one[1]] if largest else []
    return max([abs(one[0] - other[0]) / max(abs(one[0]), 1e-9), *shares])


class _Undo:
    """Everything that Liger may replace: attributes of modules, and names in the files of their classes."""

    def __init__(self, model: Any) -> None:
        files = {type(module).__module__ for module in model.modules()}
        places = [*map(vars, model.modules()), *(vars(sys.modules[file]) for file in files if "modeling" in file)]
        inside = [module._modules for module in model.modules()]
        self._before = [(place, dict(place)) for place in (*places, *inside)]

    def all(self) -> None:
        """Puts everything back."""
        for place, before in self._before:
            for name in [name for name in place if name not in before]:
                del place[name]
            place.update(before)
