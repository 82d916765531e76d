"""Values on disk: a reader sees a whole one or the one before, whoever writes and whatever fails."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.cli_jobs import demo_spec
from core.errors import SpecError
from core.spec import Spec, Status, from_dict, read, to_dict, write


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


@pytest.mark.parametrize("version", [0, 2])
def test_a_spec_of_another_version_is_refused(version: int):
    plain = to_dict(demo_spec("digits"))
    assert from_dict(Spec, plain).schema_version == 1
    with pytest.raises(SpecError, match=f"version {version} was read"):
        from_dict(Spec, plain | {"schema_version": version})
