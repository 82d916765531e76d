"""Runs jobs on this machine: one worker process at a time, in a session of its own, watched through its folder.

A server that starts over the same data folder finds the running job again, its points, and can stop it.
What it does not do: train, start a process (`workers`), queue a second job, or believe a pid (`process`).
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.adapters.bundle import zip_adapter
from core.data.storing.stored import SETS, link_set
from core.errors import JobError
from core.job_files import DATA, LOG, POINTS, SPEC, STOP
from core.jobs.backend import JobRow
from core.jobs.home import open_home
from core.jobs.lost import lost
from core.jobs.process import is_alive, signal_group
from core.jobs.record import Record, new_row, read_status, with_state, write_record
from core.jobs.series import read_points, read_words
from core.jobs.stopping import Patience
from core.jobs.store import Store
from core.jobs.workers import WORKER, Workers
from core.spec import ENDED, Source, Spec, Status, from_dict, read, to_dict, write

SPARE_BYTES = 200 * 1024 * 1024


class LocalBackend:
    """The `JobBackend` of one machine. Safe to use from many threads, and from several servers on one data folder.

    Args:
        root: the data folder; as `data_home` says unless given.
        command: starts a worker.
        patience: how long a stop is waited for.
        shared: several people start jobs here, so no job gets the token of who runs the server.
    """

    def __init__(
        self,
        root: Path | None = None,
        command: Sequence[str] = WORKER,
        patience: Patience | None = None,
        shared: bool = False,
    ) -> None:
        self._home = open_home(root)
        self._store = Store(self._home)
        self._patience = patience or Patience()
        self._workers = Workers(command, self._home.root / "standby.log", shared)
        self._wants_standby = False
        self._lock = threading.RLock()

    def submit(self, spec: Spec, owner: str) -> str:
        """Starts a job in a process of its own and returns its id.

        Raises:
            JobError: another job runs, the disk is too full, or the data folder cannot be written.
            SpecError: the spec does not survive being written and read.
            SourceNotFound: its stored data set is not there, or another's.
        """
        spec = from_dict(Spec, to_dict(_with_whole_paths(spec)))
        self._check_space(spec)
        row = new_row(_new_id(), owner, spec.name, self._home.jobs)
        with self._lock:
            try:
                with self._store.claim():
                    self._refuse_a_second(owner)
                    self._stage(Record(row, None), spec, self._home.data(owner) / SETS)
                    self._store.add(Record(row, self._workers.start(row, "hub" in (spec.model.kind, spec.data.kind))))
            except OSError as error:
                self._undo(row)
                raise _cannot_write("Starting a job was asked for", error) from None
            except BaseException:
                self._undo(row)
                raise
        return row.id

    def status(self, job: str, owner: str) -> Status:
        """Where it stands; see `JobBackend.status`."""
        return self._look(self._store.find(job, owner))[1]

    def metrics(self, job: str, owner: str, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Points after a byte offset, at most 4 MB of them, and the next offset."""
        return read_points(self.folder(job, owner) / POINTS, offset)

    def log(self, job: str, owner: str, offset: int = 0) -> tuple[str, int]:
        """The worker's words after a byte offset, at most 4 MB of them, and the next offset."""
        return read_words(self.folder(job, owner) / LOG, offset)

    def stop(self, job: str, owner: str, force: bool = False) -> None:
        """Asks the worker to save and end; one that is gone is settled at once. `force` signals it now.

        Raises:
            JobError: there is no such job, or the stop file cannot be written.
        """
        record, status = self._look(self._store.find(job, owner))
        if status.state in ENDED:
            return
        try:
            (record.row.folder / STOP).touch()
        except OSError as error:
            raise _cannot_write("Stopping a job was asked for", error) from None
        if force:
            self._patience.force(job)
        self._look(record)

    def spec(self, job: str, owner: str) -> Spec:
        """What it was started with."""
        return read(Spec, self.folder(job, owner) / SPEC)

    def jobs(self, owner: str) -> list[JobRow]:
        """The owner's jobs, newest first."""
        self._workers.reap()
        records = self._store.owned(owner)
        return [record.row if record.row.state in ENDED else self._look(record)[0].row for record in records]

    def artifact(self, job: str, owner: str) -> Path:
        """The adapter as one zip, made when it is first asked for.

        Raises:
            AdapterError: there is no adapter yet.
        """
        return zip_adapter(self.folder(job, owner))

    def folder(self, job: str, owner: str) -> Path:
        """The job's folder."""
        return self._store.find(job, owner).row.folder

    def delete(self, job: str, owner: str) -> None:
        """Removes an ended job and its folder.

        Raises:
            JobError: it has not ended.
        """
        with self._lock, self._store.claim():
            record, status = self._look(self._store.find(job, owner))
            if status.state not in ENDED:
                raise JobError(f"Removing “{record.row.name}” was asked for", "it still runs", "Stop it first")
            doomed = record.row.folder.with_name(f".removed-{job}")
            if record.row.folder.exists():
                record.row.folder.rename(doomed)
            self._store.remove(job)
        shutil.rmtree(doomed, ignore_errors=True)

    def warm_up(self) -> None:
        """Keeps a worker warm for the next job, from now on; not while a job runs, nor with STUDIO_STANDBY=0."""
        self._wants_standby = os.environ.get("STUDIO_STANDBY", "1") != "0"
        self._refill()

    @property
    def warm_worker(self) -> int | None:
        """The pid of the worker that waits for a job; None when none does."""
        return self._workers.warm_pid

    def close(self) -> None:
        """Lets the warm worker and the list go. Running jobs go on."""
        with self._lock:
            self._workers.close()
            self._store.close()

    def _refuse_a_second(self, owner: str) -> None:
        for record in self._store.unended():
            current, status = self._look(record)
            if status.state not in ENDED:
                mine = current.row.owner == owner
                who = f"“{current.row.name}”" if mine else "somebody else's job"
                raise JobError(
                    "Starting a job was asked for",
                    f"{who} is still running, and this machine runs one job at a time",
                    "Wait for it to end, or stop it" if mine else "Wait for it to end",
                )

    def _check_space(self, spec: Spec) -> None:
        needed = 3 * 4 * spec.trainable + SPARE_BYTES  # the adapter in fp32, and room for two more of it on the way
        free = shutil.disk_usage(self._home.jobs).free
        if free < needed:
            raise JobError(
                "Starting a job was asked for",
                f"the data folder has {free / 1e6:,.0f} MB of free space and the job needs {needed / 1e6:,.0f} MB",
                "Make room, or set STUDIO_HOME to a folder on another disk",
            )

    def _stage(self, record: Record, spec: Spec, sets: Path) -> None:
        """Makes the folder under another name and renames it, so that a job's folder is whole or not there.

        A stored data set is linked into it: removing the set takes nothing from the job.
        """
        folder = record.row.folder
        staged = folder.with_name(f".new-{folder.name}")
        staged.mkdir(mode=0o700)
        write(spec, staged / SPEC)
        write_record(record, staged)
        if spec.data.kind == "stored":
            link_set(sets, spec.data.name, staged / DATA)
        staged.rename(folder)

    def _undo(self, row: JobRow) -> None:
        """Leaves nothing of a start that failed: neither a process nor a folder."""
        self._workers.kill(row.id)
        for folder in (row.folder, row.folder.with_name(f".new-{row.id}")):
            shutil.rmtree(folder, ignore_errors=True)

    def _look(self, record: Record) -> tuple[Record, Status]:
        """The job as it is now: what the worker says, unless the worker is gone; the list is brought up to date."""
        self._workers.reap()
        status = self._judge(record)
        row = record.row
        if (status.state, status.error) != (row.state, row.reason) and row.state not in ENDED:
            self._store.set_state(row.id, status.state, status.error)
            if status.state in ENDED:
                self._patience.forget(row.id)
                self._refill()
        return with_state(record, status), status

    def _judge(self, record: Record) -> Status:
        row = record.row
        status = read_status(row.folder)
        if status.state in ENDED:
            return status
        if row.state in ENDED:  # the list knows better than a worker that never said so
            return replace(status, state=row.state, error=row.reason, phase="")
        if self._is_alive(record):
            return self._hurry(record, status)
        status = read_status(row.folder)  # it may have ended well between the two looks
        return status if status.state in ENDED else lost(row.folder, status, self._workers.exit_code(row.id))

    def _is_alive(self, record: Record) -> bool:
        self._workers.reap()
        return record.identity is not None and is_alive(record.identity)

    def _hurry(self, record: Record, status: Status) -> Status:
        """Signals a worker that was asked to stop and has not for long."""
        if not (record.row.folder / STOP).exists():
            return status
        number = self._patience.due(record.row.id)
        if number is not None and record.identity is not None:
            signal_group(record.identity, number)
        return replace(status, state="stopping", phase=status.phase or "Stopping")

    def _refill(self) -> None:
        """Keeps one worker warm while none trains."""
        with self._lock:
            if not self._wants_standby or any(self._is_alive(record) for record in self._store.unended()):
                return
            self._workers.warm_up()


def _new_id() -> str:
    """An id that sorts by time and cannot be guessed.

    >>> len(_new_id())
    29
    """
    now = time.time()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    return f"{stamp}-{int(now * 1000) % 1000:03d}-{secrets.token_hex(5)[:9]}"


def _with_whole_paths(spec: Spec) -> Spec:
    """The worker runs in another directory, so folders are named from the root."""
    return replace(spec, model=_with_whole_path(spec.model), data=_with_whole_path(spec.data))


def _with_whole_path(source: Source) -> Source:
    return replace(source, name=str(Path(source.name).expanduser().absolute())) if source.kind == "folder" else source


def _cannot_write(asked: str, error: OSError) -> JobError:
    return JobError(
        asked,
        f"the system refused ({error.strerror or 'unknown reason'})",
        "Check the free space and the rights on the data folder, or set STUDIO_HOME to another one",
    )
