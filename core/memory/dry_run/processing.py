"""What a model's own image processor makes of a picture: the surest evidence, where its settings lie beside the config.

What it does not do: fetch anything, or look at a real picture; a blank one of the same size is enough.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from core.memory.dry_run.layouts import Layout

SETTINGS = ("preprocessor_config.json", "processor_config.json")
log = logging.getLogger("studio")
Columns = tuple[tuple[str, torch.Tensor], ...]


def processed(columns: Columns, names: frozenset[str], rows: int) -> Layout | None:
    """The pictures of a batch as the processor gives them; None where there is no processor that can be used.

    Args:
        columns: what `of_one_row` found.
        names: of the arguments of the model's forward.
        rows: of the batch.
    """
    inputs = {name: _repeated(value, rows) for name, value in columns if name in names}
    if not any(value.is_floating_point() for value in inputs.values()):
        return None
    return Layout("its own image processor makes them", inputs)


def _repeated(value: torch.Tensor, rows: int) -> torch.Tensor:
    """The values of one row for all; floating-point numbers as a shape only."""
    if value.is_floating_point():
        return torch.empty((rows * value.shape[0], *value.shape[1:]), dtype=value.dtype)
    return value.repeat(rows, *(1 for _ in value.shape[1:]))


@lru_cache(maxsize=256)
def of_one_row(folder: Path, size: tuple[int, int], each: int) -> Columns:
    """What the processor returns for one row, by name; nothing where there is none that can be used.

    Args:
        folder: with the model's config.
        size: height and width of a picture in pixels.
        each: pictures of a row.
    """
    from PIL import Image

    if not each or not any((folder / name).is_file() for name in SETTINGS):
        return ()
    height, width = size
    pictures = [Image.new("RGB", (width, height), (127, 127, 127))] * each
    try:
        made = _call(folder, pictures)
    except Exception as error:  # whatever a processor raises; the config is asked instead
        log.info("the image processor in %s cannot be used: %s", folder.name, error)
        return ()
    return tuple((name, value) for name, value in made.items() if isinstance(value, torch.Tensor))


def _call(folder: Path, pictures: list[Any]) -> Any:
    """The processor's output for the pictures of one row; some want rows, some want pictures."""
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    try:
        return processor(images=[pictures], return_tensors="pt")
    except (ValueError, TypeError):
        return processor(images=pictures, return_tensors="pt")
