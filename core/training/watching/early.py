"""The best look at the held-out rows: its weights are kept, and after some looks without a better one it is enough.

What it does not do: look, or decide what is saved (see `core.training.ending`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.training.watching.keeping import BEST, put_back, read_tensors, write_tensors
from core.training.watching.parts import Part


@dataclass(frozen=True)
class Look:
    """One look at the quick rows."""

    step: int
    loss: float | None
    """None where it was no number."""
    outcomes: Sequence[Any]
    """Of its rows, in their order."""


class BestLook:
    """The best look of one job.

    Args:
        parts: what is trained.
        folder: for the weights.
        patience: looks without a lower loss after which it is enough; None for never.
        keep: whether the weights of the best look are kept.
        first: looks before this step do not count.
        before: the base model's loss on the same rows; None where it is not known.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        folder: Path,
        patience: int | None,
        keep: bool,
        first: int = 0,
        before: float | None = None,
    ) -> None:
        self._parts, self._path = parts, folder / BEST
        self._patience, self._keep, self._first = patience, keep, first
        self._since = 0
        self.before = before
        self.best: Look | None = None
        self.latest: Look | None = None
        self.losses: list[tuple[int, float]] = []
        """Of all looks that count, with their steps."""

    def seen(self, look: Look) -> bool:
        """Whether this look is the best so far; of two alike the later one is. Its weights are kept on disk.

        Raises:
            OSError: the disk is full.
        """
        if not self._count(look):
            return False
        self.best = look
        if self._keep:
            write_tensors(self._parts, self._path)
        return True

    def enough(self) -> bool:
        """Whether patience has run out."""
        return self._patience is not None and self._since >= self._patience

    @property
    def without_better(self) -> int:
        """Looks in a row without a lower loss."""
        return self._since

    def settle(self, last: Look | None) -> Look | None:
        """The look whose weights the model has now, after all steps: an earlier one where that was better.

        Args:
            last: of the weights after the last step; None where nobody looked.

        Returns:
            The earlier look, or None where the last weights stay.
        """
        before = self.best
        if before is not None and last is not None and last.step == before.step:
            return None
        if last is not None and last is not self.latest and self._count(last):
            self.best = last
            return None
        if before is None or not self._keep:
            return None
        put_back(self._parts, read_tensors(self._path))
        return before

    def _count(self, look: Look) -> bool:
        """Takes note of a look; whether none before it was better."""
        self.latest = look
        if look.step < self._first:
            return False
        lowest = self.best.loss if self.best else None
        if look.loss is not None:
            self.losses.append((look.step, look.loss))
        self._since = 0 if look.loss is not None and (lowest is None or look.loss < lowest) else self._since + 1
        return look.loss is not None and (lowest is None or look.loss <= lowest)


def ranks_settled(model: Any) -> int:
    """The first step whose weights have no more rank than the plan says: with AdaLoRA a late one, else 0.

    Before it the ranks are still being taken away (arXiv:2303.10512, equation 12).
    """
    config = model.peft_config["default"]
    return config.total_step - config.tfinal if hasattr(config, "target_r") else 0
