"""Pictures opened safely: size from the header first, the decoder's troubles in words.

Every picture comes as it is seen: turned as its EXIF data says, in RGB with 8 bits, white where it is transparent, the
first of several frames or pages.
What it does not do: look outside of the file it is given, or change its size.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from core.data.rows import Picture
from core.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 40_000_000
"""Largest picture that is decoded; read from the header, so that a small file cannot fill the memory."""
PICTURES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".avif")
"""Endings of picture files."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF")
"""Kinds that are opened, by Pillow's names. Others may start programs (EPS), or are no pictures of pixels."""
THINNEST = 200
"""Times that a picture may be longer than wide; processors of the field fail beyond (Qwen2-VL's `smart_resize`)."""
_DAMAGE = (
    *(OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, OverflowError, TypeError, RuntimeError),
    *(struct.error, zlib.error),
)
"""What Pillow's decoders raise on files that are damaged or made to do harm."""
_GONE = ("it is no longer there", "Put it back or take its row out")
_OTHER_KINDS = (
    (rb"\s*<(\?xml|!--|!doctype svg|svg)", "it is a drawing (SVG), which has no pixels", "Save it as PNG"),
    (rb"\s*<(!doctype )?html", "it is a web page; what should have been fetched was not", "Fetch the picture again"),
    (rb"version https://git-lfs", "it only points to a picture (Git LFS)", "Fetch the pictures with `git lfs pull`"),
    (rb"....ftyp(heic|heix|hevc|mif1|msf1)", "it is a HEIC picture", "Save it as JPEG"),
    (rb"%PDF", "it is a PDF", "Save its pages as PNG"),
    (rb"[\t\r\n\x20-\x7e]+\Z", "it is text and no picture", "Put the picture itself there"),
)
"""How files begin that are no pictures, why they are none, and what to do."""


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
                raise DataError(_asked(self.path, self.name), *_GONE)
            return self.path.read_bytes()
        except OSError:
            raise DataError(_asked(self.path, self.name), *_GONE) from None


def open_picture(file: Path | bytes, name: str = "") -> Image:
    """The picture as RGB, turned the way its EXIF data says.

    Args:
        file: where it lies, or what its file holds.
        name: what it is called in the sentence of an error; the file's own name unless told.

    Raises:
        DataError: it is no picture, is damaged, or has more than `MAX_PIXELS`.
    """
    with picture_header(file, name) as image:
        image.load()
        _turn(image)
        return _as_rgb(image)


def _turn(image: Image) -> None:
    """Turns a picture as its EXIF data says; damaged data say nothing."""
    from PIL import ImageOps

    try:
        ImageOps.exif_transpose(image, in_place=True)
    except (*_DAMAGE, AttributeError):
        image.info.pop("exif", None)


def _as_rgb(image: Image) -> Image:
    """As RGB with 8 bits, on white."""
    from PIL import Image as images

    if image.mode.startswith("I"):
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    elif image.has_transparency_data:
        seen = image.convert("RGBA")
        white = images.new("RGB", image.size, "white")
        white.paste(seen, mask=seen)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


@contextmanager
def picture_header(file: Path | bytes, name: str = "") -> Iterator[Image]:
    """The picture, its header read and within bounds; what goes wrong inside is said in words.

    Raises:
        DataError: it is no picture, is damaged, has more than `MAX_PIXELS`, is far too thin, or holds no colours.
    """
    asked = _asked(file, name)
    with _source(file, asked) as source:
        image = _opened(source, asked)
        try:
            _refuse(image, asked)
            yield image
        except _DAMAGE as error:
            reason = "its end is missing" if "truncated" in str(error) else "it is damaged"
            raise DataError(asked, reason, "Save it again as PNG or JPEG") from None
        except MemoryError:
            raise DataError(asked, "the memory is too small for it", "Make it smaller") from None


def _asked(file: Path | bytes, name: str) -> str:
    """How the sentence of an error begins."""
    return f"The picture “{name or (file.name if isinstance(file, Path) else 'picture')}” was opened"


def _source(file: Path | bytes, asked: str) -> BinaryIO:
    """A reader of a picture's file. Raises DataError: it is not there or may not be read."""
    try:
        return file.open("rb") if isinstance(file, Path) else BytesIO(file)
    except FileNotFoundError:
        raise DataError(asked, *_GONE) from None
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise DataError(asked, reason, "Check the rights of the file") from None


def _opened(source: BinaryIO, asked: str) -> Image:
    """A picture's header. Raises DataError: it is none that can be opened."""
    images = _pillow()
    try:
        return images.open(source, formats=FORMATS)
    except images.DecompressionBombError:
        reason = f"it has far more pixels than the limit of {MAX_PIXELS // 1_000_000} megapixels"
        raise DataError(asked, reason, "Make it smaller") from None
    except _DAMAGE:
        source.seek(0)
        start = source.read(1024)
    if not start:
        raise DataError(asked, "it is empty: a file of 0 bytes", "Bring the picture again")
    for pattern, reason, remedy in _OTHER_KINDS:
        if re.match(pattern, start, re.IGNORECASE | re.DOTALL):
            raise DataError(asked, reason, remedy)
    raise DataError(asked, "it is damaged or no picture of a kind that is opened here", "Save it as PNG or JPEG")


@cache
def _pillow() -> Any:
    """Pillow, its warning about large pictures off: they are refused here."""
    from PIL import Image as images

    warnings.simplefilter("ignore", images.DecompressionBombWarning)
    return images


def _refuse(image: Image, asked: str) -> None:
    """Raises DataError for a picture that is too large or too thin, or holds no colours."""
    width, height = image.size
    size = f"it has {width:,} × {height:,} pixels"
    if width * height > MAX_PIXELS:
        raise DataError(asked, f"{size} and the limit is {MAX_PIXELS // 1_000_000} megapixels", "Make it smaller")
    if max(width, height) > THINNEST * min(width, height):
        reason = f"{size}, more than {THINNEST} times as long as wide, and models refuse that"
        raise DataError(asked, reason, "Cut it into pieces")
    if image.mode in ("I", "F") and image.format != "PPM":
        reason = "it holds values of 32 bits, which are no colours"
        raise DataError(asked, reason, "Save it with 8 bits as PNG or JPEG")


def as_png(picture: Picture) -> bytes:
    """The picture as PNG. Raises DataError: it cannot be opened."""
    file = BytesIO()
    picture.open().save(file, "PNG")
    return file.getvalue()
