"""Checked data become a stored data set: its rows and pictures under their hash, whole or not at all.

The same data stored twice give the same hash and one folder. A new version with the same pictures (rows dropped, texts
corrected, another split) shares their file with the one before.
What it does not do: store data that an error stands against, or change a set that is there.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.data.checking.checks import Verdict, judge
from core.data.checking.looks import Looks
from core.data.checking.survey import Cancelled, Progress, Survey, quietly, survey
from core.data.files.tree import Tree
from core.data.formats.records import records
from core.data.rows import Row
from core.data.storing.feed import Feed, changed
from core.data.storing.set_files import PictureWriter, RowWriter, key_of
from core.data.storing.staging import put_in_place, staged_folder
from core.data.storing.stored import ABOUT, HELDOUT, INDEX, PICTURES, TRAIN, Pictures, link_file
from core.errors import DataError
from core.spec import Finding, Imported, Reading, Report, write

SPARE_BYTES = 200 * 1024 * 1024
"""Left free on the disk."""


class Blocked(DataError):
    """Errors stand against data that were to be stored; all are named."""

    def __init__(self, title: str, errors: Sequence[Finding]) -> None:
        self.kinds = tuple(error.kind for error in errors)
        reasons = [error.title[0].lower() + error.title[1:] for error in errors]
        super().__init__(f"“{title}” was to be stored", "; ".join(reasons), errors[0].remedy)


@dataclass(frozen=True)
class Job:
    """One storing: what is stored, and where it is on its way."""

    tree: Tree
    reading: Reading
    found: Survey
    verdict: Verdict
    staged: Path
    progress: Progress
    cancelled: Callable[[], bool]

    def items(self) -> Iterator[tuple[Row, bool]]:
        """The rows that are kept, each with whether it is held out; read for the second time.

        Raises:
            Cancelled: it was asked to stop.
            DataError: the rows are no longer those that were checked.
        """
        total, number = len(self.verdict.train), -1
        for number, item in enumerate(records(self.tree, self.reading)):
            if self.cancelled():
                raise Cancelled("The data were stored", "it was stopped", "Nothing was kept; start again when you like")
            if number >= total:
                raise changed()
            self.progress((total + number + 1) // 2, total)
            if self.verdict.train[number] or self.verdict.heldout[number]:
                if item.row is None:
                    raise changed()
                yield item.row, bool(self.verdict.heldout[number])
        if number + 1 != total:
            raise changed()


def store(
    tree: Tree,
    reading: Reading,
    report: Report | None,
    sets: Path,
    title: str,
    origin: str,
    progress: Progress = quietly,
    cancelled: Callable[[], bool] = lambda: False,
    looks: Looks | None = None,
) -> Imported:
    """Stores what a reading makes of files.

    Args:
        tree: the files.
        reading: how they are read, split, and what is left out.
        report: what the person saw of them; None where nobody looked.
        sets: the folder of the owner's stored sets.
        title: for people.
        origin: what was given, by name; no path of this machine.
        progress: told how many rows are done; every row is read twice, and counts for a half each.
        cancelled: asked between rows.
        looks: what the check has learned of the pictures; without it, every one is looked at again.

    Raises:
        Blocked: errors stand against it.
        DataError: the data are no longer those of the report, or the disk is too full.
        Cancelled: it was asked to stop; nothing is left behind.
    """
    known = report.rows if report else None
    found = survey(tree, reading, lambda done, _: progress(done // 2, known), cancelled, looks)
    verdict = judge(found, reading, tree.refused)
    if report is not None and report != verdict.report:
        raise changed()
    if verdict.report.blocked:
        raise Blocked(title, [each for each in verdict.report.findings if each.severity == "error"])
    with staged_folder(sets) as staged:
        job = Job(tree, reading, found, verdict, staged, progress, cancelled)
        _check_space(job)
        made = _write(job, sets, title, origin)
        return put_in_place(staged, sets, made)


def _write(job: Job, sets: Path, title: str, origin: str) -> Imported:
    """All files of the set -> what it says of itself."""
    numbers, order = _numbered(job)
    pictures = _link_pictures(job, sets, order)
    if pictures is not None:
        rows, question = _write_rows(job, numbers, lambda row: None)
    else:
        with (
            PictureWriter(job.staged, _key(job, order)) as writer,
            Feed(job.found.looks, job.reading.max_side, writer, numbers) as feed,
        ):
            rows, question = _write_rows(job, numbers, feed.offer)
            feed.finish()
            pictures = writer.digest()
    report = job.verdict.report
    made = Imported(
        name=hashlib.sha256(pictures + rows).hexdigest(),
        title=title.strip()[:200] or "My data",
        origin=origin,
        reading=job.reading,
        report=report,
        train=report.train,
        heldout=report.heldout,
        pictures=len(order),
        created=time.time(),
        size=sum(path.stat().st_size for path in job.staged.iterdir()),
        question=question[:500],
    )
    write(made, job.staged / ABOUT)
    return made


def _numbered(job: Job) -> tuple[dict[int, int], list[int]]:
    """Which number each look's picture gets in the set, and the looks in the order of the numbers, one a content."""
    kept = job.verdict.train | job.verdict.heldout
    starts, pictures = np.asarray(job.found.starts), np.asarray(job.found.pictures)
    used = pictures[np.repeat(kept, np.diff(starts))]
    looks, first = np.unique(used, return_index=True)
    digests, numbers, order = job.found.looks.table["digest"], dict[int, int](), list[int]()
    by_digest: dict[bytes, int] = {}
    for look in looks[np.argsort(first)].tolist():
        number = by_digest.setdefault(bytes(digests[look]), len(by_digest))
        if number == len(order):
            order.append(look)
        numbers[look] = number
    return numbers, order


def _key(job: Job, order: list[int]) -> str:
    """Names the pictures' file by what it is made of."""
    digests = job.found.looks.table["digest"]
    return hashlib.sha256(
        b"".join([f"{job.reading.max_side}:".encode(), *(bytes(digests[n]) for n in order)])
    ).hexdigest()


def _link_pictures(job: Job, sets: Path, order: list[int]) -> bytes | None:
    """Shares the pictures of a set that has the very same ones -> their hash; None where there is no such set."""
    key = _key(job, order)
    for folder in sorted(sets.glob("*")):
        if not folder.name.startswith(".") and key_of(folder) == key:
            try:
                for name in (INDEX, PICTURES):
                    link_file(folder / name, job.staged / name)
                shared = Pictures(job.staged, "")
                shared.check_end()
                return hashlib.sha256(b"".join(shared.digests())).digest()
            except (FileNotFoundError, DataError):  # somebody removes that set, or it is cut off
                for name in (INDEX, PICTURES):  # nothing is ever written into the files of another set
                    (job.staged / name).unlink(missing_ok=True)
    return None


def _write_rows(job: Job, numbers: dict[int, int], offer: Callable[[Row], None]) -> tuple[bytes, str]:
    """Writes the rows of both sides -> their hash, and what the first one asks."""
    by_name, question = job.found.looks.numbers, ""
    train, heldout = RowWriter(job.staged / TRAIN), RowWriter(job.staged / HELDOUT)
    with train.file, heldout.file:
        for row, held in job.items():
            question = question or row.question
            offer(row)
            (heldout if held else train).add(row, {p: numbers[by_name[p.name]] for p in row.pictures})
    return train.digest() + heldout.digest(), question


def _check_space(job: Job) -> None:
    """Raises DataError: the disk is too full for the set."""
    looks = np.unique(np.asarray(job.found.pictures, np.int64))
    needed = int(job.found.looks.table["length"][looks].sum()) + SPARE_BYTES
    free = shutil.disk_usage(job.staged).free
    if free < needed:
        reason = f"the data folder has {free / 1e6:,.0f} MB of free space and this needs {needed / 1e6:,.0f} MB"
        raise DataError("The data were stored", reason, "Make room, or make the pictures smaller")
