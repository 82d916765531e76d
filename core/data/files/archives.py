"""Archives read in place: the files of a zip or a tar, by their names, without unpacking any of them.

No name out of an archive ever reaches the disk. A compressed tar is decompressed as a whole into a folder that the
caller gives, and then read in place too. What could fill the memory, the disk or the day is refused by its numbers
before a byte of it is unpacked.
What it does not do: open an archive inside of an archive, ask for a password, or follow a link.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from core.data.files.entries import Entry, plain_name, shown, trouble_with
from core.data.files.packing import Found
from core.data.files.tars import PACKED_TARS, decompressed, tarred
from core.data.files.zips import zipped
from core.spec.data import Place

ARCHIVES = (".zip", ".tar", *PACKED_TARS)
"""Endings of archives that are read."""
OTHER_ARCHIVES = (".rar", ".7z", ".gz", ".bz2", ".xz", ".zst", ".lz4", ".iso", ".cab")
"""Endings of archives that are not."""
Refused = tuple[Place, str]
"""Where something lies that is not used, and the sentence that says why."""


def is_archive(name: str) -> bool:
    """Whether a file of this name is an archive that is read."""
    return name.lower().endswith(ARCHIVES)


def is_any_archive(name: str) -> bool:
    """Whether a file of this name is an archive of any kind."""
    return name.lower().endswith((*ARCHIVES, *OTHER_ARCHIVES))


def stem(name: str) -> str:
    """An archive's name without its ending.

    >>> stem("a/photos.tar.gz")
    'a/photos'
    """
    return name[: -len(next((end for end in sorted(ARCHIVES, key=len)[::-1] if name.lower().endswith(end)), ""))]


def entries_of(path: Path, name: str, staging: Path) -> tuple[dict[str, Entry], list[Refused]]:
    """The files of an archive by their names in it, and those that are not used, each with its sentence.

    Args:
        path: where the archive lies.
        name: what it is called in sentences.
        staging: a folder of ours, for a compressed tar; made where it is missing.

    Raises:
        DataError: it is damaged, cut off or encrypted, or would unpack to more than the limits allow.
    """
    if name.lower().endswith(PACKED_TARS):
        path = decompressed(path, name, staging)
    found = zipped(path, name) if name.lower().endswith(".zip") else tarred(path, name)
    return _sorted_out(found, name)


def _sorted_out(found: Iterable[Found], archive: str) -> tuple[dict[str, Entry], list[Refused]]:
    """Good entries by their names, and the others."""
    entries: dict[str, Entry] = {}
    refused: dict[str, str] = {}
    known: dict[str, object] = {}
    for item in found:
        name = plain_name(item.raw)
        reason = item.reason or trouble_with(item.raw)
        if not reason and is_any_archive(name):
            reason = "it is an archive inside of an archive; bring it on its own"
        if not reason and known.setdefault(name, item.sameness) != item.sameness:
            reason = "it stands in the archive more than once with different contents, and none of them is used"
            entries.pop(name, None)
        if reason:
            refused[name if name in known else shown(item.raw)] = reason
        elif name not in refused:
            entries[name] = item.entry
    return entries, [(Place(name, detail=archive), reason) for name, reason in refused.items()]
