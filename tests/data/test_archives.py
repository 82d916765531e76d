"""Archives are read in place: right bytes, from several threads, and every damage is said in words."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from core.data.files.archives import entries_of, is_any_archive, is_archive, stem
from core.data.files.packing import in_words
from core.errors import DataError

FILES = {f"folder/{number}.bin": random.Random(number).randbytes(20_000) + bytes(5_000) for number in range(60)}


def packed(kind: str, files: dict[str, bytes] = FILES) -> bytes:
    """An archive of this kind."""
    file = io.BytesIO()
    if kind.startswith("zip"):
        method = {"zip": zipfile.ZIP_DEFLATED, "zip stored": zipfile.ZIP_STORED}[kind]
        with zipfile.ZipFile(file, "w", method) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return file.getvalue()
    form = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT}[kind.split()[-1]]
    with tarfile.open(fileobj=file, mode="w:gz" if kind.startswith("tgz") else "w", format=form) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def opened(tmp_path: Path, data: bytes, ending: str):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(data)
    return entries_of(path, path.name, tmp_path / "staging")


KINDS = ["zip", "zip stored", "tar pax", "tar gnu", "tar ustar", "tgz pax"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_has_its_bytes_also_from_many_threads(tmp_path: Path, kind: str):
    entries, refused = opened(tmp_path, packed(kind), kind.split()[0])
    assert not refused
    assert set(entries) == set(FILES)
    names = [*FILES] * 5
    random.Random(0).shuffle(names)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda name: entries[name].read() == FILES[name], names))


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_reads_in_pieces_and_jumps(tmp_path: Path, kind: str):
    entries, _ = opened(tmp_path, packed(kind), kind.split()[0])
    name, content = "folder/7.bin", FILES["folder/7.bin"]
    with entries[name].open() as file, entries[name].open() as other:
        assert file.read(100) == content[:100]
        assert other.read(7) == content[:7], "each reader has a place of its own"
        file.seek(-50, io.SEEK_END)
        assert file.read() == content[-50:]
        file.seek(1000)
        assert file.tell() == 1000
        assert file.read(10) == content[1000:1010]
        file.seek(0)
        assert file.readline() == content[: content.index(b"\n") + 1] if b"\n" in content else content


def test_nothing_is_unpacked_but_a_compressed_tar_and_that_only_once(tmp_path: Path):
    opened(tmp_path, packed("zip"), "zip")
    opened(tmp_path, packed("tar pax"), "tar")
    assert not (tmp_path / "staging").exists()
    opened(tmp_path, packed("tgz pax"), "tgz")
    made = list((tmp_path / "staging").iterdir())
    assert [path.name for path in made] == ["a.tgz.tar"]
    before = made[0].stat().st_mtime_ns
    opened(tmp_path, packed("tgz pax"), "tgz")
    assert made[0].stat().st_mtime_ns == before


@pytest.mark.parametrize("kind", ["zip", "zip stored", "tar pax", "tgz pax"])
def test_damage_anywhere_is_a_sentence_or_does_no_harm(tmp_path: Path, kind: str):
    """Bytes are changed or cut off; files that still open hold what was packed, wherever the archive has checksums."""
    draw = random.Random(kind)
    few = dict(list(FILES.items())[:5])
    whole = packed(kind, few)
    for number in range(150):
        broken = bytearray(whole)
        for _ in range(draw.randint(1, 5)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        if number % 3 == 0:
            del broken[draw.randrange(len(broken)) :]
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, content in left_of(folder, bytes(broken), kind.split()[0]).items():
            assert kind == "tar pax" or content in few.values() or name not in few


def left_of(folder: Path, data: bytes, ending: str) -> dict[str, bytes]:
    """What can still be read of an archive; every error on the way is a sentence of ours."""
    found = {}
    try:
        entries, _ = opened(folder, data, ending)
    except DataError:
        assert not list((folder / "staging").glob("*")), "a half tar is left"
        return {}
    for name, entry in entries.items():
        with suppress(DataError):
            found[name] = entry.read()
    return found


def test_a_lie_about_the_size_is_no_way_to_more(tmp_path: Path):
    """The list says 10 bytes, the packed bytes hold 100,000: no more than 10 come, and the checksum does not fit."""
    data = bytearray(packed("zip", {"a.bin": bytes(100_000)}))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    entries, _ = opened(tmp_path, bytes(data), "zip")
    with pytest.raises(DataError, match="damaged in its archive"):
        entries["a.bin"].read()


def test_a_tar_header_that_asks_for_memory_is_refused(tmp_path: Path):
    """A pax header of 2 GB would be read as one piece."""
    member = tarfile.TarInfo("a")
    member.type, member.size = tarfile.XHDTYPE, 2 * 2**30
    with pytest.raises(DataError, match="damaged"):
        opened(tmp_path, member.tobuf(tarfile.USTAR_FORMAT) + bytes(10_240), "tar")


def test_a_sparse_file_of_a_tar_is_left_out(tmp_path: Path):
    member = tarfile.TarInfo("a.bin")
    member.pax_headers = {"GNU.sparse.size": "1000000000000", "GNU.sparse.map": "0,0", "GNU.sparse.numblocks": "1"}
    entries, refused = opened(tmp_path, member.tobuf(tarfile.PAX_FORMAT) + bytes(10_240), "tar")
    assert not entries
    assert refused[0][1] == "it is no plain file"


def test_a_full_disk_leaves_no_half_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import shutil

    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(DataError, match="the disk is full"):
        opened(tmp_path, packed("tgz pax"), "tgz")
    assert not list((tmp_path / "staging").iterdir())


def test_names_of_other_systems_are_read(tmp_path: Path):
    """Zips without the mark for UTF-8 whose names are in it all the same; folders with backslashes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("Küche/1.png", "a\\b.png", "e\u0301.png"):
            archive.writestr(name, name.encode())
    data = file.getvalue().replace("Küche".encode(), b"K\xc3\xbcche")
    unmarked = bytearray(data)
    for mark, flags in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        at = unmarked.find(mark)
        while at >= 0:
            unmarked[at + flags] &= ~0x08
            at = unmarked.find(mark, at + 4)
    entries, refused = opened(tmp_path, bytes(unmarked), "zip")
    assert not refused
    assert sorted(entries) == ["Küche/1.png", "a/b.png", "\u00e9.png"]


def test_endings():
    assert [is_archive(name) for name in ("a.ZIP", "a.tar.gz", "a.tgz", "a.tar", "a.rar", "a.gz", "zip")] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip
    assert is_any_archive("a.7z")
    assert [stem(name) for name in ("x/a.tar.gz", "a.b.zip")] == ["x/a", "a.b"]
    assert in_words(12) == "12 bytes"


def test_what_is_called_an_archive_and_is_none(tmp_path: Path):
    for ending in ("zip", "tar", "tgz"):
        for content in (b"", b"hello", b"\x89PNG\r\n\x1a\n", gzip.compress(b"hello")):
            with pytest.raises(DataError, match=f"“a.{ending}”"):
                opened(tmp_path, content, ending)
