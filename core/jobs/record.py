"""`job.json`: what the server knows of a job beside its spec, kept in its folder so that the list can be rebuilt.

The server alone writes it. It stays out of what is downloaded.
What it does not do: say how the job stands; `status.json`, which the worker alone writes, does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic.dataclasses import dataclass as checked

from core.errors import SpecError
from core.job_files import RECORD, STATUS
from core.jobs.backend import JobRow
from core.jobs.process import Identity, find_by_argument
from core.spec import ENDED, Status, read, write


@dataclass(frozen=True)
class Record:
    """A job in the list, and the process that runs it."""

    row: JobRow
    identity: Identity | None


@checked(frozen=True)
class _Written:
    owner: str
    name: str
    created: float
    identity: Identity | None = None


def write_record(record: Record, folder: Path) -> None:
    """Writes `job.json` into the folder."""
    row = record.row
    write(_Written(row.owner, row.name, row.created, record.identity), folder / RECORD)


def read_record(folder: Path) -> Record | None:
    """The record of a job's folder; None where the folder is not of a job. Its process still has to be looked at."""
    try:
        written = read(_Written, folder / RECORD)
    except SpecError:
        return None
    status = read_status(folder)
    row = JobRow(folder.name, written.owner, written.name, status.state, written.created, folder, status.error)
    if written.identity is None and status.state not in ENDED:
        return Record(row, find_by_argument(str(folder)))
    return Record(row, written.identity)


def read_status(folder: Path) -> Status:
    """What the worker last said; `starting` as long as it has said nothing."""
    if not (folder / STATUS).exists():
        return Status(state="starting", phase="Starting the worker")
    try:
        return read(Status, folder / STATUS)
    except SpecError as error:
        return Status(state="running", phase=f"What the worker reports cannot be read ({error.reason})")


def new_row(job: str, owner: str, name: str, jobs: Path) -> JobRow:
    """The row of a job that is about to start."""
    return JobRow(job, owner, name, "starting", time.time(), jobs / job)


def with_state(record: Record, status: Status) -> Record:
    """The record with the state and the reason of a status."""
    return replace(record, row=replace(record.row, state=status.state, reason=status.error))
