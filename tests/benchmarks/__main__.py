"""Runs all benchmarks or the named ones, and prints one line a figure: `python -m tests.benchmarks toggle digits`."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module

from tests.benchmarks.figure import machine

SUBJECTS = (
    "page_up",
    "start_to_first_point",
    "inspection",
    "memory",
    "toggle",
    "point_delay",
    "redraw",
    "eta",
    "open_page_cost",
    "digits",
    "plain_loop",
    "data",
    "rows",
)


def main(names: list[str]) -> int:
    """0 when every limit was kept, 1 when one was missed, 2 for an unknown name."""
    unknown = [name for name in names if name not in SUBJECTS]
    if unknown:
        print(f"Unknown: {', '.join(unknown)}. There are: {', '.join(SUBJECTS)}.", file=sys.stderr)
        return 2
    kept = [_measure(name) for name in names or SUBJECTS]
    return 0 if all(kept) else 1


def _measure(name: str) -> bool:
    """Prints the lines of one subject -> whether all its limits were kept; one that fails does not end the others."""
    here = machine()
    kept = True
    try:
        for figure in import_module(f"tests.benchmarks.{name}").measure():
            print(f"{figure.line()}  [{here}]", flush=True)
            kept = kept and figure.is_kept is not False
    except Exception:
        traceback.print_exc()
        print(f"{name}: not measured", flush=True)
        return False
    return kept


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
