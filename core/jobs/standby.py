"""At most one warm worker: a process that has imported what training needs and waits for a job's folder on its stdin.

Until it is given a job it dies with the server (its stdin ends); from then on it is a worker like any other.
What it does not do: choose when to be warm; the backend does, and never while a job runs.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class Standby:
    """One waiting process, or none. Not thread-safe: the backend's lock covers it."""

    def __init__(self, command: Sequence[str], directory: Path, log: Path) -> None:
        self._command, self._directory, self._log = list(command), directory, log
        self._process: subprocess.Popen[bytes] | None = None
        self._environment: dict[str, str] = {}

    @property
    def pid(self) -> int | None:
        """Of the process that waits; None when none does."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self, environment: Mapping[str, str]) -> None:
        """Starts one unless one waits already."""
        if self.pid is not None:
            return
        self.close()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._command, "--standby"],
                cwd=self._directory,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._environment = dict(environment)

    def take(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes] | None:
        """The waiting process if it lives and knows the same environment; it is the caller's from then on."""
        process = self._process
        if process is None or self.pid is None or self._environment != dict(environment):
            return None
        self._process = None
        return process

    def close(self) -> None:
        """Lets the waiting process end."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:  # it is still importing and has not looked at its stdin
            process.kill()
            process.wait()


def hand_over(process: subprocess.Popen[bytes], folder: Path) -> bool:
    """Gives the job to a waiting process; False when it died before it could take it."""
    if process.stdin is None:
        return False
    try:
        process.stdin.write(f"{folder}\n".encode())
        process.stdin.close()
    except OSError:
        return False
    return process.poll() is None
