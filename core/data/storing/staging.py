"""A stored set takes its place whole or not at all: its files are made beside it, and the folder is renamed.

What it does not do: write the files (`set_files`), or say what belongs into them (`importing`).
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from core.data.storing.set_files import sync
from core.data.storing.stored import ABOUT, Pictures, read_about, stored
from core.errors import DataError, SourceNotFound
from core.spec import Imported, write


@contextmanager
def staged_folder(sets: Path) -> Iterator[Path]:
    """A folder for files on their way, which is gone afterwards in any case.

    Raises:
        DataError: the system refused to write into it.
    """
    sets.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = sets / f".new-{secrets.token_hex(8)}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    except OSError as error:
        reason = f"the system refused ({error.strerror or 'unknown reason'})"
        raise DataError("The data were stored", reason, "Make room on the disk, then store them again") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(staged: Path, sets: Path, made: Imported) -> Imported:
    """The staged folder under its hash; one that is there already is the same and stays, by the title given last.

    Raises:
        DataError: the folder cannot be given its name.
    """
    sync(staged)
    for _ in range(3):
        with suppress(OSError):  # one of this hash is there already, which is looked at below
            staged.rename(sets / made.name)
            sync(sets)
            return made
        try:
            _check_whole(sets, made)
            return _renamed(sets, read_about(sets, made.name), made.title)
        except SourceNotFound:  # removed in between
            continue
        except DataError:  # damaged: this one is whole
            shutil.rmtree(sets / made.name, ignore_errors=True)
    raise DataError("The data were stored", "the folder cannot be given its name", "Store them again")


def _renamed(sets: Path, there: Imported, title: str) -> Imported:
    """A stored set under another title; jobs that hold it keep the one that they began with."""
    if there.title == title:
        return there
    named = replace(there, title=title)
    write(named, sets / there.name / ABOUT)
    return named


def _check_whole(sets: Path, made: Imported) -> None:
    """Raises DataError: the set of this hash that is there has lost rows or pictures."""
    there = stored(sets, made.name)
    if (len(there.train), len(there.heldout), len(there.pictures)) != (made.train, made.heldout, made.pictures):
        raise DataError("The data were stored", "the set that is there has lost rows or pictures", "Store them again")
    Pictures(sets / made.name, made.name).check_end()
