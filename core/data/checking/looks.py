"""One look at every picture: its digest, size, kind, and a small likeness to find copies by. Kept for the next check.

The difference hash (dHash, Krawetz 2013: is a pixel of a 9 × 8 likeness brighter than its right neighbour?) finds
candidates; a likeness of 16 × 16 grey pixels decides (`core.data.checking.near`).
What it does not do: compare two pictures, or hold one.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from core.data.files.pictures import likeness, picture_header, seen_size
from core.data.rows import Picture
from core.errors import DataError
from core.files import taking_the_place_of

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

THUMB = 16
"""Side of a likeness in pixels."""
LIKENESS = 16 * THUMB
"""Pixels of the shorter side from which it is made."""
FIELDS = [
    ("digest", "V32"),
    ("dhash", "u8"),
    ("width", "i4"),
    ("height", "i4"),
    ("length", "i8"),
    ("kind", "S4"),
    ("frames", "?"),
    ("readable", "?"),
    ("stamp", "i8"),
    ("thumb", "u1", (THUMB, THUMB)),
]
_KINDS = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif", "BMP": "bmp", "TIFF": "tif"}
_MAY_MOVE = ("GIF", "TIFF", "PNG", "WEBP")
_BIG = 8_000_000
"""Pixels from which pictures are decoded one at a time, to bound the memory."""
_one_big = threading.Lock()
_NEVER = -(2**63)
"""The stamp of what was not looked at."""


@dataclass(frozen=True)
class Look:
    """What one look at a picture's file told."""

    digest: bytes = bytes(32)
    """SHA-256 of the file."""
    dhash: int = 0
    width: int = 0
    height: int = 0
    """Pixels, turned the way its EXIF data says."""
    length: int = 0
    """Of the file in bytes."""
    kind: str = "img"
    """Ending of a file of this kind."""
    frames: bool = False
    """Whether it has several frames or pages."""
    thumb: bytes = bytes(THUMB * THUMB)
    trouble: str = ""
    """Why it cannot be opened; nothing when it can."""
    stamp: int = 0
    """Of the file when it was read, see `stamp_of`."""


def look_at(picture: Picture) -> Look:
    """Reads and decodes a picture once; JPEG at an eighth of its size, all of its data all the same."""
    stamp = stamp_of(picture)
    try:
        content = picture.read()
        with picture_header(content, picture.name) as image, _turn_of(image):
            return replace(_look(image), digest=hashlib.sha256(content).digest(), length=len(content), stamp=stamp)
    except DataError as error:
        return Look(trouble=error.reason, stamp=stamp)


def _turn_of(image: Image) -> AbstractContextManager[Any]:
    """Lets large pictures be decoded one at a time only."""
    return _one_big if image.width * image.height > _BIG else nullcontext()


def _look(image: Image) -> Look:
    from PIL.Image import Resampling

    kind = image.format or ""
    frames = kind in _MAY_MOVE and getattr(image, "n_frames", 1) > 1
    width, height = seen_size(image)
    if frames:
        image.seek(0)
    image.draft("L", (2 * THUMB, 2 * THUMB))
    image.load()
    grey = likeness(image, LIKENESS)
    small = grey.resize((9, 8), Resampling.BOX).tobytes()
    bits = "".join("01"[small[9 * y + x] > small[9 * y + x + 1]] for y in range(8) for x in range(8))
    thumb = grey.resize((THUMB, THUMB), Resampling.BOX).tobytes()
    ending = _KINDS.get(kind, "img")
    return Look(dhash=int(bits, 2), width=width, height=height, kind=ending, frames=frames, thumb=thumb)


class Looks:
    """Looks at pictures by their names, each with a number; the numbers stay while the object lives.

    Safe to use from several checks at once: what one has not finished looking at, the other looks at itself.

    Args:
        path: where they are kept between two checks; nowhere unless given.
    """

    def __init__(self, path: Path | None = None) -> None:
        import numpy as np

        self._path = path
        self._table = np.zeros(256, np.dtype(FIELDS))
        self.numbers: dict[str, int] = {}
        self.troubles: dict[int, str] = {}
        self._changed = False
        self._lock = threading.Lock()
        if path is not None and path.exists():
            self._load(path)

    @property
    def table(self) -> np.ndarray[Any, Any]:
        """All looks, with the columns of `FIELDS`; row N is the picture of number N."""
        return self._table[: len(self.numbers)]

    def name(self, number: int) -> str:
        """The picture of a number."""
        return next(islice(self.numbers, number, None))

    def number_of(self, picture: Picture) -> tuple[int, bool]:
        """A picture's number, and whether it has to be looked at: it is new, or its file has changed."""
        with self._lock:
            known = self.numbers.get(picture.name)
            if known is None:
                known = self.numbers[picture.name] = len(self.numbers)
                if known == len(self._table):
                    self._grow()
                self._table[known]["stamp"] = _NEVER
            return known, bool(self._table[known]["stamp"] != stamp_of(picture))

    def put(self, number: int, look: Look) -> None:
        """Keeps a look."""
        import numpy as np

        with self._lock:
            row = self._table[number]
            row["digest"], row["dhash"], row["kind"] = np.void(look.digest), look.dhash, look.kind.encode()
            row["width"], row["height"], row["length"] = look.width, look.height, look.length
            row["frames"], row["readable"], row["stamp"] = look.frames, not look.trouble, look.stamp
            row["thumb"] = np.frombuffer(look.thumb, np.uint8).reshape(THUMB, THUMB)
            self.troubles.pop(number, None)
            if look.trouble:
                self.troubles[number] = look.trouble
            self._changed = True

    def forget(self, number: int) -> None:
        """Looks at it again next time."""
        self._table[number]["stamp"] = _NEVER

    def save(self) -> None:
        """Keeps them for the next check, where there is a place for them."""
        import numpy as np

        if self._path is None or not self._changed:
            return
        rest = json.dumps([list(self.numbers), {str(number): text for number, text in self.troubles.items()}])
        with taking_the_place_of(self._path) as staged, staged.open("wb") as file:
            np.savez(file, table=self.table, rest=np.frombuffer(rest.encode(), np.uint8))
        self._changed = False

    def _grow(self) -> None:
        import numpy as np

        self._table = np.concatenate([self._table, np.zeros_like(self._table)])

    def _load(self, path: Path) -> None:
        """What was kept; a file of another version, or a damaged one, is as good as none."""
        import numpy as np

        try:
            with np.load(path, allow_pickle=False) as kept:
                table, (names, troubles) = kept["table"], json.loads(kept["rest"].tobytes())
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return
        if table.dtype == self._table.dtype and len(table) == len(names):
            self._table = np.concatenate([table, np.zeros_like(self._table)])
            self.numbers = {name: number for number, name in enumerate(names)}
            self.troubles = {int(number): text for number, text in troubles.items()}


def stamp_of(picture: Picture) -> int:
    """Changes when the picture's file does: its size, and when it was written where it is a file of its own."""
    data = getattr(picture, "data", None)
    if isinstance(data, bytes):
        return len(data)
    file = getattr(picture, "entry", picture)
    size, path = getattr(file, "size", 0), getattr(file, "path", None)
    try:
        written = os.stat(path).st_mtime_ns if isinstance(path, Path) else 0
    except OSError:  # it is gone; the look will say so
        return -1
    return written ^ size if isinstance(size, int) else written
