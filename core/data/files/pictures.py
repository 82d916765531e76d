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
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from core.data.rows import Picture
from core.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 40_000_000
"""Largest picture that is decoded; read from the header, so that a small file cannot fill the memory."""
MEMORY = 200_000_000
"""Bytes that a picture may take while it is opened."""
PICTURES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".avif")
"""Endings of picture files."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF")
"""Kinds that are opened, by Pillow's names. Others may start programs (EPS), or are no pictures of pixels."""
THINNEST = 200
"""Times that a picture may be longer than wide; processors of the field fail beyond (Qwen2-VL's `smart_resize`)."""
_ORIENTATION = 0x0112
"""EXIF's tag of how a picture is turned."""
_SIDEWAYS = range(5, 9)
"""Its values by which width and height change places."""
_STRIP = 2**18
"""Pixels that are converted at once."""
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


def open_picture(file: Path | bytes, name: str = "", side: int | None = None) -> Image:
    """The picture as RGB, turned the way its EXIF data says.

    Args:
        file: where it lies, or what its file holds.
        name: what it is called in the sentence of an error; the file's own name unless told.
        side: most pixels of its longer side; as large as it is unless told.

    Raises:
        DataError: it is no picture, is damaged, or is larger than `MAX_PIXELS` and `MEMORY` allow.
    """
    with picture_header(file, name) as image:
        return upright(image, side)


def upright(image: Image, side: int | None = None) -> Image:
    """A picture whose header was read as RGB, turned the way its EXIF data says.

    Args:
        image: inside of `picture_header`, which says in words what goes wrong here.
        side: most pixels of its longer side; it is then made smaller before anything else, JPEG while it is decoded.
    """
    from PIL.Image import Resampling

    if side is None:
        image.load()
        _turn(image, _orientation(image))
        return _eight_bits(image, "RGB")
    image.draft(None, (2 * side, 2 * side))
    image.load()
    orientation, seen = _orientation(image), _eight_bits(image, "RGB")
    seen.thumbnail((side, side), Resampling.LANCZOS)
    _turn(seen, orientation)
    return seen


def likeness(image: Image, side: int) -> Image:
    """A loaded picture in grey, turned as its EXIF data says, its shorter side at least (about) so many pixels.

    A larger one is made smaller strip by strip, so that nothing but the picture itself lies in the memory.
    """
    from PIL import Image as images

    times = max(1, min(image.size) // side)
    small = images.new("L", (-(-image.width // times), -(-image.height // times)))
    for box, strip in _strips(image, times):
        small.paste(_eight_bits(strip, "L").reduce(times), (0, box[1] // times))
    _turn(small, _orientation(image))
    return small


def _orientation(image: Image) -> int:
    """How a picture is turned, 1 to 8; damaged EXIF data say nothing."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except (*_DAMAGE, AttributeError):
        return 1


def seen_size(image: Image) -> tuple[int, int]:
    """Width and height as the picture is seen, turned as its EXIF data say; its header is enough."""
    width, height = image.size
    return (height, width) if _orientation(image) in _SIDEWAYS else (width, height)


def _turn(image: Image, orientation: int) -> None:
    """Turns a picture in its place."""
    from PIL import ImageOps

    try:
        image.getexif()[_ORIENTATION] = orientation
        ImageOps.exif_transpose(image, in_place=True)
    except (*_DAMAGE, AttributeError):  # of other tags
        image.info.pop("exif", None)


def _eight_bits(image: Image, mode: Literal["RGB", "L"]) -> Image:
    """In colours or in grey with 8 bits, white where it is transparent."""
    if image.mode.startswith("I"):
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    elif image.has_transparency_data:
        return _on_white(image, mode)
    return image if image.mode == mode else image.convert(mode)


def _on_white(image: Image, mode: Literal["RGB", "L"]) -> Image:
    """A picture that can be seen through, on white."""
    from PIL import Image as images

    whole = images.new(mode, image.size)
    for box, strip in _strips(image):
        seen = strip.convert("RGBA")
        white = images.new("RGB", seen.size, "white")
        white.paste(seen, mask=seen)
        whole.paste(white.convert(mode), box)
    return whole


def _strips(image: Image, times: int = 1) -> Iterator[tuple[tuple[int, int, int, int], Image]]:
    """A picture in strips of its whole width, each with its place; heights are multiples of `times` but the last."""
    rows = times * max(1, _STRIP // (image.width * times))
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        yield box, image.crop(box)


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
    cost, kind = _cost(image)
    limit = min(MAX_PIXELS, MEMORY // cost // 10**6 * 10**6)
    if width * height > limit:
        raise DataError(asked, f"{size} and the limit is {limit / 1e6:g} megapixels{kind}", "Make it smaller")
    if max(width, height) > THINNEST * min(width, height):
        reason = f"{size}, more than {THINNEST} times as long as wide, and models refuse that"
        raise DataError(asked, reason, "Cut it into pieces")
    if image.mode in ("I", "F") and image.format != "PPM":
        reason = "it holds values of 32 bits, which are no colours"
        raise DataError(asked, reason, "Save it with 8 bits as PNG or JPEG")


def _cost(image: Image) -> tuple[int, str]:
    """Bytes of memory for each pixel at most (Pillow 12; where it varies half more), and for which kind of pictures."""
    if image.format == "WEBP":
        return 16, " for WEBP"
    if image.format == "AVIF":
        return 10, " for AVIF"
    if image.info.get("progressive"):
        return 12, " for a progressive JPEG"
    if image.has_transparency_data:
        return 12, " for one with transparency"
    return (5, "") if image.mode in ("1", "L", "P", "RGB") else (12, " for other colours than RGB with 8 bits")


def as_png(picture: Picture) -> bytes:
    """The picture as PNG. Raises DataError: it cannot be opened."""
    file = BytesIO()
    picture.open().save(file, "PNG")
    return file.getvalue()
