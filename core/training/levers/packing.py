"""Rows put together: those that share their pictures share a prefix, and others fill up what would be padding.

`put_together` decides for a job, with a reason for each of both levers; its `Arranger` then lays out every batch.
What it does not do: change what is learned. A row sees itself alone, at its own positions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from core.data.batches.collate import Batch, Encoder
from core.data.batches.image_tokens import image_ids
from core.data.rows import Row
from core.spec import Lever, Settings
from core.training.levers.applied import Applied, left_off
from core.training.levers.layout import Group, Layout, best_layout, laid_out, lengths_of
from core.training.levers.packed import bare, position_maker
from core.training.levers.row_proof import pick, proof, spoken_against
from core.training.levers.shared_pictures import Sharing, groups_of, sharing

LOOKED_AT = 1_000
"""Rows whose pictures are compared to say how many share one, where no more has to be known."""
SOME = 1024
"""Hidden size of a model whose config names none."""
NEAR = 64
"""First rows among which one with other pictures is looked for."""
WORTH_A_WORD = 1.2
"""Rows to a picture from which on it is said that another order would let them be learned together."""


@dataclass(frozen=True)
class Arranger:
    """Lays out the batches of one job."""

    share: bool
    pack: bool
    signs: tuple[int, ...]
    """The tokens that stand for pictures."""
    hidden: int
    """The hidden size of the language model."""
    positions: frozenset[str]
    """The inputs that the model makes positions of, beside the tokens."""
    pad_id: int

    def __call__(self, rows: Sequence[Row], encoded: Sequence[Batch]) -> Layout | None:
        """The layout that saves the most; None where none saves anything."""
        lengths = lengths_of(encoded)
        groups = groups_of(rows, encoded, self.signs) if self.share else []
        if len(rows) < 2 or not (groups or self.pack):
            return None
        best = best_layout(lengths, groups, self.pack, self.hidden)
        if best is None:
            return None
        sees = [bool(row.pictures) for row in rows]
        return laid_out(best, lengths, sees, pick(encoded, self.positions), self.pad_id)


@dataclass(frozen=True)
class Together:
    """What was decided for one job."""

    arranger: Arranger | None
    """None: every batch stays as it is."""
    levers: tuple[Applied, ...]
    keys: torch.Tensor | None
    """For each row a number that stands for its pictures, where pictures are shuffled instead of rows; else None."""
    notes: tuple[str, ...]


def put_together(
    model: Any, encoder: Encoder, rows: Sequence[Row], settings: Settings, between: Callable[[], None]
) -> Together:
    """Decides whether rows share prefixes and are packed, and in which order they come.

    Args:
        model: with its adapter, on its device.
        encoder: the processor with its cache.
        rows: to learn from.
        settings: how.
        between: is called now and then while the rows are read, and may raise to break off.
    """
    by_picture = settings.order == "pictures"
    known = sharing(rows, None if by_picture else LOOKED_AT, between)
    against = spoken_against(model, encoder.processor, settings)
    make = position_maker(model)
    names = frozenset(inspect.signature(make).parameters) if make is not None else frozenset()
    arranger = Arranger(
        share=True,
        pack=True,
        signs=tuple(sorted(image_ids(encoder.processor))),
        hidden=getattr(bare(model).config.get_text_config(), "hidden_size", SOME),
        positions=frozenset(names - {"input_ids", "attention_mask", "mm_token_type_ids", "inputs_embeds"}),
        pad_id=encoder.pad_id,
    )
    shared = _shared(model, encoder, rows, settings, known, arranger, against)
    packs = _packs(model, encoder, rows, settings, arranger, against, shared.on)
    chosen = Arranger(shared.on, packs.on, arranger.signs, arranger.hidden, arranger.positions, arranger.pad_id)
    notes = _notes(known, by_picture, shared.on, len(rows))
    keys = known.keys if by_picture and known.pairs else None
    return Together(chosen if shared.on or packs.on else None, (shared, packs), keys, notes)


def _shared(
    model: Any,
    encoder: Encoder,
    rows: Sequence[Row],
    settings: Settings,
    known: Sharing,
    arranger: Arranger,
    against: str | None,
) -> Applied:
    """Whether rows that share their pictures share a prefix."""
    lever: Lever = "shared_pictures"
    if lever in settings.without:
        return left_off(lever)
    if not known.pairs:
        first = "" if len(known.keys) == len(rows) else f" of the first {len(known.keys):,}"
        return Applied(lever, False, f"No two rows{first} share their pictures.")
    if settings.augment:
        return Applied(lever, False, "Each row's pictures are changed in a way of their own, so that none is shared.")
    if settings.batch_size < 2:
        return Applied(lever, False, "Rows are computed one at a time.")
    if against is not None:
        return Applied(lever, False, against)
    for pair in known.pairs:
        tried = [rows[at] for at in pair]
        groups = groups_of(tried, [encoder.whole(row, keep=True) for row in tried], arranger.signs)
        if groups:
            tried = [*_another(rows, tried[0]), *tried]  # in front, where the others would see it
            groups = [Group(tuple(at + len(tried) - 2 for at in group.rows), group.prefix) for group in groups]
            on, words = proof(model, encoder, tried, groups, arranger.positions)
            return Applied(lever, on, f"{known.mean:.1f} rows to a picture, on average. {words}" if on else words)
    return Applied(lever, False, "In these rows other words stand before the pictures, so that no two begin alike.")


def _packs(
    model: Any,
    encoder: Encoder,
    rows: Sequence[Row],
    settings: Settings,
    arranger: Arranger,
    against: str | None,
    shares: bool,
) -> Applied:
    """Whether rows fill up what would be padding; where some share a prefix, that was tried beside another row."""
    lever: Lever = "packing"
    if lever in settings.without:
        return left_off(lever)
    if settings.batch_size < 2 or len(rows) < 2:
        return Applied(lever, False, "Rows are computed one at a time, so that there is no padding.")
    if against is not None:
        return Applied(lever, False, against)
    tried = shares and _another(rows, rows[0])
    on, words = (True, "") if tried else proof(model, encoder, [rows[0], rows[1]], [], arranger.positions)
    return Applied(
        lever, on, f"Short rows stand in one row where that saves padding. {words}".rstrip() if on else words
    )


def _another(rows: Sequence[Row], than: Row) -> list[Row]:
    """One row with other pictures, of the first rows; none where there is none."""
    near = (rows[at] for at in range(min(len(rows), NEAR)))
    return list(islice((row for row in near if row.pictures != than.pictures), 1))


def _notes(known: Sharing, by_picture: bool, shares: bool, rows: int) -> tuple[str, ...]:
    """What the person should know of the order."""
    if by_picture and not known.pairs:
        return ("Pictures were to be shuffled with their rows together, but no two rows share their pictures.",)
    if by_picture or not shares or known.mean < WORTH_A_WORD:
        return ()
    first = "" if len(known.keys) == rows else f"Of the first {len(known.keys):,} rows, "
    many = f"{known.mean:.1f} rows share a picture on average"
    return (f"{first}{many}: with pictures shuffled instead of rows they would be learned together, in less time.",)
