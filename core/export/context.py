"""What an export says beside the plan, and what comes out of it.

What it does not do: write a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from core.spec import Recipe, Selection, Settings

Format = Literal["peft", "regex", "script", "unsloth", "yaml"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True)
class Context:
    """Everything of a job but its plan."""

    model: str
    """A Hub id or a folder, as `from_pretrained` takes it."""
    selection: Selection
    recipe: Recipe
    settings: Settings = field(default_factory=Settings)
    revision: str | None = None
    """Of a Hub id."""
    data: str | None = None
    """A folder in the plain format; None where none was chosen."""
    rows: int | None = None
    """To learn from, where that is known: AdaLoRA's ranks fall over all steps, and epochs alone do not say how many."""

    @property
    def total_steps(self) -> int | None:
        """Optimizer steps of the whole training; None where rows would have to be known."""
        return self.settings.total_steps(self.rows)


@dataclass(frozen=True)
class Exported:
    """One export."""

    text: str
    """The whole file, ended by a newline."""
    file_name: str
    """What it is commonly called."""
    notes: tuple[str, ...] = ()
    """What this form cannot say of the plan, a sentence each."""
