"""A file that readers see whole or not at all, even while several writers make it at once.

What it does not do: lock. The writer that is done last has the last word.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def taking_the_place_of(target: Path) -> Iterator[Path]:
    """A path beside the target to write to; it becomes the target at the end, or is removed after any exception."""
    staged = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")  # no two calls share one
    try:
        yield staged
        os.replace(staged, target)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
