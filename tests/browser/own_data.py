"""Data such as people bring them: a zip of captions, a table of questions, one folder a class."""

from __future__ import annotations

import csv
import io
import random
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = {"red": (210, 40, 40), "green": (40, 150, 60), "blue": (40, 70, 200), "yellow": (230, 200, 40)}
SHAPES = ("circle", "square")


def picture(number: int, colour: str, shape: str) -> bytes:
    """A PNG of a shape in a colour, strewn with dots so that no two pictures are alike."""
    dice = random.Random(number)
    image = Image.new("RGB", (80, 64 + number % 9), (250, 250, 245))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, size = dice.randrange(70), dice.randrange(60), dice.randrange(8, 24)
        draw.rectangle((x, y, x + size, y + size), fill=tuple(dice.randrange(120, 255) for _ in range(3)))
    box = (10 + dice.randrange(20), 6 + dice.randrange(14), 50 + dice.randrange(8), 44 + dice.randrange(8))
    (draw.ellipse if shape == "circle" else draw.rectangle)(box, fill=COLOURS[colour])
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def things(count: int) -> Iterator[tuple[int, str, str]]:
    """Number, colour and shape of so many pictures."""
    for number in range(count):
        yield number, list(COLOURS)[number % 4], SHAPES[number // 4 % 2]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as CSV."""
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


def captions(path: Path, count: int = 24, missing: int = 1) -> Path:
    """A zip with a folder of pictures and a table of captions; some rows name pictures that are not there."""
    rows = [["file_name", "caption"]]
    with zipfile.ZipFile(path, "w") as archive:
        for number, colour, shape in things(count):
            archive.writestr(f"shapes/images/{number:03}.png", picture(number, colour, shape))
            rows.append([f"images/{number:03}.png", f"a {colour} {shape}, number {number}"])
        rows += [[f"images/lost-{number}.png", "a picture that is lost"] for number in range(missing)]
        archive.writestr("shapes/captions.csv", table(rows))
    return path


def questions(folder: Path, count: int = 24) -> list[Path]:
    """Pictures, and a table with a question and two columns that could be its answer."""
    rows = [["image", "question", "answer", "corrected"]]
    for number, colour, shape in things(count):
        (folder / f"{number:03}.png").write_bytes(picture(number, colour, shape))
        rows.append([f"{number:03}.png", f"What is drawn in picture {number}?", "a thing", f"{colour} {shape}"])
    (folder / "questions.csv").write_text(table(rows))
    return sorted(folder.iterdir())


def classes(folder: Path, count: int = 24) -> Path:
    """One folder of pictures a class, one of them damaged."""
    for number, colour, shape in things(count):
        (folder / shape).mkdir(parents=True, exist_ok=True)
        (folder / shape / f"{number:03}.png").write_bytes(picture(number, colour, shape))
    (folder / "circle" / "damaged.png").write_bytes(picture(999, "red", "circle")[:200])
    return folder
