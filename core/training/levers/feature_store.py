"""Features on disk, one file each, shared by all jobs of a data folder.

A file is written beside its place and moved there whole, so that jobs side by side never read half of one; two that
write the same write the same bytes. Beyond the bound, the files that were used longest ago go, but none of this job.
What it does not do: trust a file: one that cannot be read is thrown away, and computed again by whoever asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from core.training.levers.features import Features

DISK_BYTES = 10 << 30
"""Most that all features take."""
OF_FREE = 0.2
"""Most of the disk's free space that a job begins to fill."""
ENDING = ".safetensors"
PART = ".part"
STALE = 3600.0
"""Seconds after which half a file belongs to a job that is gone."""


class FeatureStore:
    """The files of one data folder, made when the first is written.

    Args:
        folder: of its own; None keeps nothing.
        limit: bytes that all files may take.
    """

    def __init__(self, folder: Path | None, limit: int = DISK_BYTES) -> None:
        self._began, self._full = time.time(), folder is None
        self._folder = folder or Path(os.devnull)
        self._used = sum(size for _, size, _ in self._files())
        self._limit = min(limit, self._used + int(OF_FREE * _free(folder))) if folder is not None else 0

    def has(self, key: str) -> bool:
        """Whether there is a file for it."""
        return self._path(key).exists()

    def get(self, key: str) -> Features | None:
        """What was kept, or None."""
        path = self._path(key)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                shape = json.loads(file.metadata()["shape"])
                features = {name: _filled(value, file) for name, value in shape.items()}
            os.utime(path)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError):
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        return features

    def put(self, key: str, features: Features) -> None:
        """Keeps them where there is room; a disk that takes nothing more is left alone from then on."""
        if self._full:
            return
        found: list[torch.Tensor] = []
        shape = {name: _numbered(value, found) for name, value in features.items()}
        content = save({str(number): tensor for number, tensor in enumerate(found)}, {"shape": json.dumps(shape)})
        if not self._room(len(content)):
            self._full = True
            return
        path = self._path(key)
        part = path.with_name(f"{uuid.uuid4().hex}{PART}")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.write_bytes(content)
            os.replace(part, path)
            self._used += len(content)
        except OSError:
            self._full = True
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}{ENDING}"

    def _room(self, size: int) -> bool:
        """Whether so many bytes more may be kept, if need be after the oldest have gone."""
        if self._used + size <= self._limit:
            return True
        files = sorted(self._files())
        self._used = sum(used for _, used, _ in files)
        for changed, used, path in files:
            if self._used + size <= self._limit or changed >= self._began:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                self._used -= used
        return self._used + size <= self._limit

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """When each file was used, its bytes and its place; half files of jobs that are gone are taken away."""
        for folder in _entries(self._folder):
            for entry in _entries(Path(folder.path)) if folder.is_dir() else ():
                with contextlib.suppress(OSError):  # another job may have thrown it out just now
                    facts = entry.stat()
                    if entry.name.endswith(ENDING):
                        yield facts.st_mtime, facts.st_size, Path(entry.path)
                    elif entry.name.endswith(PART) and time.time() - facts.st_mtime > STALE:
                        os.unlink(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return list(entries)


def _free(folder: Path) -> int:
    """Bytes that the disk of a folder, which need not exist, has left."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def _numbered(value: Any, found: list[torch.Tensor]) -> Any:
    """Lists with the number of a tensor, as {"tensor": n}, in the place of each."""
    if isinstance(value, torch.Tensor):
        found.append(value)
        return {"tensor": len(found) - 1}
    return [_numbered(item, found) for item in value] if isinstance(value, list) else value


def _filled(value: Any, file: Any) -> Any:
    """The other way round."""
    if isinstance(value, dict):
        return file.get_tensor(str(value["tensor"]))
    return [_filled(item, file) for item in value] if isinstance(value, list) else value
