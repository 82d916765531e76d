"""Values on disk: a reader sees a whole one or the one before, whoever writes and whatever fails."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.spec import Status, read, write


def test_threads_that_write_one_file_do_not_disturb_each_other(tmp_path: Path):
    file = tmp_path / "status.json"

    def write_often(number: int) -> None:
        for step in range(50):
            write(Status(state="running", step=100 * number + step), file)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write_often, range(8)))
    assert read(Status, file).step % 100 == 49
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_a_full_disk_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "status.json"
    write(Status(state="running"), file)

    def full(self: Path, text: str, **_: object) -> None:
        self.write_bytes(text[:5].encode())
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write(Status(state="finished"), file)
    monkeypatch.undo()
    assert read(Status, file).state == "running"
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]
