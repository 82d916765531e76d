"""Pictures opened safely: size from the header first, the decoder's troubles in words.

What it does not do: look outside of the file it is given, or change a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from core.data.rows import Picture
from core.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 40_000_000
"""Largest picture that is decoded; read from the header, so that a small file cannot fill the memory."""
PICTURES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".avif")
"""Endings of picture files."""


@dataclass(frozen=True)
class PictureFile:
    """A picture in a file of its own."""

    path: Path
    name: str
    """In its data set."""

    def open(self) -> Image:
        """As RGB, turned the way its EXIF data says. Raises DataError: see `open_picture`."""
        return open_picture(self.path)

    def read(self) -> bytes:
        """The file's bytes. Raises DataError: it is no longer there."""
        try:
            if self.path.is_symlink():  # put there after the rows were read
                raise _gone(self.name)
            return self.path.read_bytes()
        except OSError:
            raise _gone(self.name) from None


def open_picture(file: Path | bytes, name: str = "") -> Image:
    """The picture as RGB, turned the way its EXIF data says.

    Args:
        file: where it lies, or what its file holds.
        name: what it is called in the sentence of an error; the file's own name unless told.

    Raises:
        DataError: it is no picture, is damaged, or has more than `MAX_PIXELS`.
    """
    from PIL import ImageOps

    with picture_header(file, name) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


@contextmanager
def picture_header(file: Path | bytes, name: str = "") -> Iterator[Image]:
    """The picture, its header read and within bounds; what goes wrong inside is said in words."""
    from PIL import Image

    shown = name or (file.name if isinstance(file, Path) else "picture")
    asked = f"The picture “{shown}” was opened"
    source: Path | BinaryIO = file if isinstance(file, Path) else BytesIO(file)
    try:
        with Image.open(source) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                limit = f"the limit is {MAX_PIXELS // 1_000_000} megapixels"
                raise DataError(asked, f"it has {width:,} × {height:,} pixels and {limit}", "Make it smaller")
            yield image
    except FileNotFoundError:
        raise _gone(shown) from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise DataError(asked, "it is damaged or no picture", "Save it again as PNG or JPEG") from None


def as_png(picture: Picture) -> bytes:
    """The picture as PNG. Raises DataError: it cannot be opened."""
    file = BytesIO()
    picture.open().save(file, "PNG")
    return file.getvalue()


def _gone(name: str) -> DataError:
    return DataError(f"The picture “{name}” was opened", "it is no longer there", "Put it back or take its row out")
