"""Noise on the embeddings while training (NEFTune, arXiv:2310.05914): whether a model has a place for it.

transformers adds the noise: uniform in +-alpha / sqrt(L x D) on the embeddings [B, L, D] of the tokens, each time they
are looked up in training mode. Pictures, which the model puts in afterwards, get none, and looks,
which are in evaluation mode, see none.
What it does not do: add the noise.
"""

from __future__ import annotations

from typing import Any

import torch

from core.errors import TrainingError


def check_noise(model: Any, alpha: float) -> None:
    """Looks for the embeddings where transformers would put noise.

    Args:
        model: PEFT model.
        alpha: of the noise; with 0 there is nothing to check.

    Raises:
        TrainingError: the model's input is no embedding of tokens.
    """
    if alpha == 0:
        return
    try:
        found = model.get_base_model().get_input_embeddings()
    except NotImplementedError:
        found = None
    while hasattr(found, "original_module") or hasattr(found, "base_layer"):  # PEFT's wrappers
        found = getattr(found, "original_module", None) or found.base_layer
    if not isinstance(found, torch.nn.Embedding):
        raise TrainingError(
            "Noise on the embeddings was asked for",
            "this model says of no module that it is the embedding of its tokens",
            "Set the noise to 0",
        )
