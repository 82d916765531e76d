"""One thing that a job chose when it started, and why.

What it does not do: choose (`core.training.choices`), or write the point; `core.training.preparing` writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

By = Literal["studio", "you"]


@dataclass(frozen=True)
class Choice:
    """One thing that was chosen."""

    name: str
    value: Any
    reason: str
    """A sentence or two, with the numbers."""
    by: By

    def point(self) -> dict[str, Any]:
        """The fields of the point `choice` in a job's metrics."""
        return {"name": self.name, "value": self.value, "reason": self.reason, "by": self.by}
