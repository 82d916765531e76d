"""`metrics.jsonl`: one JSON object a line, appended with one write each, so that a reader sees whole lines.

What it does not do: keep points in memory, or write NaN; a number that is none becomes null.
"""

from __future__ import annotations

import errno
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.job_files import POINTS


class Metrics:
    """The series of one job, open for appending until `close`. Points of an earlier attempt are dropped."""

    def __init__(self, folder: Path) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._file = os.open(folder / POINTS, flags, 0o644)
        self.reader: Callable[[str, dict[str, Any]], None] | None = None
        """Is told the kind and the values of each point after it is written."""

    def add(self, kind: str, **values: Any) -> None:
        """Appends one point, stamped with the time (seconds since 1970).

        Raises:
            OSError: the disk is full, or took only a part of the line.
        """
        point = {"kind": kind, "time": round(time.time(), 3), **values}
        line = json.dumps(_finite(point), allow_nan=False, ensure_ascii=False).encode() + b"\n"
        if os.write(self._file, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.reader is not None:
            self.reader(kind, values)

    def note(self, text: str) -> None:
        """Records what was chosen or noticed, in words."""
        self.add("note", text=text)

    def close(self) -> None:
        """Ends writing."""
        os.close(self._file)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Every whole point of a job so far; a torn last line is left out."""
    path = folder / POINTS
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def _finite(value: Any) -> Any:
    """The value with every NaN and infinity replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value
