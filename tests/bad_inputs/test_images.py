"""Pictures that are broken, odd, or made to do harm: the right picture, or a sentence with file and row."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.storing.drafts import Draft, Drafts
from core.data.storing.stored import stored
from tests.bad_inputs.ground import blocked, brought, found, good, named, saved, taken, things, watched, zipped

ALL, OTHERS = things(0, 1, 2, 3, 4, 5), things(0, 1, 2, 4, 5)


def with_picture(content: bytes, ending: str = "png") -> dict[str, bytes]:
    """Good data whose fourth picture is this one."""
    files = good()
    del files["3.png"]
    rows = files["data.jsonl"].replace(b'"3.png"', f'"3.{ending}"'.encode())
    return {"data.zip": zipped({**files, "data.jsonl": rows, f"3.{ending}": content})}


def refused(home: Path, content: bytes, said: str, ending: str = "png") -> None:
    """The row of a picture is named, with what is wrong, and may be left out; the others are stored."""
    with watched(home):
        draft = brought(home, with_picture(content, ending))
        place = named(home, draft, "unreadable_image", ("data.jsonl", 4)).places[0]
        assert f"3.{ending}" in place.detail
        assert said in place.detail
        assert blocked(home, draft, "unreadable_image") == OTHERS


def seen(home: Path, content: bytes, ending: str = "png") -> tuple[Draft, Image.Image]:
    """The draft of data with a picture, and the picture as it is stored and opened for training."""
    with watched(home):
        draft = brought(home, with_picture(content, ending))
        assert taken(home, draft) == ALL
    sets = Drafts(home).sets
    dataset = stored(sets, next(sets.iterdir()).name)
    rows = [*dataset.train, *dataset.heldout]
    picture = next(one.picture for one in rows if one.answer == "thing 3")
    assert picture is not None
    return draft, picture.open()


def png_of(width: int, height: int, bits: int = 1, colours: int = 0) -> bytes:
    """A whole PNG of zeros in some kilobytes; one bit a pixel, or channels of 8 bits as PNG's colour type says."""
    packer = zlib.compressobj(9)
    line = bytes((width * bits * {0: 1, 2: 3, 6: 4}[colours] + 7) // 8 + 1)
    data = b"".join(packer.compress(line) for _ in range(height)) + packer.flush()
    head = struct.pack(">2I5B", width, height, bits, colours, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def test_images_01_0_bytes(home: Path) -> None:
    refused(home, b"", "it is empty: a file of 0 bytes")


def test_images_02_text_named_jpg(home: Path) -> None:
    refused(home, b"this was never a picture\n", "it is text and no picture", "jpg")
    refused(home, b"<!DOCTYPE html>\n<html><body>404</body></html>", "it is a web page", "jpg")


def test_images_03_truncated_jpeg(home: Path) -> None:
    whole = saved(Image.effect_noise((640, 480), 90).convert("RGB"), "JPEG", quality=90)
    refused(home, whole[: len(whole) // 2], "its end is missing", "jpg")


def test_images_04_1x1(home: Path) -> None:
    draft, picture = seen(home, saved(Image.new("RGB", (1, 1), (10, 200, 30))))
    assert (picture.size, picture.getpixel((0, 0))) == ((1, 1), (10, 200, 30))
    assert named(home, draft, "small_image", ("data.jsonl", 4)).severity == "warning"


def test_images_05_65535x1(home: Path) -> None:
    refused(home, png_of(65_535, 1), "it has 65,535 × 1 pixels, more than 200 times as long as wide")


def test_images_06_14000x14000(home: Path) -> None:
    content = png_of(14_000, 14_000)
    assert len(content) < 2**20
    refused(home, content, "megapixels")


def test_images_07_9000x9000_at_1_bit(home: Path) -> None:
    content = png_of(9_000, 9_000)
    assert len(content) < 12_000  # the 9.9 KB that take 243 MB when they are decoded
    refused(home, content, "it has 9,000 × 9,000 pixels and the limit is 40 megapixels")


@pytest.mark.parametrize(("side", "bits", "colours"), [(6_324, 8, 2), (4_000, 8, 6), (4_000, 16, 0)])
def test_images_07_the_largest_that_are_opened(home: Path, side: int, bits: int, colours: int) -> None:
    _, picture = seen(home, png_of(side, side, bits, colours))  # in RGB, with transparency, of 16 bits
    assert picture.size == (side, side)
    assert picture.getpixel((7, side - 7)) == ((255, 255, 255) if colours == 6 else (0, 0, 0))


def test_images_07_too_large_with_transparency(home: Path) -> None:
    said = "it has 4,100 × 4,100 pixels and the limit is 16 megapixels for one with transparency"
    refused(home, png_of(4_100, 4_100, 8, 6), said)


def test_images_08_animated_gif(home: Path) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "lime", "blue")]
    draft, picture = seen(home, saved(frames[0], "GIF", save_all=True, append_images=frames[1:]), "gif")
    assert picture.getpixel((5, 5)) == (255, 0, 0)
    assert named(home, draft, "several_frames", ("data.jsonl", 4)).severity == "warning"


def test_images_09_cmyk(home: Path) -> None:
    _, picture = seen(home, saved(Image.new("CMYK", (40, 40), (0, 255, 255, 0)), "JPEG", quality=95), "jpg")
    red, green, blue = picture.getpixel((20, 20))
    assert red > 240 > 20 > max(green, blue)


def test_images_10_16_bit(home: Path) -> None:
    steps = (np.arange(32 * 32, dtype=np.uint16) * 64).reshape(32, 32)
    _, picture = seen(home, saved(Image.fromarray(steps)))
    assert np.abs(np.asarray(picture, int)[..., 1] - steps // 256).max() <= 1


def test_images_11_palette_with_alpha(home: Path) -> None:
    image = Image.new("P", (40, 40))
    image.putpalette([0, 0, 0, 0, 0, 255])
    image.paste(1, (20, 0, 40, 40))
    _, picture = seen(home, saved(image, transparency=bytes([0, 255])))
    assert [picture.getpixel((x, 5)) for x in (5, 30)] == [(255, 255, 255), (0, 0, 255)], "white where it is clear"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_12_the_8_exif_rotations(home: Path, orientation: int) -> None:
    upright = Image.new("RGB", (48, 32), "blue")
    upright.paste("red", (0, 0, 24, 16))
    turn = Image.Transpose
    held = [None, turn.FLIP_LEFT_RIGHT, turn.ROTATE_180, turn.FLIP_TOP_BOTTOM, turn.TRANSPOSE]
    held += [turn.ROTATE_90, turn.TRANSVERSE, turn.ROTATE_270]
    way = held[orientation - 1]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(upright if way is None else upright.transpose(way), "JPEG", exif=exif, quality=95, subsampling=0)
    _, picture = seen(home, content, "jpg")
    assert picture.size == (48, 32)
    assert np.abs(np.asarray(picture, int) - np.asarray(upright, int)).mean() < 8


def test_images_13_svg(home: Path) -> None:
    drawing = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1/x"/></svg>'
    refused(home, drawing, "it is a drawing (SVG), which has no pixels")
    with watched(home):
        draft = brought(home, with_picture(drawing, "svg"))
        named(home, draft, "bad_value" if "bad_value" in kinds(draft) else "missing_image", ("data.jsonl", 4))


def kinds(draft: Draft) -> set[str]:
    """The kinds of what was found."""
    assert draft.report is not None
    return {finding.kind for finding in draft.report.findings}


def test_images_14_many_page_tiff(home: Path) -> None:
    pages = [Image.new("RGB", (40, 30), (number, 100, 200)) for number in range(200)]
    content = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    draft, picture = seen(home, content, "tif")
    assert picture.getpixel((5, 5)) == (0, 100, 200)
    assert "first one only" in found(draft, "several_frames").reason


def test_images_14_many_page_tiff_whose_pages_go_round_in_a_circle(home: Path) -> None:
    content = bytearray(saved(Image.new("L", (30, 30)), "TIFF"))
    at = struct.unpack("<I", content[4:8])[0]
    entries = struct.unpack("<H", content[at : at + 2])[0]
    content[at + 2 + 12 * entries : at + 6 + 12 * entries] = struct.pack("<I", at)
    seen(home, bytes(content), "tif")
