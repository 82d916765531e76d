"""How many tokens the rows of a data set have, pictures and text apart, and which of them are too long.

The processor is asked once for each size of picture; rows of the same sizes have as many tokens of pictures.
What it does not do: decode a picture whose size is known, or measure every row of a large set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.data.batches.augmentation import ChangedPicture
from core.data.batches.conversations import called, check_row, fitted, in_words, render
from core.data.batches.image_tokens import image_positions
from core.data.batches.trial import SEED, sampled
from core.data.files.pictures import picture_header, seen_size
from core.data.rows import Picture, PictureInMemory, Row
from core.errors import DataError
from core.spec import Histogram

if TYPE_CHECKING:
    from core.data.batches.collate import Encoder

MEASURED = 1000
"""Rows that are measured; of more, a seeded sample."""
MAX_NAMED = 50
"""Rows that are too long and named."""
MAX_REASONS = 5
"""Why rows cannot be learned from; the most common ones are named."""
NEAR = 8
"""A row that is so near to the limit is measured by its own pictures."""
FAR = 4.0
"""Times that a side becomes longer or shorter from which pictures are far from the model's resolution."""
BARS = 20
"""Of a histogram."""

Sizes = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class TooLong:
    """A row that would be refused."""

    row: int
    """Its number in the rows that were given."""
    called: str
    """In a sentence."""
    tokens: int


@dataclass(frozen=True)
class Lengths:
    """What was measured."""

    image: Histogram
    """Tokens of pictures a row."""
    words: Histogram
    """All other tokens a row, answers included."""
    whole: Histogram
    longest: int
    """Tokens of the longest row."""
    limit: int | None
    over: int
    """Rows that are too long, among those measured."""
    too_long: tuple[TooLong, ...]
    """The first of them."""
    unusable: int
    """Rows that the model cannot learn from for another reason, among those measured."""
    reasons: tuple[tuple[str, int], ...]
    """Why, in the sentence of the first row that has it, and how many have it; the most common ones first."""
    measured: int
    of: int
    """Rows there are."""
    notes: tuple[str, ...] = ()
    """What else the person should know, in sentences."""


class _Refused:
    """Rows that a model cannot learn from, by the reason; the sentence of the first of each is kept."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._said: dict[str, str] = {}

    @property
    def rows(self) -> int:
        """How many there are."""
        return self._counts.total()

    def add(self, error: DataError) -> None:
        """One more."""
        self._counts[error.reason] += 1
        self._said.setdefault(error.reason, str(error))

    def most_common(self) -> tuple[tuple[str, int], ...]:
        """Sentences with the number of their rows."""
        return tuple((self._said[reason], rows) for reason, rows in self._counts.most_common(MAX_REASONS))


def lengths(
    encoder: Encoder,
    rows: Sequence[Row],
    cancelled: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Lengths:
    """Measures all rows when they are few, else a seeded sample.

    Args:
        encoder: of the model.
        rows: any number of them.
        cancelled: asked before each row; then only what was measured so far is told.
        progress: told how many rows are done, and of how many.
    """
    places = sampled(range(len(rows)), MEASURED, SEED)
    ruler = Ruler(encoder)
    found: list[tuple[int, int]] = []
    too_long: list[TooLong] = []
    scales: list[float] = []
    over, refused = 0, _Refused()
    for done, place in enumerate(places):
        if cancelled():
            break
        progress(done, len(places))
        row = rows[place]
        try:
            image, words = ruler.measure(row)
        except DataError as error:
            refused.add(error)
            continue
        found.append((image, words))
        scales += ruler.scale(row)
        if encoder.limit is not None and image + words > encoder.limit:
            over += 1
            too_long += [TooLong(place, called(row), image + words)] if over <= MAX_NAMED else []
    whole = [image + words for image, words in found]
    return Lengths(
        image=histogram([image for image, _ in found]),
        words=histogram([words for _, words in found]),
        whole=histogram(whole),
        longest=max(whole, default=0),
        limit=encoder.limit,
        over=over,
        too_long=tuple(too_long),
        unusable=refused.rows,
        reasons=refused.most_common(),
        measured=len(found) + refused.rows,
        of=len(rows),
        notes=_notes(scales),
    )


def _notes(scales: Sequence[float]) -> tuple[str, ...]:
    """What is said of pictures whose size is far from the model's, by how many times longer their sides became."""
    shrunk, grown = sum(scale < 1 / FAR for scale in scales), sum(scale > FAR for scale in scales)
    of = f"of the {len(scales):,} measured rows"
    large = (
        f"In {shrunk:,} {of} this model sees less than a quarter of each side’s pixels: small things in them are lost. "
        "Cut such pictures to what matters, or take a model of a higher resolution."
    )
    small = (
        f"In {grown:,} {of} the pictures are made more than four times as wide and high: that costs tokens and shows "
        "nothing new. Bring larger ones where there are some, or take a model of a lower resolution."
    )
    return (*([large] if shrunk else []), *([small] if grown else []))


def histogram(values: Sequence[int], bars: int = BARS) -> Histogram:
    """Counts of whole numbers between edges that are whole numbers, too.

    >>> histogram([1, 2, 2, 9], bars=4)
    Histogram(edges=(1.0, 4.0, 7.0, 10.0), counts=(3, 0, 1), unit='tokens')
    """
    if not values:
        return Histogram((0.0, 1.0), (0,), "tokens")
    low, high = min(values), max(values)
    width = -(-(high - low + 1) // bars)
    edges = list(range(low, high + 1, width))
    counts = [0] * len(edges)
    for value in values:
        counts[(value - low) // width] += 1
    return Histogram(tuple(map(float, (*edges, edges[-1] + width))), tuple(counts), "tokens")


class Ruler:
    """Measures rows, asking the processor once for each combination of sizes of pictures."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[Sizes, tuple[int, int]] = {}
        """By the pictures' sizes: tokens of pictures, and of text that the template does not write (BOS)."""
        self._scales: dict[Sizes, float] = {}
        """By the pictures' sizes: how many times longer the processor makes a side."""

    def measure(self, row: Row) -> tuple[int, int]:
        """Tokens of the row's pictures, and all others.

        Raises:
            DataError: the model cannot learn from it, or a picture cannot be opened.
        """
        processor, limit = self._encoder.processor, self._encoder.limit
        check_row(processor, row, self._encoder.stop_ids)
        sizes = tuple(map(size_of, row.pictures))
        if sizes not in self._known:
            return self._asked(row, sizes)
        image, more = self._known[sizes]
        words = self.words(row) + more
        near = limit is not None and abs(image + words - limit) <= NEAR
        return self._asked(row, sizes) if near else (image, words)

    def words(self, row: Row) -> int:
        """Tokens that its template writes, with one for each picture, and those of its answer.

        Raises:
            DataError: the template refuses the row.
        """
        processor = self._encoder.processor
        with in_words(processor, row):
            text = render(processor, fitted(processor, row.prompt), ask=True)
        return self._written(text) + len(self._encoder.answer(row))

    def image_tokens(self, sizes: Sizes) -> int | None:
        """Tokens of pictures of these sizes; None where the processor was not asked yet."""
        return self._known[sizes][0] if sizes in self._known else 0 if not sizes else None

    @property
    def unwritten(self) -> int:
        """Most tokens that the processor put into a row beside those that the template writes, so far."""
        return max((more for _, more in self._known.values()), default=0)

    def _asked(self, row: Row, sizes: Sizes) -> tuple[int, int]:
        """The row measured by the processor; what it says of these sizes is kept."""
        encoded, answer = self._encoder.parts(row)
        ids = encoded.prompt["input_ids"][0].tolist()
        text = render(self._encoder.processor, fitted(self._encoder.processor, row.prompt), ask=True)
        image = sum(image_positions(self._encoder.processor, ids, text))
        self._known[sizes] = (image, len(ids) - image - self._written(text))
        if sizes and (pixels := self._pixels(encoded.prompt.get("pixel_values"))):
            self._scales[sizes] = sqrt(pixels / sum(width * height for width, height in sizes))
        return image, len(ids) - image + len(answer)

    def _pixels(self, values: Any) -> float:
        """Pixels of all pictures as the model gets them, pieces and fillings included; 0 where none can be told."""
        times = getattr(self._encoder.processor.image_processor, "temporal_patch_size", 1)  # Qwen repeats a picture
        return values.numel() / (3 * times) if hasattr(values, "numel") else 0.0

    def scale(self, row: Row) -> list[float]:
        """How many times longer the processor makes a side of the row's pictures; nothing where that is not known."""
        known = self._scales.get(tuple(map(size_of, row.pictures)))
        return [] if known is None else [known]

    def _written(self, text: str) -> int:
        """Tokens that the template writes, with a sign for each picture."""
        made: Any = self._encoder.processor.tokenizer(text, add_special_tokens=False)
        return len(made["input_ids"])


def size_of(picture: Picture) -> tuple[int, int]:
    """Width and height in pixels as the picture is seen, without decoding it where that can be.

    Raises:
        DataError: it is no picture, or too large.
    """
    known = getattr(picture, "size", None)
    if isinstance(known, tuple):
        return known
    if isinstance(picture, (PictureInMemory, ChangedPicture)):
        return picture.open().size
    path = getattr(getattr(picture, "entry", picture), "path", None)  # a zip's pictures have none of their own
    with picture_header(path if isinstance(path, Path) else picture.read(), picture.name) as image:
        return seen_size(image)
