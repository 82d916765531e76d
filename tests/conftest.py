"""How the suite is run: one thread a process, and which tests stay together when processes share them.

What it does not do: make data or models; each folder has its own.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOGETHER = ("browser", "zoo")
"""Folders that one process runs as a whole: one server and one Chromium at a time, and the zoo built once."""
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


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups the tests by file or folder; groups that take long begin first, so that the processes end together."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
    rank = dict.fromkeys(map(group_of, items), len(TOGETHER) + 1)
    rank |= {group_of(item): len(TOGETHER) for item in items if item.get_closest_marker("slow")}
    rank |= {folder: place for place, folder in enumerate(TOGETHER)}
    items.sort(key=lambda item: rank[group_of(item)])


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


def group_of(item: pytest.Item) -> str:
    """The folder that stays together, or the file."""
    folder, *below = item.path.relative_to(HERE).parts
    return folder if folder in TOGETHER else "/".join((folder, *below))
