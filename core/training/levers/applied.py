"""What became of one lever in one job: on or off, and why.

What it does not do: pull a lever, or write the point; `core.training.job` writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.spec.settings import Lever

ASKED_OFF = "The settings leave it off."


@dataclass(frozen=True)
class Applied:
    """A lever and what became of it."""

    lever: Lever
    on: bool
    reason: str
    """A sentence for the person: what it does here, or why it is off."""

    def point(self) -> dict[str, Any]:
        """The fields of the point `lever` in the job's metrics."""
        return {"name": self.lever, "on": self.on, "reason": self.reason}


def left_off(lever: Lever) -> Applied:
    """The lever as the settings ask: off."""
    return Applied(lever, False, ASKED_OFF)
