"""Makes the demo data sets in `assets/demo/data/`: pictures and `metadata.jsonl`, as people will upload them.

    python -m core.demo.datasets [NAME...] [--out assets/demo/data] [--emoji-package DIR]

Seeded; the same call writes the same bytes. `digits` needs scikit-learn (`pip install .[demo]`). `emoji` needs the
npm package emoji-datasource-google 16 unpacked: `npm pack emoji-datasource-google@16 && tar xf emoji-*.tgz`, then
`--emoji-package package`. It does not read data sets; that is `core.data`'s work.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from core.demo import examples

DEFAULT_OUT = Path("assets/demo/data")


@dataclass(frozen=True)
class Recipe:
    """One demo data set: what it is, and what yields its rows."""

    about: examples.About
    rows: Callable[[int, Path | None], Iterator[examples.Row]]
    """(seed, folder of the emoji package) -> as many rows as one cares to take."""
    train: int
    """Rows in the training split."""
    heldout: int = 200
    """Rows in the held-out split."""


RECIPES: dict[str, Recipe] = {
    "digits": Recipe(examples.DIGITS, examples.digits, train=700),
    "outline": Recipe(examples.OUTLINE, examples.outline_shapes, train=600),
    "house-format": Recipe(examples.HOUSE_FORMAT, examples.house_format, train=600),
    "emoji": Recipe(examples.EMOJI, examples.emoji, train=500),
}


def write_data_set(name: str, out: Path, seed: int = 0, emoji_package: Path | None = None) -> Path:
    """Write one data set anew and return its folder.

    Raises:
        KeyError: no data set has this name.
    """
    recipe, folder = RECIPES[name], out / name
    rows = _different(recipe.rows(seed, emoji_package))
    # Held-out rows come first, so that a longer training split leaves them as they are.
    counts = {"heldout": recipe.heldout, "train": recipe.train}
    splits = {split: list(itertools.islice(rows, count)) for split, count in counts.items()}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for split, chosen in splits.items():
        _write_split(folder / split, chosen)
    about = {"name": name, **recipe.about.as_json()}
    (folder / "dataset.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", "utf-8")
    (folder / "LICENSE").write_text(recipe.about.licence_text, "utf-8")
    return folder


def _different(rows: Iterator[examples.Row]) -> Iterator[examples.Row]:
    """The rows whose picture was not there before, so that the splits share none."""
    seen: set[bytes] = set()
    for row in rows:
        digest = hashlib.sha256(row.picture.convert("RGB").tobytes()).digest()
        if digest not in seen:
            seen.add(digest)
            yield row


def _write_split(folder: Path, rows: list[examples.Row]) -> None:
    folder.mkdir()
    lines = []
    for number, row in enumerate(rows, 1):
        file_name = f"{number:04d}.png"
        _small_palette(row.picture).save(folder / file_name, optimize=True)
        line = {"file_name": file_name, "question": row.question, "answer": row.answer}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    (folder / "metadata.jsonl").write_text("".join(lines), "utf-8")


def _small_palette(picture: Image.Image) -> Image.Image:
    """Few colours, which no eye misses here and which halves the files: 16 greys, or 32 colours."""
    colours = 16 if picture.mode == "L" else 32
    return picture.convert("RGB").quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def main(arguments: list[str] | None = None) -> None:
    """Write the named data sets, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(RECIPES)}; all that can be made when left out"
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--emoji-package", type=Path, help="folder of the unpacked npm package, for `emoji`")
    chosen = parser.parse_args(arguments)
    possible = [name for name in RECIPES if name != "emoji" or chosen.emoji_package]
    for name in chosen.names or possible:
        print(write_data_set(name, chosen.out, chosen.seed, chosen.emoji_package))


if __name__ == "__main__":
    main()
