"""Small random changes of pictures that leave every answer true.

Nothing is mirrored (text would be wrong, left and right too), no hue is turned (a red thing stays red), and no more is
cut off or turned than a hand-held camera does. Off unless asked for. The same seed gives the same pictures.
What it does not do: change a held-out picture, or decide which changes suit a task.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO

from PIL import Image, ImageEnhance, ImageFilter

from core.data.rows import Picture, Row
from core.spec import Augmentation

ORDER: tuple[Augmentation, ...] = ("rotation", "crop", "colour", "blur", "jpeg")
"""In which they are applied, whatever their order in the settings: geometry, light, lens, file."""
COLOUR = 0.2
"""Brightness, contrast and saturation change by at most this share."""
DEGREES = 4.0
"""A picture is turned by at most so much."""
CROP = 0.04
"""At most this share of a side is cut off at each edge."""
BLUR = 0.006
"""Largest radius of the blur as a share of the shorter side."""
MAX_BLUR = 2.0
"""Pixels."""
QUALITY = (40, 95)
"""Of the JPEG that a picture is pressed through."""


@dataclass(frozen=True)
class ChangedPicture:
    """A picture that is changed whenever it is opened, always in the same way."""

    picture: Picture
    kinds: tuple[Augmentation, ...]
    key: str
    """What its randomness begins from."""
    token: object = field(default_factory=object)

    @property
    def name(self) -> str:
        """The picture's own."""
        return self.picture.name

    def open(self) -> Image.Image:
        """The changed picture. Raises DataError: the picture cannot be opened."""
        return changed(self.picture.open(), self.kinds, self.key)

    def read(self) -> bytes:
        """The changed picture as PNG."""
        file = BytesIO()
        self.open().save(file, "PNG")
        return file.getvalue()


def augmented(row: Row, kinds: Sequence[Augmentation], key: str) -> Row:
    """The row with each of its pictures changed in a way of its own.

    Args:
        row: is left as it is.
        kinds: of changes; none gives the row itself.
        key: what the randomness begins from, such as seed, batch and place in the batch.
    """
    if not kinds:
        return row
    number = iter(range(len(row.pictures)))
    turns = [
        replace(
            turn,
            parts=tuple(
                part if isinstance(part, str) else ChangedPicture(part, tuple(kinds), f"{key}:{next(number)}")
                for part in turn.parts
            ),
        )
        for turn in row.turns
    ]
    return replace(row, turns=tuple(turns))


def changed(image: Image.Image, kinds: Sequence[Augmentation], key: str) -> Image.Image:
    """An RGB picture of the same size, changed by each of the kinds."""
    dice = random.Random(key)
    for kind in ORDER:
        if kind in kinds:
            image = _CHANGES[kind](image, dice)
    return image


def _rotated(image: Image.Image, dice: random.Random) -> Image.Image:
    """Turned a little; the corners that come into sight have the picture's mean colour."""
    pixel = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    fill = pixel if isinstance(pixel, tuple) else (0, 0, 0)
    return image.rotate(dice.uniform(-DEGREES, DEGREES), Image.Resampling.BICUBIC, fillcolor=fill)


def _cropped(image: Image.Image, dice: random.Random) -> Image.Image:
    """A little less of it at each edge, at the same size."""
    width, height = image.size
    left, top, right, bottom = (dice.uniform(0, CROP) for _ in range(4))
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    return image.resize(image.size, Image.Resampling.BICUBIC, box)


def _coloured(image: Image.Image, dice: random.Random) -> Image.Image:
    """Lighter or darker, harder or softer, stronger or paler."""
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(1 + dice.uniform(-COLOUR, COLOUR))
    return image


def _blurred(image: Image.Image, dice: random.Random) -> Image.Image:
    """Slightly out of focus."""
    return image.filter(ImageFilter.GaussianBlur(dice.uniform(0, min(MAX_BLUR, BLUR * min(image.size)))))


def _pressed(image: Image.Image, dice: random.Random) -> Image.Image:
    """Through a JPEG of some quality."""
    file = BytesIO()
    image.save(file, "JPEG", quality=dice.randint(*QUALITY))
    with Image.open(file) as pressed:
        return pressed.convert("RGB")


_CHANGES = {"rotation": _rotated, "crop": _cropped, "colour": _coloured, "blur": _blurred, "jpeg": _pressed}
