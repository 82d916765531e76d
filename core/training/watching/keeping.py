"""Trained tensors on disk, in a job's folder: written beside and renamed, so that a file is whole or absent.

What it does not do: say when; or write an adapter (see `core.training.saving`).
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from core.job_files import KEPT
from core.training.watching.parts import Part

BEST, GOOD = "best.safetensors", "good.safetensors"


def kept_folder(folder: Path) -> Path:
    """Where a job keeps weights, emptied of an earlier attempt's."""
    discard_kept(folder)
    made = folder / KEPT
    made.mkdir()
    return made


def discard_kept(folder: Path) -> None:
    """Takes away what a job has kept."""
    shutil.rmtree(folder / KEPT, ignore_errors=True)


def write_tensors(parts: Sequence[Part], path: Path) -> None:
    """Writes all tensors by their names.

    Raises:
        OSError: the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file  # here, as in `saving`

    beside = path.with_name(f"{path.name}.tmp")
    tensors = {part.name: part.parameter.detach().to("cpu").contiguous() for part in parts}
    try:
        save_file(tensors, beside)
    except SafetensorError as error:
        raise OSError(_number(str(error)), str(error)) from error
    os.replace(beside, path)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """What `write_tensors` wrote."""
    from safetensors.torch import load_file

    return load_file(path)


def put_back(parts: Sequence[Part], tensors: Mapping[str, torch.Tensor]) -> None:
    """Gives the trained tensors these values again."""
    with torch.no_grad():
        for part in parts:
            part.parameter.copy_(tensors[part.name])


def _number(words: str) -> int:
    """Of the system's error, which safetensors has in words alone.

    >>> _number("I/O error: No space left on device (os error 28)")
    28
    """
    found = re.search(r"\(os error (\d+)\)", words)
    return int(found[1]) if found else errno.EIO
