"""The lever `last_layer`: after the last attention only positions that are learned are computed.

What the last decoder layer gives at other positions goes nowhere: the head does not look at it. Its queries, the
attention's output projection and its MLP are computed at the learned positions alone, and zeros stand elsewhere; keys
and values are computed everywhere, since learned positions look at them.
That nothing else looks at the other positions is shown on real rows: their losses are compared with and without it.
What it does not do: shorten a layer below, or an answer that is being written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from core.data.batches.collate import IGNORED, Batch
from core.evaluation.scores import head_form
from core.spec import Settings
from core.training.levers.applied import Applied, left_off
from core.training.levers.plain_pass import learned_losses

BY_POSITION = ("self_attn.q_proj", "self_attn.o_proj", "self_attn.out_proj", "mlp")
"""Parts of a decoder layer that take each position by itself, by the names that transformers gives them."""
EXACT = 1e-5
"""Share of a loss up to which two are the same in 32 bits; in 16 bits it is the precision's own step."""
FAULTS = (RuntimeError, ValueError, TypeError, AttributeError, LookupError)
"""What a model's code raises when it is given what it does not expect."""


class Narrowing:
    """The positions that are computed in the last layer while gradients are taken."""

    def __init__(self) -> None:
        self._learned: torch.Tensor | None = None

    def tell(self, batch: Batch) -> None:
        """The batch that comes next, with `labels` [B, T]."""
        learned = batch["labels"][:, 1:] != IGNORED
        self._learned = torch.nn.functional.pad(learned, (0, 1))  # [B, T]: position t predicts token t + 1

    def forget(self) -> None:
        """All positions count again."""
        self._learned = None

    def of(self, x: torch.Tensor) -> torch.Tensor | None:
        """Which positions of an input [B, T, D] are computed; None for all."""
        learned = self._learned
        fits = learned is not None and x.dim() == 3 and x.shape[:2] == learned.shape
        return learned if fits and torch.is_grad_enabled() else None


def narrow_last_layer(model: Any, batch: Batch, settings: Settings, before: torch.Tensor | None = None) -> Applied:
    """Narrows the last layer where that is exact for this model.

    Args:
        model: PEFT model on its device, as it will be trained.
        batch: real rows, on the model's device, with `labels`.
        settings: of the job.
        before: the losses of their learned tokens, [N]; None: they are computed.
    """
    if "last_layer" in settings.without:
        return left_off("last_layer")
    if problem := _spoken_against(model, settings):
        return Applied("last_layer", False, problem)
    parts = _parts(model)
    if not parts:
        return Applied("last_layer", False, "Its last layer has no parts that take each position by itself.")
    narrowing = Narrowing()
    before = learned_losses(model, batch) if before is None else before
    undo = [_put(part, narrowing) for part in parts]
    try:
        narrowing.tell(batch)
        off = float((learned_losses(model, batch) - before).abs().max())
    except FAULTS as error:
        off, fault = float("inf"), type(error).__name__
    else:
        fault = ""
    finally:
        narrowing.forget()
    if off <= max(EXACT, torch.finfo(model.dtype).eps) * (1 + float(before.max())):
        model.narrowing = narrowing
        return Applied("last_layer", True, "The last layer computes what is learned alone, beside keys and values.")
    for each in undo:
        each()
    why = f"its code does not take it ({fault})" if fault else f"losses would differ by {off:.1e} nats"
    return Applied("last_layer", False, f"The last layer is computed whole: {why}.")


def tell_narrowing(model: Any, batch: Batch) -> None:
    """Tells a model with a narrowed last layer which positions are learned next; others need not know."""
    narrowing: Narrowing | None = getattr(model, "narrowing", None)
    if narrowing is not None:
        narrowing.tell(batch)


def _spoken_against(model: Any, settings: Settings) -> str | None:
    """Why it cannot be, in words; None where nothing is known."""
    base = model.get_base_model()
    if "answers_only" in settings.without or head_form(model) != "positions":
        return "Every position goes through the output head, so every one is computed."
    if getattr(base.config, "is_encoder_decoder", False):
        return "This model reads a row with an encoder, whose every position is looked at."
    inside = [module for part in _parts(model) for module in part.modules()]
    if any(isinstance(module, torch.nn.modules.dropout._DropoutNd) and module.p > 0 for module in inside):
        return "There is dropout in its last layer, which would fall on other numbers."
    return None


def _parts(model: Any) -> list[Any]:
    """What is narrowed: the parts of the last decoder layer that take each position by itself."""
    decoder = model.get_base_model().get_decoder()
    layers = getattr(decoder, "layers", None)
    if not isinstance(layers, torch.nn.ModuleList) or not len(layers):
        return []
    inside = dict(layers[-1].named_modules())
    return [inside[name] for name in BY_POSITION if name in inside and not _routes(inside[name])]


def _routes(part: Any) -> bool:
    """Whether it sends positions to experts: a training may judge its router by all positions, learned or not."""
    return any("expert" in name or "router" in name for name, _ in (*part.named_modules(), *part.named_parameters()))


def _put(part: Any, narrowing: Narrowing) -> Callable[[], None]:
    """Narrows one part -> what takes that back."""
    whole, own = part.forward, "forward" in vars(part)

    def forward(x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        learned = None if args or kwargs else narrowing.of(x)
        if learned is None:
            return whole(x, *args, **kwargs)
        y = whole(x[learned][None])[0]  # [N, D]
        return y.new_zeros(*learned.shape, y.shape[-1]).index_put((learned,), y)

    part.forward = forward

    def back() -> None:
        if own:
            part.forward = whole
        else:
            del part.forward

    return back
