"""How long a row may be: what the model has positions for, or less where the person says so.

What it does not do: measure a row (see `lengths`), or cut one.
"""

from __future__ import annotations

from typing import Any

POSITIONS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
"""What configs call the number of positions of the language model."""


def token_limit(config: Any, asked: int | None = None) -> tuple[int | None, str]:
    """Tokens of the longest row that is taken, pictures and answers included, and why; None where nothing limits it.

    Args:
        config: the model's, as transformers reads it (`core.models.classes.read_config`).
        asked: what the person set.
    """
    own = _positions(config)
    if own is not None and (asked is None or asked > own):
        reason = f"the model has {own:,} positions"
        return own, reason if asked is None else f"{reason}, fewer than the {asked:,} that were asked for"
    return asked, "the model's config names no limit" if asked is None else "set by hand"


def _positions(config: Any) -> int | None:
    """Of the language model, where its config says so."""
    text = config.get_text_config(decoder=True)
    found = (getattr(text, name, None) for name in POSITIONS)
    return next((value for value in found if isinstance(value, int) and value > 0), None)
