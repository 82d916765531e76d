"""Uploads and drafts: taken up again, within limits, and nothing left behind or made of a browser's words."""

from __future__ import annotations

import os
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.data.checking.survey import Cancelled
from core.data.files import uploads
from core.data.hub import Fetched
from core.data.storing.drafts import Draft, Drafts, TooLarge, max_upload
from core.data.storing.origins import allowed_folder, called, first_title
from core.data.storing.stored import list_sets, stored
from core.errors import DataError, SourceNotFound, SourceRefused
from core.jobs.home import open_home
from core.spec import Split
from tests.data.made_data import line, make, picture


@pytest.fixture
def drafts(tmp_path: Path) -> Drafts:
    return Drafts(open_home(tmp_path / "home").data("somebody"))


@pytest.fixture
def packed(tmp_path: Path) -> bytes:
    """A zip of forty rows with their pictures."""
    folder, made = make(tmp_path / "cats", [line(number) for number in range(40)]), BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"cats/{path.name}")
    return made.getvalue()


def sent(drafts: Drafts, content: bytes, name: str = "cats.zip") -> Draft:
    new = drafts.create_upload([(name, len(content))])
    drafts.receive(new, 0, 0, [content])
    return drafts.finish(new)


def everything(root: Path) -> set[str]:
    """All files below a folder."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_an_upload_becomes_a_draft_is_checked_and_stored(drafts: Drafts, packed: bytes) -> None:
    draft = sent(drafts, packed)
    assert (draft.title, draft.origin, draft.guess.reading.format) == ("cats", "cats.zip", "vqa")
    checked = drafts.check(draft)
    assert checked.report is not None
    assert checked.report.usable == 40
    assert drafts.open(draft.id) == checked
    made = drafts.store(checked, "My cats")
    assert drafts.open(draft.id).stored == made.name
    assert stored(drafts.sets, made.name).title == "My cats"
    drafts.remove(draft.id)
    assert drafts.list() == ()
    assert len(list_sets(drafts.sets)) == 1, "what was stored from it stays"


def test_an_upload_that_broke_off_goes_on_where_it_stopped(drafts: Drafts, packed: bytes) -> None:
    def broken() -> Iterator[bytes]:
        yield packed[:1000]
        yield packed[1000:1500]
        raise ConnectionError

    new = drafts.create_upload([("cats.zip", len(packed)), ("notes.txt", 3)])
    with pytest.raises(ConnectionError):
        drafts.receive(new, 0, 0, broken())
    again = Drafts(drafts.root).upload(new)
    assert again.received == (1500, 0)
    assert again.files == (("cats.zip", len(packed)), ("notes.txt", 3))
    with pytest.raises(DataError, match="1,500 bytes are there"):
        drafts.receive(new, 0, 0, [packed])
    with pytest.raises(DataError, match="Send the rest"):
        drafts.finish(new)
    assert drafts.receive(new, 0, 1500, [packed[1500:]]) == len(packed)
    drafts.receive(new, 1, 0, [b"abc"])
    assert drafts.check(drafts.finish(new)).report.usable == 40
    with pytest.raises(SourceNotFound):
        drafts.upload(new)


def test_files_in_any_order_and_empty_ones(drafts: Drafts, tmp_path: Path) -> None:
    folder = make(tmp_path / "cats", [line(number) for number in range(25)])
    files = [*sorted(folder.iterdir()), None]
    names = [(f"cats/{path.name}" if path else "cats/empty.txt", path.stat().st_size if path else 0) for path in files]
    new = drafts.create_upload(names)
    for number in reversed(range(25 + 1)):
        drafts.receive(new, number, 0, [files[number].read_bytes()])
    draft = drafts.finish(new)
    assert set(draft.tree.entries) == {name for name, _ in names}
    assert drafts.check(draft).report.usable == 25
    assert (draft.title, draft.origin) == ("cats", f"cats, {len(names)} files")


HOSTILE = ("../../evil", "/etc/passwd", "..\\evil", "C:\\evil", "a\0b.png", "CON", "x" * 900, ".hidden", "‮gnp.exe")


def test_no_path_is_made_of_what_a_browser_sends(drafts: Drafts, packed: bytes, tmp_path: Path) -> None:
    before = everything(tmp_path)
    new = drafts.create_upload([("cats.zip", len(packed)), *((name, 4) for name in HOSTILE)])
    drafts.receive(new, 0, 0, [packed])
    for number in range(1, len(HOSTILE) + 1):
        drafts.receive(new, number, 0, [b"evil"])
    draft = drafts.finish(new)
    made = {Path(path).name for path in everything(tmp_path) - before}
    assert made == {str(number) for number in range(len(HOSTILE) + 1)} | {"draft.json"}
    assert not {name for name in draft.tree.entries if ".." in name or name.startswith("/")}
    assert drafts.check(draft).report.usable == 40


@pytest.mark.parametrize(
    "bad", ["", "..", "../drafts", "0" * 31, "0" * 33, "G" * 32, "/", "0" * 31 + "\n", "a/b", "\0"]
)
def test_other_ids_lead_nowhere(drafts: Drafts, bad: str) -> None:
    for reach in (drafts.upload, drafts.finish, drafts.remove_upload, drafts.open, drafts.remove):
        with pytest.raises(SourceNotFound):
            reach(bad)
    with pytest.raises(SourceNotFound):
        drafts.receive(bad, 0, 0, [b"x"])


def test_owners_do_not_see_each_other(tmp_path: Path, packed: bytes) -> None:
    home = open_home(tmp_path / "home")
    mine, other = Drafts(home.data("me")), Drafts(home.data("../me"))
    assert other.root.parent == mine.root.parent
    draft = mine.check(sent(mine, packed))
    made = mine.store(draft, "t")
    assert other.list() == ()
    for reach in (other.open, other.remove, other.upload):
        with pytest.raises(SourceNotFound):
            reach(draft.id)
    with pytest.raises(SourceNotFound):
        stored(other.sets, made.name)


@pytest.mark.parametrize(
    "files",
    [[], [("", 1)], [("x" * 2000, 1)], [("a", -1)], [("a", 3 << 40)], [("a", 1)] * 100_001],
    ids=["none", "no name", "long name", "negative", "3 TB", "100,001"],
)
def test_uploads_that_make_no_sense_are_refused_and_leave_nothing(drafts: Drafts, files: list[tuple[str, int]]) -> None:
    with pytest.raises(DataError):
        drafts.create_upload(files)
    assert everything(drafts.root) == set()


def test_more_than_was_announced_is_refused(drafts: Drafts) -> None:
    new = drafts.create_upload([("a.csv", 10)])
    drafts.receive(new, 0, 0, [b"12345"])
    with pytest.raises(TooLarge):
        drafts.receive(new, 0, 5, [b"123", b"456"])
    assert drafts.upload(new).received == (8,)
    for number in (-1, 1, 10**9):
        with pytest.raises(SourceNotFound):
            drafts.receive(new, number, 0, [b"x"])


def test_limits_of_the_server(drafts: Drafts, monkeypatch: pytest.MonkeyPatch) -> None:
    assert max_upload() == 20 << 30
    monkeypatch.setenv("SPACE_ID", "a/b")
    assert max_upload() == 2 << 30
    monkeypatch.setenv("STUDIO_MAX_UPLOAD", "1000")
    with pytest.raises(TooLarge, match="this server takes"):
        drafts.create_upload([("a", 600), ("b", 600)])
    for _ in range(uploads.MAX_UPLOADS):
        last = drafts.create_upload([("a", 600)])
    with pytest.raises(TooLarge, match="unfinished"):
        drafts.create_upload([("a", 600)])
    drafts.remove_upload(last)
    drafts.create_upload([("a", 600)])


def test_a_full_disk_is_seen_before_and_on_the_way(drafts: Drafts, monkeypatch: pytest.MonkeyPatch) -> None:
    new = drafts.create_upload([("a", 600)])
    usage = shutil.disk_usage(drafts.root)._replace(free=uploads.SPARE_BYTES + 100)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(TooLarge, match="to spare"):
        drafts.create_upload([("a", 101)])

    class Full:
        name = str(drafts.root / "0")

        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(TooLarge, match="No space left"):
        uploads._append(Full(), 0, 600, [b"x"])
    assert drafts.upload(new).received == (0,)


def test_two_senders_of_one_file_do_not_mix(drafts: Drafts) -> None:
    new, gate = drafts.create_upload([("a", 100_000)]), threading.Barrier(2)

    def send(sign: bytes) -> bool:
        def chunks() -> Iterator[bytes]:
            gate.wait(5)
            for _ in range(100):
                yield sign * 1000

        try:
            return drafts.receive(new, 0, 0, chunks()) == 100_000
        except DataError:
            gate.wait(5)
            return False

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(send, (b"a", b"b"))) == [False, True]
    content = (drafts.root / "uploads" / new / "0").read_bytes()
    assert len(content) == 100_000
    assert len(set(content)) == 1


def test_what_cannot_be_recognised_leaves_nothing(drafts: Drafts) -> None:
    for name, content in (("a.bin", b"\0" * 100), ("a.zip", b"PK\3\4 cut off"), ("a.csv", b"")):
        with pytest.raises(DataError):
            sent(drafts, content, name)
    assert everything(drafts.root) == set()


def test_an_upload_that_is_thrown_away_is_gone_at_once(drafts: Drafts) -> None:
    new = drafts.create_upload([("a", 10)])
    drafts.receive(new, 0, 0, [b"12345"])
    drafts.remove_upload(new)
    assert everything(drafts.root) == set()
    with pytest.raises(SourceNotFound):
        drafts.receive(new, 0, 5, [b"12345"])


def aged(folder: Path, seconds: float) -> None:
    then = time.time() - seconds
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (then, then))


def test_what_nobody_comes_back_to_is_swept(drafts: Drafts, packed: bytes) -> None:
    old, new = (drafts.create_upload([("a", 10)]) for _ in range(2))
    draft, done = sent(drafts, packed), drafts.check(sent(drafts, packed))
    made = drafts.store(done, "t")
    for half in ("uploads/.removed-1", "drafts/" + "a" * 32, "sets/.new-1"):
        (drafts.root / half).mkdir()
    aged(drafts.root, 2 * 86_400)
    (drafts.root / "uploads" / new / "0").write_bytes(b"123")
    drafts.sweep()
    assert [path.name for path in (drafts.root / "uploads").iterdir()] == [new]
    assert [path.name for path in (drafts.root / "drafts").iterdir()] == [draft.id]
    assert [path.name for path in drafts.sets.iterdir()] == [made.name]
    aged(drafts.root, 15 * 86_400)
    drafts.sweep()
    assert drafts.list() == ()
    assert len(list_sets(drafts.sets)) == 1
    with pytest.raises(SourceNotFound):
        drafts.upload(old)


def test_another_reading_takes_the_report_off(drafts: Drafts, packed: bytes) -> None:
    draft = drafts.check(sent(drafts, packed))
    changed = drafts.save(replace(draft, reading=replace(draft.reading, split=Split(seed=9)), title="  New  "))
    assert changed.report is None
    assert changed.title == "New"
    with pytest.raises(DataError, match="Check them first"):
        drafts.store(changed, "t")
    assert drafts.save(replace(changed, title=" ")).title == "New"


def test_a_stopped_check_keeps_the_draft(drafts: Drafts, packed: bytes) -> None:
    draft = sent(drafts, packed)
    with pytest.raises(Cancelled):
        drafts.check(draft, cancelled=lambda: True)
    assert drafts.open(draft.id).report is None
    assert drafts.check(draft).report.usable == 40


def test_folders_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "open" / "cats", [line(number) for number in range(25)])
    (tmp_path / "secret").mkdir()
    os.symlink(tmp_path / "secret", tmp_path / "open" / "link")
    alone = Drafts(tmp_path / "home")
    draft = alone.from_folder(str(tmp_path / "open" / "cats"))
    assert draft.origin == "cats"
    assert alone.check(draft).report.usable == 25
    with pytest.raises(SourceRefused, match="visitors"):
        allowed_folder(str(tmp_path / "open" / "cats"), shared=True)
    monkeypatch.setenv("STUDIO_DATA_ROOT", str(tmp_path / "open"))
    for path in ("cats", str(tmp_path / "open" / "cats")):
        assert allowed_folder(path, shared=True) == tmp_path / "open" / "cats"
    for path in (str(tmp_path / "secret"), "../secret", "link", "link/../cats", "/", "/etc", "~", "~root"):
        with pytest.raises((SourceRefused, SourceNotFound)) as caught:
            allowed_folder(path, shared=True)
        assert str(tmp_path / "secret") == path or str(tmp_path) not in str(caught.value)
    for path in ("", " ", "none", "cats/rows.jsonl", "a\0b", "x" * 5000, "~nobody-at-all"):
        with pytest.raises(SourceNotFound):
            allowed_folder(path, shared=True)


def test_a_folder_that_went_away_is_said(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "home")
    draft = drafts.from_folder(str(make(tmp_path / "cats", [line(number) for number in range(25)])))
    shutil.rmtree(tmp_path / "cats")
    with pytest.raises((DataError, SourceNotFound)):
        drafts.check(drafts.open(draft.id))


def test_a_folder_that_became_a_link_out_of_the_root_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [line(number) for number in range(25)]
    inside, outside = make(tmp_path / "open" / "cats", rows), make(tmp_path / "secret", rows)
    monkeypatch.setenv("STUDIO_DATA_ROOT", str(tmp_path / "open"))
    drafts = Drafts(tmp_path / "home", shared=True)
    draft = drafts.from_folder("cats")
    shutil.rmtree(inside)
    inside.symlink_to(outside)
    with pytest.raises(SourceRefused, match="outside"):
        drafts.check(drafts.open(draft.id))


@pytest.mark.parametrize(
    ("names", "title"),
    [
        (["000.png", "001.png", "street_signs.csv"], "street signs"),
        (["000.png", "pictures.zip", "rows.csv"], "pictures"),
        (["pets/000.png", "pets/rows.csv", "pets/more/001.png"], "pets"),
        (["a/000.png", "b/000.png", "c/rows.jsonl"], "rows"),
        (["000.png", "001.png"], "000"),
    ],
)
def test_a_title_is_made_of_what_tells_most(names: list[str], title: str) -> None:
    origin, name = called(names)
    assert first_title(name) == title
    assert name in origin
    assert origin.endswith("files") or origin.endswith("1 more file")


def test_an_upload_that_two_end_at_once_becomes_one_draft(drafts: Drafts, packed: bytes) -> None:
    new = drafts.create_upload([("cats.zip", len(packed))])
    drafts.receive(new, 0, 0, [packed])

    def end(_number: int) -> Draft | None:
        try:
            return Drafts(drafts.root).finish(new)
        except SourceNotFound:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [draft for draft in pool.map(end, range(8)) if draft]
    assert len(made) == 1
    assert [path.name for path in (drafts.root / "drafts").iterdir()] == [made[0].id]


def test_the_disk_is_not_filled_by_what_arrives(drafts: Drafts, monkeypatch: pytest.MonkeyPatch) -> None:
    new = drafts.create_upload([("cats.zip", 100)])
    usage = shutil.disk_usage(drafts.root)._replace(free=uploads.SPARE_BYTES + 10)
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda _path: usage)
    assert drafts.receive(new, 0, 0, [b"0123456789"]) == 10
    with pytest.raises(TooLarge, match="disk is full"):
        drafts.receive(new, 0, 10, [b"0123456789a"])
    assert drafts.upload(new).received == (10,)


def test_looking_for_drafts_makes_no_folder(tmp_path: Path) -> None:
    nobody = Drafts(tmp_path / "nobody")
    assert nobody.list() == ()
    nobody.sweep()
    assert not nobody.root.exists()


def test_many_uploads_at_once(drafts: Drafts, packed: bytes) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: sent(drafts, packed, f"{number}.zip"), range(8)))
    assert {draft.id for draft in drafts.list()} == {draft.id for draft in made}
    assert not list((drafts.root / "uploads").iterdir())


def test_a_data_set_of_the_hub_is_fetched_once_and_becomes_a_draft(
    drafts: Drafts, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetch(name: str, revision: str, split: str, token: bool, into: Path, *more: object) -> Fetched:
        asked.append((name, revision, split, token))
        rows = [{**line(number), "image": {"bytes": _png(number), "path": None}} for number in range(30)]
        pq.write_table(pa.Table.from_pylist(rows), into / "train.parquet")
        return Fetched(name, "c0ffee" * 6, 30, ("train.parquet",))

    monkeypatch.setattr("core.data.storing.drafts.fetch_hub", fetch)
    draft = drafts.from_hub("owner/cats", "main", "train", token=False)
    assert (draft.title, draft.origin) == ("cats", "owner/cats@c0ffeec0ffee")
    made = drafts.store(drafts.check(drafts.open(draft.id)), "")
    assert (made.pictures, made.title, made.origin) == (30, "cats", draft.origin)
    assert asked == [("owner/cats", "main", "train", False)]


def test_a_data_set_that_cannot_be_fetched_leaves_nothing(drafts: Drafts, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(name: str, revision: str, split: str, token: bool, into: Path, *more: object) -> Fetched:
        (into / "train.parquet").write_bytes(b"half")
        raise DataError("a", "b", "c")

    monkeypatch.setattr("core.data.storing.drafts.fetch_hub", fetch)
    with pytest.raises(DataError):
        drafts.from_hub("owner/cats")
    assert everything(drafts.root) == set()


def _png(number: int) -> bytes:
    made = BytesIO()
    picture(number).save(made, "PNG")
    return made.getvalue()
