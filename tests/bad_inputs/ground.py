"""The ground on which bad inputs are tried: the way that a person's files really go, with everything watched.

`watched` is the proof behind each case: no file outside of the owner's folder is opened, nothing is asked of the
network, no program is started, and the memory grows by less than 200 MB.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from core.data.storing.drafts import Draft, Drafts
from core.data.storing.stored import stored
from core.errors import StudioError
from core.spec.data import Finding

ROOT = Path(__file__).resolve().parents[2]
MOST_GROWTH = 200 * 2**20
"""Bytes by which a bad input may make the memory grow at its peak."""
_OWN = (sys.prefix, sys.base_prefix, *(str(ROOT / name) for name in ("core", "tests", "assets")))
_LIBRARIES = (*_OWN, *map(os.path.realpath, _OWN))
"""By their names too: an environment may be a link."""
_SYSTEM = (
    "/usr/share/zoneinfo",
    "/etc/mime.types",
    "/usr/lib",
    "/lib",
    "/dev/null",
    "/proc/self/status",
    "/sys/devices",
)
"""What Python and its libraries read by themselves."""
_FORBIDDEN = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request", "subprocess.Popen")
_FORBIDDEN += ("os.system", "os.exec", "os.posix_spawn", "os.fork", "ftplib.connect", "http.client.connect")


class Watch:
    """What happens in this process while it is on: files that are opened, and what is forbidden."""

    def __init__(self) -> None:
        self.on = False
        self.opened: list[tuple[str, bool]] = []
        """Paths, each with whether it was opened to be written."""
        self.forbidden: list[str] = []

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if not self.on:
            return
        if event == "open" and isinstance(args[0], (str, bytes, os.PathLike)):
            flags = args[2] if isinstance(args[2], int) else 0
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) or str(args[1] or "r")[0] in "wxa"
            self.opened.append((os.path.abspath(os.fsdecode(args[0])), writes))
        elif event in ("os.remove", "os.rename", "os.mkdir", "os.symlink", "os.link", "shutil.rmtree"):
            self.opened.append((os.path.abspath(os.fsdecode(args[0])), True))
        elif event in _FORBIDDEN:
            self.forbidden.append(f"{event} {args[:2]}")
            raise PermissionError("forbidden in this test")


_watch = Watch()
sys.addaudithook(_watch)  # there is no way to take one off; it does nothing while it is not on


@contextmanager
def watched(home: Path, most: int = MOST_GROWTH) -> Iterator[None]:
    """Fails when what is done inside touches anything outside of `home`, or makes the memory grow by `most`."""
    _watch.opened, _watch.forbidden = [], []
    before_tmp, tempfile.tempdir = tempfile.tempdir, str(home)
    before_folder = os.getcwd()
    os.chdir(home)  # `shutil.rmtree` opens folders by names relative to the one above, which would look like ours
    before = memory_now()
    _watch.on = True
    try:
        yield
    finally:
        _watch.on = False
        tempfile.tempdir = before_tmp
        os.chdir(before_folder)
        _judge(home, memory_peak() - before, most)  # also when what was brought is refused


def _judge(home: Path, growth: int, most: int) -> None:
    """Fails when the watch has seen what may not be."""
    inside = os.path.realpath(home) + os.sep
    outside = [
        path
        for path, writes in _watch.opened
        if not f"{os.path.realpath(os.path.dirname(path))}/{os.path.basename(path)}/".startswith(inside)
        and path != os.devnull
        and (writes or not path.startswith((*_LIBRARIES, *_SYSTEM)))
        and not path.endswith("/__pycache__")
        and ".pyc" not in path
    ]
    assert not outside, f"opened outside of the owner's folder: {sorted(set(outside))[:5]}"
    assert not _watch.forbidden
    assert growth < most, f"the memory grew by {growth / 2**20:.0f} MB"


def memory_now() -> int:
    """Resident memory in bytes; its peak is counted anew from here, where the system can (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return memory_peak()


def memory_peak() -> int:
    """The highest resident memory in bytes since `memory_now`, or of this process so far."""
    try:
        return _status("VmHWM")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


# What a person brings


def png(number: int = 0, size: int = 32) -> bytes:
    """A picture that is like no other one."""
    image = Image.effect_noise((size, size), 80 + number).convert("RGB")
    image.paste((number * 37 % 256, number * 91 % 256, number * 53 % 256), (0, 0, size // 2, size // 2))
    return saved(image)


def saved(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """A picture as a file of this kind."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive of files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def jsonl(*rows: object) -> bytes:
    """One line for each row; text is taken as it is."""
    return b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows) + b"\n"


def row(number: int, **more: object) -> dict[str, object]:
    """A good row, about `NUMBER.png`."""
    return {"image": f"{number}.png", "question": "What is it?", "answer": f"thing {number}", **more}


def good(count: int = 6) -> dict[str, bytes]:
    """A good data set of pictures and rows, `data.jsonl`; bad things are put into it."""
    pictures = {f"{number}.png": png(number) for number in range(count)}
    return {"data.jsonl": jsonl(*(row(number) for number in range(count))), **pictures}


# Where it goes


def brought(home: Path, files: dict[str, bytes]) -> Draft:
    """The draft of an upload: sent, taken in, recognised and checked, as the page does it.

    Raises:
        StudioError: nothing can be made of it.
    """
    drafts = Drafts(home)
    upload = drafts.create_upload([(name, len(content)) for name, content in files.items()])
    for number, content in enumerate(files.values()):
        drafts.receive(upload, number, 0, [content])
    return drafts.check(drafts.finish(upload))


def refused(home: Path, files: dict[str, bytes], *said: str) -> str:
    """The sentence with which an upload is refused as a whole; nothing of it may be left behind."""
    before = {path for path in home.rglob("*") if path.is_file()}
    try:
        with watched(home):
            brought(home, files)
    except StudioError as error:
        sentence = plain(str(error), home, *said)
    else:
        raise AssertionError("it was taken")
    left = [path for path in home.rglob("*") if path.is_file() and path not in before]
    assert not left, f"left behind: {left[:5]}"
    return sentence


def found(draft: Draft, kind: str) -> Finding:
    """The finding of a kind."""
    assert draft.report is not None
    kinds = {finding.kind: finding for finding in draft.report.findings}
    assert kind in kinds, f"found only {sorted(kinds)}"
    return kinds[kind]


def plain(sentence: str, home: Path, *said: str) -> str:
    """The sentence, after a look whether a person can read it and it says what it must."""
    assert sentence.endswith("."), sentence
    assert len(sentence) < 600, sentence
    for never in ("Traceback", "Error:", "Exception", "object at 0x", "<class", "/proc/", str(home), str(ROOT)):
        assert never not in sentence, sentence
    assert sentence.isprintable(), sentence
    for words in said:
        assert words in sentence, f"“{words}” is not in: {sentence}"
    return sentence


def named(home: Path, draft: Draft, kind: str, *places: tuple[str, int | None]) -> Finding:
    """The finding of a kind at exactly these files and rows, in plain words."""
    finding = found(draft, kind)
    plain(f"{finding.title}. {finding.reason}. {finding.remedy}.", home)
    assert [(place.file, place.row) for place in finding.places] == list(places)
    for place in finding.places:
        assert place.detail.isprintable()
        assert str(home) not in place.detail
    return finding


def blocked(home: Path, draft: Draft, kind: str) -> tuple[str, ...]:
    """The answers that are stored once rows of this kind are left out; before that, nothing may be stored at all."""
    from dataclasses import replace

    drafts = Drafts(home)
    assert found(draft, kind).severity == "error"
    before = set(drafts.sets.glob("*"))
    try:
        drafts.store(draft, "bad")
    except StudioError as error:
        plain(str(error), home)
    else:
        raise AssertionError("it was stored")
    assert set(drafts.sets.glob("*")) == before, "half imported"
    dropped = replace(draft.reading, drop=(*draft.reading.drop, kind))
    return taken(home, drafts.check(drafts.save(replace(draft, reading=dropped))))


def taken(home: Path, draft: Draft) -> tuple[str, ...]:
    """The answers of the data set that is stored, sorted; each of its pictures opens."""
    drafts = Drafts(home)
    made = drafts.store(draft, "good")
    dataset = stored(drafts.sets, made.name)
    rows = [*dataset.train, *dataset.heldout]
    assert all(picture.open().mode == "RGB" for one in rows for picture in one.pictures)
    return tuple(sorted(one.answer for one in rows))


def things(*numbers: int) -> tuple[str, ...]:
    """The answers of good rows."""
    return tuple(f"thing {number}" for number in numbers)
