"""Rows as they will be when they are stored: their pictures made smaller where the reading asks for it.

What it does not do: store them (`core.data.storing.importing`), or decode a picture whose size alone is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, floor
from typing import TYPE_CHECKING

from core.data.files.pictures import picture_header, seen_size
from core.data.rows import Picture, Row

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class PictureToStore:
    """A picture with its longest side, in pixels, where it has one."""

    picture: Picture
    max_side: int | None

    @property
    def name(self) -> str:
        """The picture's own."""
        return self.picture.name

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels as it is seen. Raises DataError: it is no picture, or too large."""
        with picture_header(self.picture.read(), self.name) as image:
            seen = seen_size(image)
        return smaller(seen, self.max_side) if self.max_side else seen

    def open(self) -> Image:
        """As RGB. Raises DataError: it cannot be opened."""
        from PIL.Image import Resampling

        image = self.picture.open()
        if self.max_side:
            image.thumbnail((self.max_side, self.max_side), Resampling.LANCZOS)
        return image

    def read(self) -> bytes:
        """The file's bytes as they came. Raises DataError: it is no longer there."""
        return self.picture.read()


def smaller(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """The size with this longest side and the same shape, as Pillow's `thumbnail` rounds it.

    >>> smaller((1200, 600), 320), smaller((30, 20), 320)
    ((320, 160), (30, 20))
    """
    width, height = size
    if max(size) <= max_side:
        return size
    shape = width / height
    if width >= height:
        rows = max_side / shape
        return max_side, max(1, min(floor(rows), ceil(rows), key=lambda n: abs(shape - max_side / n) if n else 0.0))
    columns = max_side * shape
    return max(1, min(floor(columns), ceil(columns), key=lambda n: abs(shape - n / max_side))), max_side


def to_be_stored(row: Row, max_side: int | None) -> Row:
    """The row with its pictures as they will be."""
    turns = [
        replace(
            turn, parts=tuple(part if isinstance(part, str) else PictureToStore(part, max_side) for part in turn.parts)
        )
        for turn in row.turns
    ]
    return replace(row, turns=tuple(turns))
