"""Whether rows can share a prefix or lie behind one another in a model and give the same: what speaks against it, and
a proof on real rows.

The losses of every learned token are compared between the rows as they are and the same rows in one packed row. Where
they differ by more than numbers of this precision do, each row by itself says how much padding alone makes.
What it does not do: look at gradients (the same sums of the same products; tests compare them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from core.data.batches.collate import IGNORED, Batch, Encoder, to_device
from core.data.rows import Row
from core.evaluation.answers import evaluating
from core.evaluation.scores import token_losses
from core.spec import Settings
from core.training.levers.layout import Group, in_one_row, laid_out, lengths_of
from core.training.levers.packed import LAYOUT, bare, looks_ahead, packed

MASKED = frozenset({"sdpa", "eager"})
"""Implementations of attention that take a mask with one entry for two tokens."""
CAUSAL = frozenset({"full_attention", "sliding_attention", "chunked_attention"})
"""Kinds of layers that know of other tokens only what their mask shows them."""
NOISE = 4.0
"""The mean difference may be so many times what it is between rows with and without padding."""
FLOOR = 1e-5
"""Up to this share of a loss, or to the precision's smallest step where that is larger, nobody asks why."""
RAISED = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RuntimeError, NotImplementedError)
"""What models raise at inputs that they were not made for."""


def spoken_against(model: Any, processor: Any, settings: Settings) -> str | None:
    """Why rows are not put together in this model and with these settings, in words; None where nothing is known."""
    config = bare(model).config
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ()) - CAUSAL
    if "cross_attention_mask" in processor.model_input_names:
        return "The text of this model looks at its pictures through layers of their own, row by row."
    if getattr(config, "is_encoder_decoder", False) or getattr(text, "is_encoder_decoder", False):
        return "This model reads a row with an encoder, which sees it whole."
    if text._attn_implementation not in MASKED:
        return f"Its attention ({text._attn_implementation}) takes no mask that says what each token sees."
    if kinds:
        return f"It has layers that remember what came before ({', '.join(sorted(kinds))}), other rows too."
    if settings.neftune > 0:
        return "Noise on the embeddings is spread over a row's length: rows put together would get another."
    if dropped := _dropout(model, config):
        return f"There is dropout ({dropped}): rows put together would lose the same things instead of each its own."
    if any(isinstance(module, torch.nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        return "It has batch norms, which look at the whole batch."
    return None


@torch.no_grad()
def proof(
    model: Any, encoder: Encoder, rows: Sequence[Row], groups: Sequence[Group], positions: frozenset[str]
) -> tuple[bool, str]:
    """Whether the rows in one packed row have the losses that they have as they are, and a sentence about it.

    Args:
        model: on its device.
        encoder: the processor with its cache.
        rows: two or more.
        groups: of them, as `shared_pictures.groups_of` finds them; none to pack them only.
        positions: the inputs that the model makes positions of; see `Layout.positions`.
    """
    try:
        return _compared(model, encoder, rows, groups, positions)
    except RAISED as error:
        why = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        return False, f"This model's code does not take rows put together ({why.rstrip('.')})."


def _compared(
    model: Any, encoder: Encoder, rows: Sequence[Row], groups: Sequence[Group], positions: frozenset[str]
) -> tuple[bool, str]:
    encoded = [encoder.whole(row, keep=True) for row in rows]
    plain = _ready(model, encoder, encoder.joined(rows, encoded))
    lengths, sees = lengths_of(encoded), [bool(row.pictures) for row in rows]
    made = laid_out(in_one_row(lengths, groups), lengths, sees, pick(encoded, positions), encoder.pad_id)
    joined = _ready(model, encoder, encoder.joined(rows, encoded, made.seeing) | {LAYOUT: made})
    if groups and looks_ahead(model, joined):
        return False, "The tokens of its pictures look at the question behind them, which each row has of its own."
    with evaluating(model):
        before = _by_row(model, plain)
        after = _by_row(model, packed(model, joined))[_order(plain, joined)]
        off = float((after - before).abs().mean())
        tried = f"Tried on {len(rows)} rows: the losses"
        if off <= max(FLOOR, torch.finfo(bare(model).dtype).eps) * (1 + float(before.mean())):
            return True, f"{tried} differ by {off:.1e} nats." if off else f"{tried} are the same."
        alone = [_by_row(model, _ready(model, encoder, encoder.training([row]))) for row in rows]
    noise = float((torch.cat(alone) - before).abs().mean())
    if off <= NOISE * noise:
        return True, f"{tried} differ by {off:.1e} nats, and those of the rows without padding by {noise:.1e}."
    return False, f"{tried} would differ by {off:.1e} nats, which is not the same."


def pick(encoded: Sequence[Batch], names: frozenset[str]) -> Batch:
    """Inputs of all rows, one after the other, with the pictures' sizes."""
    columns = {name: [row[name] for row in encoded if name in row] for name in names}
    return {name: torch.cat(values) for name, values in columns.items() if values}


def _ready(model: Any, encoder: Encoder, batch: Batch) -> Batch:
    base = bare(model)
    return encoder.seen(to_device(batch, base.device, base.dtype))


def _by_row(model: Any, batch: Batch) -> torch.Tensor:
    """The losses of the learned tokens, one after the other as they stand in the batch."""
    losses, targets = token_losses(bare(model), batch)
    return losses[targets != IGNORED].float().cpu()


def _order(plain: Batch, joined: Batch) -> torch.Tensor:
    """For each learned token of the rows as they are, its number among those of the packed rows."""
    layout = joined[LAYOUT]
    learned = plain["labels"].cpu() != IGNORED  # [B, T]
    numbers = torch.full_like(learned, -1, dtype=torch.long)
    taken = (layout.rows >= 0) & learned[layout.rows.clamp(min=0), layout.places]
    numbers[layout.rows[taken], layout.places[taken]] = torch.arange(int(taken.sum()))
    return numbers[learned]


def _dropout(model: Any, config: Any) -> str | None:
    """The first dropout that is switched on while training: a layer's, or a value of the config."""
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd) and module.p > 0:
            return name.rsplit(".", 1)[-1] if "lora" not in name else "the adapter's"
    return _dropping(config.to_dict())


def _dropping(values: Mapping[str, Any]) -> str | None:
    """The first rate of dropout above zero in a config."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            if inside := _dropping(value):
                return inside
        elif "drop" in str(name) and "classifier" not in name and isinstance(value, float) and value > 0:
            return name
    return None
