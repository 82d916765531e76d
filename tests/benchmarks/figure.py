"""A figure with its limit, and the few statistics that the benchmarks need."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the report."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    """The most that is allowed, in the same unit; None where nothing is promised."""
    error: float = 0.0
    """Standard error, where noise can be larger than the limit."""
    more: str = ""
    """What else was seen, and how it was measured."""

    @property
    def is_kept(self) -> bool | None:
        """Whether the limit was kept; None where there is none, or where the noise does not let one tell."""
        if self.limit is None or abs(self.value - self.limit) < 2 * self.error:
            return None
        return self.value <= self.limit

    def line(self) -> str:
        """Name, figure, limit, remarks."""
        unsure = "" if self.limit is None else "UNSURE"
        verdict = {True: "kept", False: "MISSED", None: unsure}[self.is_kept]
        limit = "" if self.limit is None else f"limit {self.limit:g} {self.unit}"
        return f"{self.name:34} {self.value:9.3f} {self.unit:8} {limit:16} {verdict:6}  {self.more}"


def machine() -> str:
    """The cores and how busy they are before the measurement begins."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed.

    >>> quantile([3, 1, 2], 0.5)
    2
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
