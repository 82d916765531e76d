"""The list of jobs in SQLite: order, owner, state and who runs each. The folders can rebuild it at any time.

What it does not do: start, watch or judge a process, or keep anything that stands in a job's folder.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import JobError
from core.jobs.backend import JobRow
from core.jobs.home import Home
from core.jobs.process import Identity
from core.jobs.record import Record, read_record
from core.spec import ENDED, State

VERSION = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, created REAL NOT NULL,
    folder TEXT NOT NULL, reason TEXT, boot TEXT, pid INTEGER, start INTEGER
)"""
_BUSY_MS = 5000


class Store:
    """One connection, shared by the threads of a server; other processes may hold the same file open."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.RLock()
        self._connection = self._open()
        self.rebuild()

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Holds the write lock over all threads and processes; what is written inside stands together or not at all.

        Raises:
            JobError: another process holds it for more than five seconds, or the list is damaged or cannot be written.
        """
        with self._lock:
            self._run("BEGIN IMMEDIATE")
            try:
                yield
                self._run("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rebuild(self) -> int:
        """Takes in every job folder that the list does not have, such as all of them when it is new; says how many."""
        with self.claim():
            for leftover in self._home.jobs.glob(".*"):  # of a start or a removal that was cut short
                shutil.rmtree(leftover, ignore_errors=True)
            known = {folder for (folder,) in self._run("SELECT folder FROM jobs")}
            new = [folder for folder in sorted(self._home.jobs.iterdir()) if folder.name not in known]
            records = [record for folder in new if (record := read_record(folder)) is not None]
            for record in records:
                self.add(record)
        return len(records)

    def add(self, record: Record) -> None:
        """Adds a job."""
        row, who = record.row, record.identity
        identity = (who.boot, who.pid, who.start) if who else (None, None, None)
        self._run(
            "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (row.id, row.owner, row.name, row.state, row.created, row.folder.name, row.reason, *identity),
        )

    def find(self, job: str, owner: str) -> Record:
        """One job of the owner.

        Raises:
            JobError: there is none, or it is another's; the sentence is the same.
        """
        found = self._records("WHERE id = ? AND owner = ?", (job, owner))
        if not found:
            raise JobError("A job was asked for", "there is no such job", "Choose one from the list of jobs")
        return found[0]

    def owned(self, owner: str) -> list[Record]:
        """The owner's jobs, newest first."""
        return self._records("WHERE owner = ?", (owner,))

    def unended(self) -> list[Record]:
        """Everybody's jobs that have not ended as far as the list knows."""
        marks = ", ".join("?" for _ in ENDED)
        return self._records(f"WHERE state NOT IN ({marks})", tuple(ENDED))

    def set_state(self, job: str, state: State, reason: str | None) -> bool:
        """Moves a job on; False when it had ended before, which nothing changes."""
        marks = ", ".join("?" for _ in ENDED)
        with self._lock:
            statement = f"UPDATE jobs SET state = ?, reason = ? WHERE id = ? AND state NOT IN ({marks})"  # noqa: S608
            return self._run(statement, (state, reason, job, *ENDED)).rowcount == 1

    def remove(self, job: str) -> None:
        """Takes a job off the list."""
        self._run("DELETE FROM jobs WHERE id = ?", (job,))

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def _records(self, where: str, values: tuple[Any, ...]) -> list[Record]:
        statement = f"SELECT * FROM jobs {where} ORDER BY created DESC, id DESC"  # noqa: S608 - `where` is ours
        with self._lock:
            return [self._record(*columns) for columns in self._run(statement, values).fetchall()]

    def _record(
        self,
        job: str,
        owner: str,
        name: str,
        state: State,
        created: float,
        folder: str,
        reason: str | None,
        boot: str | None,
        pid: int | None,
        start: int | None,
    ) -> Record:
        row = JobRow(job, owner, name, state, created, self._home.jobs / folder, reason)
        return Record(row, None if pid is None else Identity(boot or "", pid, start or 0))

    def _run(self, statement: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.OperationalError as error:
            raise JobError(
                "The list of jobs was used",
                f"it is busy or cannot be written ({error})",
                "Try again; if it stays so, look for free space and the rights on the data folder",
            ) from None
        except sqlite3.DatabaseError as error:
            raise JobError(
                "The list of jobs was used",
                f"its file is damaged ({error})",
                "Restart the studio: the list is rebuilt from the folders of the jobs, which are whole",
            ) from None

    def _open(self) -> sqlite3.Connection:
        """The database, checked; a damaged one is put aside, and the folders fill the new one."""
        try:
            return _connect(self._home.database)
        except sqlite3.OperationalError as error:
            raise JobError(
                "The list of jobs was opened", f"it cannot be used ({error})", "Check the rights on the data folder"
            ) from None
        except sqlite3.DatabaseError:
            _put_aside(self._home.database)
            return _connect(self._home.database)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise JobError(
            "The list of jobs was opened",
            "a newer release of the studio wrote it",
            "Update the studio, or set STUDIO_HOME",
        )
    connection.execute(_TABLE)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _put_aside(path: Path) -> None:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for ending in ("", "-wal", "-shm"):
        file = path.with_name(path.name + ending)
        if file.exists():
            file.replace(path.with_name(f"{path.name}.damaged-{stamp}{ending}"))
