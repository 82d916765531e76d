"""What some methods need beside the plain loop: AdaLoRA's regularization, EVA's start from data.

What it does not do: allot AdaLoRA's ranks (`ranks`), put the adapter on (`core.lora.wrap`), or say which methods go
together (`core.lora.limits`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch

from core.data.batches.collate import Batch, Encoder, to_device
from core.data.rows import Row
from core.errors import TrainingError

ADAPTER = "default"
"""PEFT's name of our only adapter."""
EVA_BATCHES = 256
"""After so many batches the directions of the inputs have settled, or never will."""


def orthogonality(model: Any) -> torch.Tensor | None:
    """AdaLoRA's regularization, zero in value and with its gradient, so that curves show the cross entropy alone.

    The mean of ||P^T P - I|| over the matrices of singular vectors, as PEFT weighs it (arXiv:2303.10512, equation 4).
    None for other methods.
    """
    config = model.peft_config[ADAPTER]
    if not hasattr(config, "orth_reg_weight"):
        return None
    distances = [
        _distance(parameter if ".lora_A." in name else parameter.T)
        for name, parameter in model.named_parameters()
        if f".lora_A.{ADAPTER}" in name or f".lora_B.{ADAPTER}" in name
    ]
    penalty = config.orth_reg_weight * torch.stack(distances).mean()
    return penalty - penalty.detach()


def _distance(rows: torch.Tensor) -> torch.Tensor:
    """How far the rows [r, n] are from orthonormal."""
    gram = rows @ rows.T  # [r, r]
    return torch.linalg.norm(gram - torch.eye(len(gram), dtype=gram.dtype, device=gram.device))


def start_from_data(
    model: Any, encoder: Encoder, rows: Sequence[Row], batch_size: int, check: Callable[[], None]
) -> None:
    """Puts LoRA's first matrices onto the principal directions of what their layers see (EVA, arXiv:2410.07170).

    Args:
        model: PEFT model whose start is EVA.
        encoder: the processor with its cache.
        rows: to learn from, in their order.
        batch_size: rows at a time.
        check: called before each batch; may raise to break off.

    Raises:
        TrainingError: the directions do not settle.
    """
    from peft.tuners.lora.eva import get_eva_state_dict

    found = get_eva_state_dict(
        model,
        _Batches(model, encoder, rows, batch_size, check),
        forward_fn=lambda wrapped, inputs: wrapped(**inputs, use_cache=False),
        prepare_model_inputs_fn=lambda inputs, config: None,
        prepare_layer_inputs_fn=_as_rows,
        show_progress_bar=False,
    )
    with torch.no_grad():
        for name, directions in found.items():  # [r, in]
            model.get_submodule(name).lora_A[ADAPTER].weight.copy_(directions)


class _Batches:
    """The rows as inputs of the model, as often as they are asked for, up to a limit."""

    def __init__(self, model: Any, encoder: Encoder, rows: Sequence[Row], size: int, check: Callable[[], None]) -> None:
        self._model, self._encoder, self._rows, self._size, self._check = model, encoder, rows, size, check

    def __len__(self) -> int:
        return len(range(0, len(self._rows), self._size))

    def __iter__(self) -> Iterator[Batch]:
        for number, start in enumerate(_starts(len(self._rows), self._size)):
            self._check()
            if number >= EVA_BATCHES:
                raise TrainingError(
                    "A start from the data (EVA) was asked for",
                    f"the directions of what the layers see had not settled after {EVA_BATCHES} batches",
                    "Take a smaller rank, a larger batch or another start",
                )
            part = [self._rows[index] for index in range(start, min(start + self._size, len(self._rows)))]
            batch = self._encoder.training(part)
            inputs = to_device(batch, self._model.device, self._model.dtype)
            yield {key: value for key, value in inputs.items() if key != "labels"}


def _starts(count: int, size: int) -> Iterable[int]:
    """Where the batches begin, over and over again."""
    while True:
        yield from range(0, count, size)


def _as_rows(inputs: Any, *_: Any) -> torch.Tensor:
    """What a layer got, as rows [N, in]."""
    first = inputs[0] if isinstance(inputs, (list, tuple)) else inputs
    return first.detach().float().reshape(-1, first.shape[-1])
