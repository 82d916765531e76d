"""Whether the rows of a job fit the model, found before hours are spent: no row is cut, and one too long ends a job.

Most rows are cleared by a bound (a token holds at least a byte of text; pictures cost at most what the dearest do), the
others are measured. What it does not do: look at more than a sample of a very large set, or leave a row out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from core.data.batches.conversations import check_row
from core.data.batches.trial import sampled, shape_of
from core.data.previewing.lengths import Ruler, Sizes, size_of
from core.data.rows import Row

if TYPE_CHECKING:
    from core.data.batches.collate import Encoder

ALL = 20_000
"""Rows that are all looked at; of more, a sample."""
SAMPLE = 10_000
"""Rows that are looked at when there are more, so that a million rows start like ten thousand."""
DEAR = 8
"""Combinations of pictures that are asked about for each way in which they may be the dearest."""
MOST_ASKED = 512
"""Rows that may be too long whose pictures are put through the processor; the longest first."""


def refuse_unfit(encoder: Encoder, rows: Sequence[Row], check: Callable[[], None]) -> None:
    """Looks at all rows when they are not too many, else at a seeded sample.

    Args:
        encoder: of the model that is to learn.
        rows: any number of them.
        check: called between rows; may raise to break off.

    Raises:
        DataError: a row, named in the sentence, is too long or of a kind that the model cannot learn from.
    """
    places = range(len(rows)) if len(rows) <= ALL else sampled(range(len(rows)), SAMPLE)
    seen: dict[int, _Seen] = {}
    for place in places:
        check()
        row = rows[place]
        check_row(encoder.processor, row, encoder.stop_ids)
        if encoder.limit is not None:
            letters = sum(len(turn.text.encode("utf-8", "replace")) for turn in row.turns)
            seen[place] = _Seen(tuple(map(size_of, row.pictures)), shape_of(row), letters)
    if encoder.limit is not None:
        _Fitting(encoder, rows, seen, check).refuse_too_long(encoder.limit)


class _Seen(NamedTuple):
    """What is kept of a row."""

    sizes: Sizes
    shape: tuple[object, ...]
    letters: int
    """Bytes of its texts."""


class _Fitting:
    """Bounds of the rows' tokens, from the cheapest to the exact ones."""

    def __init__(
        self, encoder: Encoder, rows: Sequence[Row], seen: Mapping[int, _Seen], check: Callable[[], None]
    ) -> None:
        self._encoder, self._rows, self._seen, self._check = encoder, rows, seen, check
        self._ruler = Ruler(encoder)
        self._frames: dict[tuple[object, ...], int] = {}
        """Tokens of the text of one row of each shape: no fewer than its template writes."""
        self._dearest = self._price()

    def refuse_too_long(self, limit: int) -> None:
        """Raises DataError: a row is longer than so many tokens."""
        doubtful = []
        for place, row in self._seen.items():
            self._check()
            pictures = self._pictures(row.sizes) + self._ruler.unwritten
            if pictures + self._frame(place, row.shape) + row.letters > limit:
                tokens = pictures + self._ruler.words(self._rows[place])
                doubtful += [(tokens, place)] if tokens > limit else []
        for _, place in sorted(doubtful, reverse=True)[:MOST_ASKED]:
            self._check()
            self._encoder.check_length(self._rows[place], sum(self._ruler.measure(self._rows[place])))

    def _price(self) -> int:
        """Tokens of the dearest picture: of the largest, the widest and the highest ones, and of rows with many."""
        combinations = {row.sizes: place for place, row in self._seen.items() if row.sizes}
        ways: tuple[Callable[[Sizes], float], ...] = (
            lambda each: sum(width * height for width, height in each),
            lambda each: max(width / height for width, height in each),
            lambda each: max(height / width for width, height in each),
            len,
        )
        dear = {each for way in ways for each in sorted(combinations, key=way, reverse=True)[:DEAR]}
        blind = next((place for place, row in self._seen.items() if not row.sizes), None)
        for place in (*([] if blind is None else [blind]), *(combinations[each] for each in sorted(dear))):
            self._check()
            self._ruler.measure(self._rows[place])
        return max((-(-self._pictures(each) // len(each)) for each in dear), default=0)

    def _pictures(self, sizes: Sizes) -> int:
        """Tokens of pictures of these sizes: as they are where they are known, else at the highest price."""
        known = self._ruler.image_tokens(sizes)
        return known if known is not None else self._dearest * len(sizes)

    def _frame(self, place: int, shape: tuple[object, ...]) -> int:
        if shape not in self._frames:
            self._frames[shape] = self._ruler.words(self._rows[place])
        return self._frames[shape]
