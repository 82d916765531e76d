"""What was found in data, in words: a title with its number, the reason, the remedy, and what a button does about it.

What it does not do: look for any of it (`core.data.formats.records`, `checks`), or leave a row out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.data import trouble
from core.data.checking.kinds.kind import Kind
from core.data.checking.kinds.quality import QUALITY
from core.data.checking.kinds.rows import ROWS
from core.data.checking.kinds.sameness import SAMENESS
from core.data.checking.kinds.sides import SIDES
from core.spec import Finding, Place

SHOWN = 50
"""Places that a finding names; all are counted."""
KINDS: dict[str, Kind] = ROWS | SIDES | SAMENESS | QUALITY
"""By name, in the order in which they are shown."""


@dataclass
class Places:
    """Where one kind was found: all counted, the first kept."""

    count: int = 0
    first: list[Place] = field(default_factory=list)

    def add(self, place: Place) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(place)


_OF_ONE = {
    "Leave them out": "Leave it out",
    "Leave them out of the training": "Leave it out of the training",
    "Leave the repetitions out": "Leave the repetition out",
    "Leave the later ones out": "Leave the later one out",
}
"""What a button says of several rows -> what it says of one."""


def finding(
    kind: str, places: Places, dropped: bool, title: str = "", change: dict[str, object] | None = None
) -> Finding:
    """The finding in words. What the reading leaves out is only a warning, without a button.

    Args:
        kind: one of the names in `core.data.trouble`.
        places: where it was found.
        dropped: whether the reading leaves rows of this kind out.
        title: where one is known that says more of rows that are still there.
        change: what the button sets, where that hangs on the reading.

    >>> finding(trouble.EMPTY_ANSWER, Places(2), dropped=False).title
    '2 rows have no answer'
    """
    known = KINDS[kind]
    counted = known.one if places.count == 1 else known.many.format(count=f"{places.count:,}")
    change = change or ({"drop": [kind]} if known.change is None else known.change)
    single = places.count == 1
    left = "It is left out" if single else "They are left out"
    return Finding(
        kind=kind,
        severity="warning" if dropped else known.severity,
        title=f"Left out: {counted}" if dropped else title or counted,
        reason=known.reason,
        remedy=f"{left}, and the data set says so" if dropped else known.remedy,
        action="" if dropped else _OF_ONE.get(known.action, known.action) if single else known.action,
        change={} if dropped else change,
        count=places.count,
        left_out=places.count if dropped or kind == trouble.CHOSEN else 0,
        places=tuple(places.first),
    )


def title_of(kind: str) -> str:
    """What one row of this kind is told; the kind itself where it is not known."""
    return KINDS[kind].one if kind in KINDS else kind


def can_drop(kind: str) -> bool:
    """Whether rows of this kind can be left out."""
    return kind in KINDS and (KINDS[kind].change is None or KINDS[kind].can_drop)


def errors_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Errors, then warnings, then what is left out; each in the order given."""
    return tuple(sorted(findings, key=lambda each: (each.severity != "error", each.left_out > 0)))
