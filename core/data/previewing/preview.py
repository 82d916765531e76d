"""What a model will read of a row, and what it will learn: its text, its tokens, its pictures.

Tokens and labels are those of the batches that train (`collate`); nothing is drawn from memory.
What it does not do: load weights, or judge a row. `encoder_of` gives an encoder without weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.data.batches.augmentation import augmented
from core.data.batches.conversations import check_processor, fitted, render, stop_ids_in
from core.data.batches.image_tokens import image_positions
from core.data.batches.limits import token_limit
from core.data.previewing.pictures_seen import Seen, seen
from core.data.rows import Row
from core.models.classes import read_config
from core.models.loading import load_processor
from core.models.source import resolve
from core.spec import Augmentation, Source

if TYPE_CHECKING:
    from core.data.batches.collate import Encoder

Kind = Literal["image", "text"]
PARTLY = "\ufffd"
"""What a piece of a letter is decoded to."""
MAX_PIECES = 8
"""Tokens that are put together at most until they give whole letters."""


@dataclass(frozen=True)
class Token:
    """One token, or a run of them that belongs together: a picture's, or the pieces of a letter."""

    text: str
    kind: Kind
    learned: bool
    """Whether it carries loss."""
    count: int = 1
    """How many tokens it stands for."""


@dataclass(frozen=True)
class Preview:
    """A row as a model gets it."""

    text: str
    """Prompt and answer as the template writes them, special tokens included; one sign stands for each picture."""
    tokens: tuple[Token, ...]
    pictures: tuple[Seen, ...]
    image: int
    """Tokens of pictures."""
    words: int
    """All others."""
    learned: int
    """Those of all that carry loss."""
    limit: int | None
    """Tokens of the longest row that is taken."""

    @property
    def is_too_long(self) -> bool:
        """Whether the row would be refused."""
        return self.limit is not None and self.image + self.words > self.limit


def encoder_of(source: Source, max_tokens: int | None = None, token: bool = True) -> Encoder:
    """An encoder for a model whose weights are not there; `token` as in `core.models.loading.load_model`.

    Raises:
        SourceError: the model has no processor, or cannot be found.
        DataError: it cannot hold a conversation with a picture.
    """
    return light_encoder(source, load_processor(source, token=token), max_tokens, token)


def light_encoder(source: Source, processor: Any, max_tokens: int | None = None, token: bool = True) -> Encoder:
    """The same for a processor that is loaded already."""
    from core.data.batches.collate import Encoder

    check_processor(processor)
    resolved = resolve(source, token=token)
    config = read_config(resolved)
    stops = stop_ids_in(resolved.folder, config, processor)
    return Encoder(processor, stops, token_limit(config, max_tokens)[0])


def preview(encoder: Encoder, row: Row, augment: Sequence[Augmentation] = (), key: str = "preview") -> Preview:
    """The row as the model gets it.

    Args:
        encoder: of the model.
        row: however long.
        augment: how its pictures are changed in training.
        key: another one shows other changes.

    Raises:
        DataError: the model cannot learn from this row, in words.
    """
    row = augmented(row, augment, key)
    encoded, answer = encoder.parts(row)
    processor, ids = encoder.processor, encoded.prompt["input_ids"][0].tolist()
    learned = [False] * len(ids) + [True] * len(answer)
    for start, end in encoded.answers:
        learned[start:end] = [True] * (end - start)
    text = render(processor, fitted(processor, row.prompt), ask=True)
    image = [*image_positions(processor, ids, text), *[False] * len(answer)]
    return Preview(
        text=text + processor.tokenizer.decode(answer),
        tokens=tuple(_tokens(processor.tokenizer, [*ids, *answer], image, learned)),
        pictures=tuple(seen(processor, row, encoded.prompt)),
        image=sum(image),
        words=len(image) - sum(image),
        learned=sum(learned),
        limit=encoder.limit,
    )


def _tokens(tokenizer: Any, ids: Sequence[int], image: Sequence[bool], learned: Sequence[bool]) -> Iterator[Token]:
    """The tokens with what they are, runs put together."""
    at = 0
    while at < len(ids):
        if image[at]:
            end = _until(at, (not each for each in image[at:]), len(ids))
            yield Token(tokenizer.decode(_sign(ids[at:end])), "image", False, end - at)
        else:
            end = at + 1
            text = _text(tokenizer, ids[at:end])
            while PARTLY in text and end < min(len(ids), at + MAX_PIECES) and learned[end] is learned[at]:
                end += 1
                text = _text(tokenizer, ids[at:end])
            yield Token(text, "text", learned[at], end - at)
        at = end


def _until(start: int, ends: Iterable[bool], last: int) -> int:
    """Where the first of these stands, counted from `start`."""
    return next((start + index for index, end in enumerate(ends) if end), last)


def _sign(ids: Sequence[int]) -> list[int]:
    """The token that most of these are."""
    return [max(set(ids), key=list(ids).count)]


def _text(tokenizer: Any, ids: Sequence[int]) -> str:
    """The tokens as they are read, a leading space included, which some tokenizers leave out."""
    text: str = tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    first = tokenizer.convert_ids_to_tokens(ids[0])
    return f" {text}" if isinstance(first, str) and first.startswith("▁") and not text.startswith(" ") else text
