"""Pictures come as they are seen, or a sentence says why they cannot."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.files.pictures import MAX_PIXELS, PictureFile, open_picture, picture_header
from core.errors import DataError, StudioError


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it is so large, with no pixels in it."""
    header = struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def arrow() -> Image.Image:
    """A picture that looks different in each of its eight positions: red left, green top right, blue below."""
    image = Image.new("RGB", (24, 16), "blue")
    image.paste("red", (0, 0, 12, 8))
    image.paste("green", (12, 0, 24, 8))
    return image


UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What a camera that is held so does to what it sees: the inverse of what EXIF 2.3, tag 0x0112, asks for."""


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_all_eight_turns_of_exif_give_the_same_picture(orientation, form):
    stored = arrow() if orientation == 1 else arrow().transpose(UNDO[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = open_picture(
        saved(stored, form, exif=exif, **({"quality": 95, "subsampling": 0} if form == "JPEG" else {}))
    )
    assert found.size == (24, 16)
    difference = np.abs(np.asarray(found, int) - np.asarray(arrow(), int)).mean()
    assert difference < 8


def test_a_turned_picture_is_not_turned_again_by_whoever_reads_its_exif_data_later():
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = 6
    found = open_picture(saved(arrow().transpose(UNDO[6]), "JPEG", exif=exif))
    assert ImageOps.exif_transpose(found).size == found.size == (24, 16)


def test_damaged_exif_data_turn_nothing_and_stop_nothing():
    whole = saved(arrow(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff" + b"\xfe" * 40)
    assert open_picture(whole).size == (24, 16)


def test_what_is_transparent_is_white():
    half = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert open_picture(saved(clear)).getpixel((0, 0)) == (255, 255, 255)
    assert open_picture(saved(half)).getpixel((0, 0)) == (255, 127, 127)
    assert open_picture(saved(clear.convert("LA"))).getpixel((0, 0)) == (255, 255, 255)
    assert (
        open_picture(saved(Image.new("RGB", (2, 2), (1, 2, 3)), transparency=(1, 2, 3))).getpixel((0, 0)) == (255,) * 3
    )


def test_a_palette_with_alpha_keeps_its_colours_and_is_white_where_it_is_clear():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    found = open_picture(saved(image, transparency=bytes([0, 255])))
    assert [found.getpixel((x, 0)) for x in (0, 1)] == [(255, 255, 255), (0, 0, 255)]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_of_grey_are_scaled_not_cut(form):
    steps = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    found = np.asarray(open_picture(saved(Image.fromarray(steps), form)))
    assert found.shape == (16, 16, 3)
    assert (found[..., 0].ravel() == np.arange(256)).all()


def test_sixteen_bits_of_grey_in_the_other_byte_order():
    steps = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    pgm = b"P5 16 16 65535\n" + steps.astype(">u2").tobytes()
    found = np.asarray(open_picture(pgm))[..., 0].ravel()
    assert np.abs(found.astype(int) - np.arange(256)).max() <= 1


def test_values_of_32_bits_are_no_colours():
    with pytest.raises(DataError, match=r"“x\.tif” was opened: it holds values of 32 bits"):
        open_picture(saved(Image.fromarray(np.linspace(0, 9, 64, dtype=np.float32).reshape(8, 8)), "TIFF"), "x.tif")


def test_cmyk_comes_as_the_colour_that_it_prints():
    found = open_picture(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))
    red, green, blue = found.getpixel((4, 4))
    assert red > 240
    assert max(green, blue) < 15


def test_the_first_of_several_frames_or_pages_is_the_picture():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    for form in ("GIF", "TIFF", "WEBP", "PNG"):
        data = saved(frames[0], form, save_all=True, append_images=frames[1:])
        red, green, blue = open_picture(data).getpixel((2, 2))
        assert red > 230, form
        assert max(green, blue) < 25, form


def test_one_pixel_is_a_picture():
    assert open_picture(saved(Image.new("RGB", (1, 1), (1, 2, 3)))).getpixel((0, 0)) == (1, 2, 3)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty: a file of 0 bytes"),
        (b"a cat sits\n", "it is text and no picture"),
        (b"<!DOCTYPE html><html></html>", "it is a web page"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "it is a drawing (SVG)"),
        (b"<svg/>", "it is a drawing (SVG)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "Git LFS"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"%PDF-1.7\n\xe2\xe3", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n\0", "damaged or no picture"),
        (b"\x89PNG\r\n\x1a\n\0\0", "damaged or no picture"),
        (saved(arrow())[:-30], "end is missing"),
        (saved(arrow().resize((400, 400)), "JPEG")[:3000], "end is missing"),
        (png_of(14_000, 14_000), "megapixels"),
        (png_of(9_000, 9_000), "9,000 × 9,000 pixels and the limit is 40 megapixels"),
        (png_of(65_535, 1), "65,535 × 1 pixels, more than 200 times as long as wide"),
        (png_of(2**31 - 1, 2**31 - 1), "megapixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_picture_is_said_in_words(data, said):
    with pytest.raises(DataError) as caught:
        open_picture(data, "x.png")
    assert str(caught.value).startswith("The picture “x.png” was opened: ")
    assert said in str(caught.value)


def test_a_format_that_starts_programs_is_never_opened():
    from core.data.files.pictures import FORMATS

    assert not {"EPS", "WMF", "PSD", "FITS", "GRIB", "HDF5", "BUFR", "MPEG"} & set(FORMATS)


def test_the_header_is_enough_to_refuse_a_large_picture(monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match="megapixels"), picture_header(png_of(MAX_PIXELS, 2)):
        pytest.fail("it was opened")


def test_damage_anywhere_is_said_in_words_or_does_no_harm():
    """Random bytes of whole files are changed; whatever decoders raise, a person reads a sentence."""
    draw = random.Random(4)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = arrow().resize((60, 40))
    files = [saved(picture, form, exif=exif) for form in ("PNG", "JPEG", "TIFF", "WEBP")]
    files += [saved(picture, form) for form in ("GIF", "BMP", "PPM", "AVIF")]
    files += [saved(picture, "TIFF", compression=kind) for kind in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")]
    opened = refused = 0
    for data in files:
        for _ in range(60):
            broken = bytearray(data)
            for _ in range(draw.randint(1, 12)):
                broken[draw.randrange(min(len(broken), 400))] = draw.randrange(256)
            try:
                opened += open_picture(bytes(broken[: draw.choice((None, None, len(broken) // 2))])).mode == "RGB"
            except StudioError:
                refused += 1
    assert opened + refused == 60 * len(files)
    assert opened
    assert refused


def test_a_picture_that_became_a_link_is_not_read(tmp_path: Path):
    (tmp_path / "secret.png").write_bytes(saved(arrow()))
    (tmp_path / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match="no longer there"):
        PictureFile(tmp_path / "link.png", "link.png").read()


def test_a_picture_that_is_gone_or_may_not_be_read(tmp_path: Path):
    with pytest.raises(DataError, match="no longer there"):
        open_picture(tmp_path / "none.png")
    with pytest.raises(DataError, match="directory"):
        open_picture(tmp_path)
