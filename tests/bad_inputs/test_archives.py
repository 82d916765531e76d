"""Archives that are broken or made to do harm: refused before a byte of them is unpacked, or what is bad left out."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from core.data.storing.drafts import Draft
from tests.bad_inputs.ground import (
    blocked,
    brought,
    found,
    good,
    jsonl,
    named,
    plain,
    png,
    refused,
    row,
    taken,
    things,
    watched,
    zipped,
)

ALL = things(0, 1, 2, 3, 4, 5)


def left_out(home: Path, draft: Draft, name: str, said: str) -> None:
    """Looks whether one file of an archive was left out, by its name and with the reason."""
    places = [place for place in found(draft, "refused_file").places if place.file == name]
    assert len(places) == 1, found(draft, "refused_file").places
    plain(f"{places[0].detail}.", home, said)


def with_link(kind: bytes, target: str) -> bytes:
    """A tar of good data with a link in it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in good().items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = kind, target
        archive.addfile(link)
    return file.getvalue()


def test_archives_01_entry_that_climbs_out(home: Path) -> None:
    data = zipped({**good(), "../../secret.png": png(7), "a/../../../etc/cron.d/x": b"x"})
    with watched(home):
        draft = brought(home, {"data.zip": data})
        assert taken(home, draft) == ALL
    left_out(home, draft, "../../secret.png", "climbs out")
    left_out(home, draft, "a/../../../etc/cron.d/x", "climbs out")
    assert not list(home.parent.rglob("cron.d"))


def test_archives_02_absolute_path(home: Path) -> None:
    target = home.parent / "written.png"
    data = zipped({**good(), str(target): png(7), "C:\\Windows\\x.png": png(8), "\\\\host\\share\\x.png": png(9)})
    with watched(home):
        draft = brought(home, {"data.zip": data})
        assert taken(home, draft) == ALL
    left_out(home, draft, str(target), "from the root of a machine")
    left_out(home, draft, "C:\\Windows\\x.png", "from the root of a machine")
    left_out(home, draft, "\\\\host\\share\\x.png", "of the network")
    assert not target.exists()


def test_archives_03_symlink(home: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in {
            **good(),
            "data.jsonl": jsonl(*(row(n) for n in range(6)), row(6, image="link.png")),
        }.items():
            archive.writestr(name, content)
        link = zipfile.ZipInfo("link.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, str(home.parent / "secret.png"))
    with watched(home):
        draft = brought(home, {"data.zip": file.getvalue()})
        named(home, draft, "unsafe_path", ("data.jsonl", 7))
        assert blocked(home, draft, "unsafe_path") == ALL
    left_out(home, draft, "link.png", "it is a link")


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE], ids=["hard", "symbolic"])
def test_archives_04_hard_link(home: Path, kind: bytes) -> None:
    with watched(home):
        draft = brought(home, {"data.tar.gz": with_link(kind, str(home.parent / "secret.png"))})
        assert taken(home, draft) == ALL
    left_out(home, draft, "link.png", "it is a link")


def test_archives_05_bomb_ratio(home: Path) -> None:
    zeros = bytes(200 * 2**20)
    data = zipped({**good(), "zeros.png": zeros})
    assert len(data) < 2**20
    refused(home, {"data.zip": data}, "“data.zip”", "“zeros.png” in it would unpack from", "to 200.0 MB")
    many = zipped({f"{number}.bin": zeros[: 15 * 2**20] for number in range(80)})
    refused(home, {"data.zip": many}, "“data.zip”", "would unpack from", "to 1.2 GB")


def test_archives_05_bomb_ratio_of_a_tar(home: Path) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo("zeros.png")
        member.size = 200 * 2**20
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    refused(home, {"data.tgz": file.getvalue()}, "“data.tgz”", "would unpack from", "to more than")


def test_archives_05_bomb_of_files_that_share_their_bytes(home: Path) -> None:
    data = bytearray(zipped({"a.png": png(1), "b.png": png(1)}, zipfile.ZIP_STORED))
    second = data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 0)
    refused(home, {"data.zip": bytes(data)}, "“data.zip”", "share the same bytes")


def junk(count: int) -> bytes:
    """A zip of so many empty files; `zipfile` would take a minute to write it."""
    names = [b"train2017/%012d.jpg" % number for number in range(count)]
    size = len(names[0])
    head = struct.pack("<5H3I2H", 20, *[0] * 7, size, 0)
    here = b"".join(b"PK\3\4" + head + name for name in names)
    start, rest = b"PK\1\2" + struct.pack("<H", 20) + head, struct.pack("<3HI", *[0] * 4)
    places = (struct.pack("<I", number * (4 + len(head) + size)) for number in range(count))
    there = b"".join(start + rest + place + name for place, name in zip(places, names, strict=True))
    tail = struct.pack("<4H2IH", 0, 0, count % 2**16, count % 2**16, len(there), len(here), 0)
    return here + there + b"PK\5\6" + tail


def test_archives_06_100_000_entries(home: Path) -> None:
    data = junk(100_000)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert len(archive.namelist()) == 100_000
    refused(home, {"data.zip": data})


def test_archives_06_more_entries_than_are_listed(home: Path) -> None:
    refused(home, {"data.zip": junk(140_000)}, "“data.zip”", "more than 130,000 files", "Make several archives")


@pytest.mark.slow
def test_archives_06_as_many_entries_as_may_be(home: Path) -> None:
    file = io.BytesIO(junk(125_000))
    with zipfile.ZipFile(file, "a") as archive:
        for name, content in good().items():
            archive.writestr(name, content)
    data = file.getvalue()
    with watched(home):
        assert taken(home, brought(home, {"data.zip": data})) == ALL


def test_archives_05_bomb_of_a_packing_that_is_unpacked_at_once(home: Path) -> None:
    data = bytearray(zipped({**good(), "6.png": bytes(250 * 2**20)}, zipfile.ZIP_BZIP2))
    at = data.rfind(b"PK\1\2")
    data[at + 24 : at + 28] = struct.pack("<I", 2**20)  # what it is said to unpack to
    refused(home, {"data.zip": bytes(data)})


def test_archives_07_nested_zip(home: Path) -> None:
    inner = zipped({"x.png": png(7)})
    for _ in range(5):
        inner = zipped({"inner.zip": inner, "x.png": png(8)})
    with watched(home):
        draft = brought(home, {"data.zip": zipped({**good(), "inner.zip": inner})})
        assert taken(home, draft) == ALL
    left_out(home, draft, "inner.zip", "an archive inside of an archive")


def test_archives_08_bad_crc(home: Path) -> None:
    files = good()
    data = bytearray(zipped(files, zipfile.ZIP_STORED))
    at = data.find(files["3.png"]) + 200
    data[at] ^= 0xFF
    with watched(home):
        draft = brought(home, {"data.zip": bytes(data)})
        finding = named(home, draft, "unreadable_image", ("data.jsonl", 4))
        assert "3.png" in finding.places[0].detail
        assert "damaged in its archive" in finding.places[0].detail
        assert blocked(home, draft, "unreadable_image") == things(0, 1, 2, 4, 5)


def test_archives_09_encrypted(home: Path) -> None:
    data = bytearray(zipped(good()))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the bit that says so, in both of a file's headers
        at = data.find(mark)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(mark, at + 4)
    refused(home, {"data.zip": bytes(data)}, "“data.zip”", "locked with a password", "without a password")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_10_duplicate_names(home: Path) -> None:
    file = io.BytesIO()
    files = good()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr("2.png", png(77))
        archive.writestr("4.png", files["4.png"])  # the same once more does no harm
    with watched(home):
        draft = brought(home, {"data.zip": file.getvalue()})
        left_out(home, draft, "2.png", "more than once with different contents")
        assert blocked(home, draft, "unsafe_path") == things(0, 1, 3, 4, 5)


def test_archives_11_nul_or_odd_unicode_names(home: Path) -> None:
    odd = {"cat\x00.png": "a NUL sign", "cat\u202egnp.exe.png": "cannot be shown", "cat\n.png": "cannot be shown"}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in good().items():
            archive.writestr(name, content)
        for name in odd:
            info = zipfile.ZipInfo("placeholder.png")
            info.filename = name
            archive.writestr(info, png(9))
        archive.writestr("x" * 300 + ".png", png(8))
    with watched(home):
        draft = brought(home, {"data.zip": file.getvalue()})
        assert taken(home, draft) == ALL
    places = found(draft, "refused_file").places
    assert all(place.file.isprintable() for place in places)
    for said in (*odd.values(), "the name is too long"):
        assert any(said in place.detail for place in places)


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz"])
def test_archives_12_truncated(home: Path, ending: str) -> None:
    if ending == "zip":
        data = zipped(good())
    else:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz" if ending == "tar.gz" else "w") as archive:
            for name, content in good().items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        data = file.getvalue()
    for share in (0.3, 0.6, 0.99):
        cut = data[: int(len(data) * share)].rstrip(b"\0") if ending == "tar" else data[: int(len(data) * share)]
        refused(home, {f"data.{ending}": cut}, f"“data.{ending}”", "damaged or its end is missing")
    refused(home, {f"data.{ending}": b"PK\x03\x04"}, "damaged or its end is missing")
