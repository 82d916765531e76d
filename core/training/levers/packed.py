"""A batch as its layout says: tokens, positions and masks of the packed rows.

Every token keeps the position and the view that it has in its own row: both are asked of the model's own code on the
rows as they are, so that windows and pictures that see themselves both ways stay what they are, and then moved.
What it does not do: decide what lies where (`layout`), or whether that is exact for the model (`row_proof`).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from transformers.masking_utils import create_masks_for_generate

from core.data.batches.collate import IGNORED, TOKEN_FILL, Batch
from core.training.levers.layout import NONE, Layout

LAYOUT = "layout"
"""The key of a batch under which its layout lies."""


def packed(model: Any, batch: Batch) -> Batch:
    """The batch as its layout says; as it is where it has none.

    `input_ids` and `labels` become [B', T'], `attention_mask` [B', 1, T', T'] (one for each kind of layer where the
    model has several), `position_ids` [B', T'], or [3, B', T'] where positions have three axes.

    Args:
        model: with or without an adapter.
        batch: on the model's device, its tokens [B, T] padded on the right.
    """
    given = {key: value for key, value in batch.items() if key != LAYOUT}
    layout: Layout | None = batch.get(LAYOUT)
    if layout is None:
        return given
    device = batch["input_ids"].device
    rows, places = layout.rows.to(device), layout.places.to(device)  # [B', T']
    fills = {"input_ids": layout.pad_id, "labels": IGNORED, **TOKEN_FILL}
    made: Batch = {key: _moved(value, rows, places, fills[key]) for key, value in given.items() if key in fills}
    made["labels"][layout.opens.to(device)] = IGNORED  # what stands before it is no part of its row
    made["position_ids"] = _positions(model, given | layout.positions, rows, places)
    masks = {kind: mask for kind, (mask, _) in _views(model, given, layout).items()}
    made["attention_mask"] = masks if len(masks) > 1 else next(iter(masks.values()))
    return given | made


@torch.no_grad()
def looks_ahead(model: Any, batch: Batch) -> bool:
    """Whether a prefix sees something of the row that it comes from, as PaliGemma's pictures see their question."""
    layout: Layout = batch[LAYOUT]
    shared = layout.shared.to(batch["input_ids"].device)
    own = shared[:, :, None] & ~shared[:, None, :]  # [B', T', T']
    return any(bool((seen & own).any()) for _, seen in _views(model, batch, layout).values())


def _moved(value: torch.Tensor, rows: torch.Tensor, places: torch.Tensor, fill: int) -> torch.Tensor:
    """What goes by token, [B, T, ...], at its new places, [B', T', ...]."""
    moved = value[rows.clamp(min=0), places]
    moved[rows == NONE] = fill
    return moved


def _positions(model: Any, given: Mapping[str, Any], rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Each token's own position: counted, or by the model's own code where pictures have several axes."""
    make = position_maker(model)
    if make is None:
        return places
    asked = inspect.signature(make).parameters
    made = make(**{name: given.get(name) for name in asked})  # [3, B, T]
    return places if made is None else made[:, rows.clamp(min=0), places]


def position_maker(model: Any) -> Any:
    """The model's own code for positions of several axes; None where tokens are counted."""
    base = bare(model)
    return getattr(getattr(base, "model", base), "compute_3d_position_ids", None)


def _views(model: Any, batch: Batch, layout: Layout) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """For each kind of layer the mask as the model takes it, [B', 1, T', T'], and who sees whom, [B', T', T']."""
    device = batch["input_ids"].device
    rows, places, pieces = (each.to(device) for each in (layout.rows, layout.places, layout.pieces))
    own = rows[:, :, None] == rows[:, None, :]
    together = (pieces[:, :, None] == pieces[:, None, :]) & (layout.shared.to(device)[:, None, :] | own)
    padding = (rows == NONE)[:, :, None] & torch.eye(rows.shape[1], dtype=torch.bool, device=device)
    together &= (rows != NONE)[:, :, None]
    views = {}
    for kind, mask in _masks(model, batch).items():
        moved = mask[rows.clamp(min=0)[:, :, None], places[:, :, None], places[:, None, :]]
        if moved.dtype == torch.bool:
            seen = moved & together
            views[kind] = ((seen | padding)[:, None], seen)
        else:
            low = torch.finfo(moved.dtype).min
            seen = (moved > low) & together
            views[kind] = (torch.where(padding, 0.0, torch.where(seen, moved, low)).to(moved.dtype)[:, None], seen)
    return views


def _masks(model: Any, batch: Batch) -> dict[str, torch.Tensor]:
    """For each kind of layer the mask [B, T + 1, T + 1] that the model's own code makes of the rows as they are.

    One token of padding stands behind all rows: without any, a mask may be left out.
    """
    base, ids = bare(model), batch["input_ids"]
    types = {
        key: torch.nn.functional.pad(batch[key], (0, 1), value=TOKEN_FILL[key])
        for key in ("token_type_ids", "mm_token_type_ids")
        if key in batch
    }
    make = getattr(base, "create_masks_for_generate", create_masks_for_generate)
    made = make(
        config=base.config,
        inputs_embeds=torch.empty(1, dtype=base.dtype, device=ids.device).expand(ids.shape[0], ids.shape[1] + 1, 1),
        attention_mask=torch.nn.functional.pad(batch["attention_mask"], (0, 1)),
        past_key_values=None,
        position_ids=None,
        is_first_iteration=True,
        **types,
    )
    masks = made if isinstance(made, dict) else {"": made}
    if not all(isinstance(mask, torch.Tensor) and mask.ndim == 4 for mask in masks.values()):
        raise ValueError("its masks do not say for each token what it sees")
    return {kind: mask[:, 0].expand(ids.shape[0], -1, -1) for kind, mask in masks.items()}


def bare(model: Any) -> Any:
    """The model inside of PEFT's."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
