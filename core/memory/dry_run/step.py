"""One training step, as the worker runs it, with its tensors counted: forward, loss on the answer, backward.

Works on real tensors and on fake ones; only the `Ledger` that is handed in differs.
What it does not do: make a batch (see `inputs`), or step the optimizer, whose bytes are known without running it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from core.memory.dry_run.ledger import Ledger, Moment, Place, When
from core.memory.dry_run.repeats import NotRepeatable, Shape, Stack

IGNORED = -100
"""Label of a token that the loss does not see."""


@dataclass(frozen=True)
class Call:
    """One call of a repeated layer in the forward pass."""

    stack: str
    layer: int
    ran: bool
    """False for a layer that was left out."""
    graded: bool
    """Whether gradients go back through it to what it is given."""


@dataclass(frozen=True)
class Trace:
    """What a step took, and in which order its layers ran."""

    moments: tuple[Moment, ...]
    calls: tuple[Call, ...]


class Observer:
    """Tells a ledger where in the step it is, by hooks on the repeated layers, the vision side and the head.

    Args:
        ledger: to be told.
        stacks: the repeated layers.
        kept: layers of each stack that run; the others hand on what they are given.
        vision: modules of the vision side, outermost only.
        head: the output embedding, or None.
    """

    def __init__(
        self, ledger: Ledger, stacks: list[Stack], kept: Mapping[str, frozenset[int]], vision: list[Any], head: Any
    ) -> None:
        self.ledger = ledger
        self.calls: list[Call] = []
        self._handles: list[Any] = []
        self._part = "language"
        self._left_out: list[Any] = []
        for stack in stacks:
            shape = Shape(stack)
            for index, layer in enumerate(stack.layers):
                self._watch(stack, shape, index, layer, index in kept[stack.name])
        for module in vision:
            self._between(module, "vision")
        if head is not None:
            self._handles.append(head.register_forward_pre_hook(self._at_head))

    def close(self) -> None:
        """Takes the hooks off; layers that were left out run again."""
        for handle in self._handles:
            handle.remove()
        for layer in self._left_out:
            del layer.forward

    def _watch(self, stack: Stack, shape: Shape, index: int, layer: Any, runs: bool) -> None:
        def before(module: Any, args: Any, kwargs: Any) -> None:
            if not self.ledger.when.backward:
                hidden = shape.hidden(args, kwargs)
                self.calls.append(Call(stack.name, index, runs, hidden.requires_grad))
                self._stand(len(self.calls))
                if runs:
                    self.ledger.own(hidden, len(self.calls))

        def after(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            if self.ledger.when.backward:
                return
            shape.learn(args, kwargs, output)
            hidden = output[0] if isinstance(output, tuple) else output
            if hidden.requires_grad:
                hidden.register_hook(self._going_back(len(self.calls)))

        self._handles.append(layer.register_forward_pre_hook(before, with_kwargs=True))
        if runs:
            self._handles.append(layer.register_forward_hook(after, with_kwargs=True))
        else:
            layer.forward = shape.hand_on
            self._left_out.append(layer)

    def _between(self, module: Any, part: str) -> None:
        """Everything made while the module runs belongs to a part."""
        before: list[str] = []

        def enter(*_: Any) -> None:
            before.append(self._part)
            self._set(part)

        def leave(*_: Any) -> None:
            if before:
                self._set(before.pop())

        self._handles.append(module.register_forward_pre_hook(enter))
        self._handles.append(module.register_forward_hook(leave))

    def _at_head(self, *_: Any) -> None:
        self._set("logits")

    def _set(self, part: str) -> None:
        if not self.ledger.when.backward:
            self._part = part
            self._stand(len(self.calls))

    def _stand(self, call: int) -> None:
        self.ledger.place, self.ledger.when = Place(call, self._part), When(False, call)

    def _going_back(self, call: int) -> Any:
        def hook(gradient: torch.Tensor) -> None:
            self.ledger.place, self.ledger.when = Place(call, "workspace"), When(True, call)

        return hook

    def turn(self) -> None:
        """The forward pass has ended."""
        call = len(self.calls) + 1
        self.ledger.place, self.ledger.when = Place(call, "workspace"), When(True, call)


def run_step(model: Any, batch: Mapping[str, Any], observer: Observer, bf16: bool, everywhere: bool = False) -> Trace:
    """Forward, loss and backward; the gradients stay on the model.

    Args:
        model: PEFT model in training mode.
        batch: inputs and `labels` [B, T].
        observer: on the model's layers.
        bf16: whether autocast computes in bfloat16.
        everywhere: whether all positions go through the head.

    Raises:
        NotRepeatable: a stack has to be run whole.
    """
    ledger = observer.ledger
    with ledger, gradients_told(model, ledger):
        loss = answer_loss(model, batch, bf16, everywhere)
        observer.turn()
        loss.backward()
        del loss
    return Trace(tuple(ledger.moments()), tuple(observer.calls))


def answer_loss(model: Any, batch: Mapping[str, Any], bf16: bool, everywhere: bool = False) -> torch.Tensor:
    """Summed cross entropy of the answers, in operations that take what those of the worker's loss take.

    Only positions with something to learn go through the head where the model allows it. The worker names them row by
    row (`core.evaluation.scores.token_losses`); here all rows are alike, and columns are as many.
    """
    targets = batch["labels"][:, 1:]  # [B, T - 1]: position t predicts token t + 1
    columns = (targets != IGNORED).any(dim=0).nonzero().squeeze(1)  # [K]
    inputs = {key: value for key, value in batch.items() if key != "labels"}
    model = model.get_base_model()  # the adapter's layers are in it
    if not everywhere and "logits_to_keep" in inspect.signature(model.forward).parameters:
        logits = _forward(model, bf16, **inputs, use_cache=False, logits_to_keep=columns).logits  # [B, K, V]
    else:
        logits = _forward(model, bf16, **inputs, use_cache=False).logits[:, columns]
    targets = targets[:, columns].flatten()  # [B * K]
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), targets, ignore_index=IGNORED, reduction="none"
    )
    return losses.sum() / (targets != IGNORED).sum()


def _forward(model: Any, bf16: bool, **inputs: Any) -> Any:
    """The model's output; under mixed precision accelerate turns all of it into fp32."""
    if not bf16:
        return model(**inputs)
    from accelerate.utils import convert_to_fp32

    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(**inputs)
    return convert_to_fp32(output)


@contextmanager
def gradients_told(model: Any, ledger: Ledger) -> Iterator[None]:
    """A parameter's gradient is counted as such once it is whole."""

    def told(parameter: torch.Tensor) -> None:
        if parameter.grad is not None:
            ledger.move(parameter.grad, "gradient")

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    handles = [parameter.register_post_accumulate_grad_hook(told) for parameter in trained]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


__all__ = ["Call", "NotRepeatable", "Observer", "Trace", "answer_loss", "run_step"]
