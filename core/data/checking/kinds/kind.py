"""What is said of one kind of trouble.

What it does not do: name the kinds (`core.data.trouble`), or count where they were found.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.spec import Severity

LOST = "Such a row cannot be used, and data with it are not what you think they are"
FIX = "Correct the rows and bring the data again, or leave them out"
NEW_SPLIT: dict[str, object] = {"split": {"by": "share", "share": 0.1}}


@dataclass(frozen=True)
class Kind:
    """One kind of trouble. Titles take the number of rows."""

    severity: Severity
    one: str
    many: str
    reason: str
    remedy: str
    action: str = "Leave them out"
    change: dict[str, object] | None = None
    """Fields of `Reading` that the button sets; None leaves the rows of this kind out, {} is no button."""
    can_drop: bool = False
    """Whether such rows can be left out though the button does something else."""
