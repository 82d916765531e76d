"""How the suite is run: one thread a process, and which files begin first when processes share them.

What it does not do: make data or models; each folder has its own.
"""

from __future__ import annotations

import gc
import os
import sys
from itertools import zip_longest

import pytest

LIMITS = {
    "core.jobs.store": ("_BUSY_MS",),
    "core.memory.cards": ("_ASK_SECONDS",),
    "core.memory.dry_run.simulation": ("SECONDS",),
    "core.models.build": ("MAX_SECONDS",),
    "core.training.ending": ("QUICK_ENOUGH", "HURRY"),
}
"""After which the studio gives up for the sake of the person who waits; a busy machine is not to reach them."""
FAR = 120

# Before torch is there. Tiny models computed with several threads wait for each other: on a busy machine eight times
# the work was measured. Whatever the tests start computes with one thread too.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long begin first, so that processes which share the suite by files end together.

    Those that drive a browser alternate with others: two servers and two Chromiums at a time would take much memory.
    """
    browser = dict.fromkeys(item.path for item in items if item.path.parent.name == "browser")
    slow = dict.fromkeys(item.path for item in items if item.get_closest_marker("slow") and item.path not in browser)
    rest = dict.fromkeys(item.path for item in items if item.path not in browser and item.path not in slow)
    first = [path for pair in zip_longest(browser, slow) for path in pair if path is not None]
    place = {path: at for at, path in enumerate((*first, *rest))}
    items.sort(key=lambda item: place[item.path])


def pytest_collection_finish() -> None:
    """Lets the collector pass over what stays: jobs call it, and thousands of tests and two libraries take seconds."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)  # a test that is about a limit sets its own
def pytest_runtest_setup() -> None:
    """Puts the limits of the modules that are there so many times as far away."""
    for name in LIMITS.keys() & sys.modules.keys():
        for limit in LIMITS.pop(name):
            setattr(sys.modules[name], limit, FAR * getattr(sys.modules[name], limit))
