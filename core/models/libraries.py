"""The libraries that take seconds to import, and what they say that no person needs.

What it does not do: import anything before it is asked to.
"""

from __future__ import annotations

import logging
import threading
import warnings

_IMPORTING = threading.Lock()


def import_what_is_slow() -> None:
    """Imports what inspecting another model, estimating memory and comparing answers need.

    By one thread at a time: transformers puts another module into its own place while it is imported, and a second
    thread may be left with the first one, in which nothing is.
    """
    hush()
    with _IMPORTING:
        import peft  # noqa: F401
        import torch  # noqa: F401
        from transformers import AutoConfig  # noqa: F401


def hush() -> None:
    """Keeps to themselves what libraries say of each other: kernels that nobody needs here, names that will change."""
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|trl)\.")
