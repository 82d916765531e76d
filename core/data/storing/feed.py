"""Pictures on their way into a stored set: read by other threads, made smaller where they are too large, in order.

What it does not do: number them, or write rows (`importing`).
"""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Self

from core.data.checking.looks import Looks
from core.data.checking.survey import THREADS
from core.data.files.pictures import picture_header, upright
from core.data.rows import Picture, Row
from core.data.storing.set_files import PictureWriter
from core.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

QUALITY = 92
"""Of a JPEG that was made smaller."""
AHEAD = 16
"""Pictures under way at once."""


@dataclass(frozen=True)
class Stored:
    """A picture as it is stored."""

    digest: bytes
    """Of the file that was given."""
    content: bytes
    size: tuple[int, int] | None = None
    """Pixels, where it was made smaller."""
    kind: str = ""


def _prepare(picture: Picture, max_side: int | None) -> Stored:
    """A picture's file, made smaller where it is too large."""
    content = picture.read()
    digest = hashlib.sha256(content).digest()
    if max_side is None:
        return Stored(digest, content)
    with picture_header(content, picture.name) as image:
        if max(image.size) <= max_side:
            return Stored(digest, content)
        return Stored(digest, *_smaller(image, max_side))


def _smaller(image: Image, max_side: int) -> tuple[bytes, tuple[int, int], str]:
    """The picture with this longest side, upright, as JPEG where it was one and as PNG otherwise."""
    kind = "JPEG" if image.format in ("JPEG", "MPO") else "PNG"
    small, file = upright(image, max_side), BytesIO()
    small.save(file, kind, **({"quality": QUALITY} if kind == "JPEG" else {}))
    return file.getvalue(), small.size, {"JPEG": "jpg", "PNG": "png"}[kind]


class Feed:
    """Pictures read ahead by other threads, and written in the order of their numbers.

    Args:
        looks: what is known of each picture; one that is not what was looked at ends the storing.
        max_side: of a picture as it is stored, in pixels; None leaves all as they are.
        writer: of the set's file of pictures.
        numbers: of the pictures in the set, by the number of their look.
    """

    def __init__(self, looks: Looks, max_side: int | None, writer: PictureWriter, numbers: dict[int, int]) -> None:
        self._looks, self._max_side = looks, max_side
        self._writer, self._numbers = writer, numbers
        self._waiting: deque[tuple[int, Future[Stored]]] = deque()
        self._pool = ThreadPoolExecutor(THREADS, "pictures")
        self._begun = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def offer(self, row: Row) -> None:
        """Takes those of a row's pictures that come for the first time."""
        for picture in row.pictures:
            look = self._looks.numbers[picture.name]
            if self._numbers[look] == self._begun:
                self._waiting.append((look, self._pool.submit(_prepare, picture, self._max_side)))
                self._begun += 1
        while len(self._waiting) > AHEAD:
            self._write(*self._waiting.popleft())

    def finish(self) -> None:
        """Writes what is still on its way."""
        while self._waiting:
            self._write(*self._waiting.popleft())

    def _write(self, look: int, coming: Future[Stored]) -> None:
        """Writes the next picture, which has to be the one that was looked at."""
        known, ready = self._looks.table[look], coming.result()
        if bytes(known["digest"]) != ready.digest:
            self._looks.forget(look)
            raise changed()
        if ready.size is not None:
            self._writer.add(ready.content, ready.size, ready.kind)
        else:
            size = int(known["width"]), int(known["height"])
            self._writer.add(ready.content, size, known["kind"].decode(), ready.digest)


def changed() -> DataError:
    """The files are no longer those that were checked."""
    return DataError("The data were stored", "the files are no longer those that were checked", "Check them again")
