"""What the tests of one's own data do on the page: bring files, change how they are read, and wait for the check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.browser.conftest import Tab

CHECKED = "['ready', 'stored'].includes(studio.state.draft?.state) && studio.state.draft.report"


def bring(tab: Tab, *files: Path, into: str = "#bring-files") -> None:
    """Chooses files, and waits until they have been checked."""
    tab.step("data")
    with read_anew(tab):
        tab.page.set_input_files(into, [str(file) for file in files])


def checked(tab: Tab) -> None:
    """Waits until what is on the table has been checked."""
    tab.wait(CHECKED)


@contextmanager
def read_anew(tab: Tab) -> Iterator[None]:
    """Waits until what is done in the block has had the data read and checked anew.

    What is on the table is the same value until the server has said something of it: that the data are checked holds
    before the change as well as after it.
    """
    tab.ask("void (window.draftBefore = studio.state.draft)")
    yield
    tab.wait(f"studio.state.draft !== window.draftBefore && {CHECKED}")
