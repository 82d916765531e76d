"""Data sets of the Hub: their rows are streamed once and written as Parquet, pictures as the bytes that they came in.

What it does not do: run code of a data set (`datasets` no longer can), fetch an address that a row names, or hold more
than some rows in memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from core.data.formats.sides import side_of_table
from core.errors import DataError, SourceError, SourceNotFound, SourceRefused, StudioError

TIMEOUT_S = 15.0
MAX_ID = 96
"""Characters of `owner/name` on the Hub."""
CHUNK = 64
"""Rows that are held in memory, and a row group of the file."""
MAX_PICTURE = 64 * 2**20
"""Bytes of a picture that lies in a file of its own on the Hub."""
HELD_OUT_SHARE = 0.1
"""Of the rows that are read, for each split that is not for training, when there are several."""
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,99}")
_SPLIT = re.compile(r"[A-Za-z0-9_.-]{1,60}")
Progress = Callable[[int, int | None], None]
Own = Callable[[str], bytes | None]
"""The bytes of a picture of the data set by its path; None for a path that is not of the data set."""


@dataclass(frozen=True)
class Fetched:
    """What was written."""

    name: str
    commit: str
    """Of the revision that was read."""
    rows: int
    tables: tuple[str, ...]
    """Names of the files, one for each split."""


def fetch_hub(
    name: str,
    revision: str | None,
    split: str | None,
    token: str | bool | None,
    into: Path,
    limit: int | None = None,
    room: int | None = None,
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Fetched:
    """The rows of a data set of the Hub, written as one Parquet file for each split.

    Args:
        name: `owner/name`, or `owner/name:part` where a data set has several parts.
        revision: a branch, tag or commit; the newest unless told.
        split: one split; all unless told.
        token: of the person who asks; False asks as a stranger, None with this machine's token.
        into: an empty folder.
        limit: most rows that are read, over all splits.
        room: most bytes that are written.
        progress: called with the rows done and the limit.
        cancelled: looked at between rows.

    Raises:
        SourceNotFound, SourceRefused: no such data set, part, split or revision, or it is not for everybody.
        DataError: it holds no rows, more than there is room for, or the stream broke; or the person stopped.
    """
    repository, part = checked(name, revision, split)
    try:
        commit = _commit(repository, revision, token)
        streams = streams_of(repository, part, commit, split, token)
        own = partial(_hub_file, f"hf://datasets/{repository}@{commit}/", token)
        rows, tables = write(streams, into, own, limit, room, progress, cancelled)
    except (SourceError, DataError):
        raise
    except Exception as error:
        raise in_words(name, error) from None
    return Fetched(name, commit, rows, tables)


def checked(name: str, revision: str | None = None, split: str | None = None) -> tuple[str, str | None]:
    """The id and its part, when all have the form that the Hub allows.

    Raises:
        SourceNotFound: no such name can exist.
        SourceRefused: it climbs out with `..`, or is a folder of this machine.

    >>> checked("owner/name:de")
    ('owner/name', 'de')
    """
    repository, _, part = name.strip().partition(":")
    asked = _asked(name)
    if ".." in name or ".." in (revision or ""):
        raise SourceRefused(asked, "a name may not climb with “..”", "Give a Hub id such as owner/name")
    if len(repository) > MAX_ID:
        reason = f"a Hub id has at most {MAX_ID} characters and this has {len(repository)}"
        raise SourceNotFound(asked, reason, "Check the name")
    ends = any(piece.endswith((".", "-", ".git")) for piece in repository.split("/"))
    if not _ID.fullmatch(repository) or "--" in repository or ends:
        reason = "it is no Hub id, which is owner/name in letters, digits, “-”, “_” and “.”"
        raise SourceNotFound(asked, reason, "Copy the name from the data set's page")
    for what, value, form in (("revision", revision, _REVISION), ("split", split, _SPLIT), ("part", part, _SPLIT)):
        if value and not form.fullmatch(value):
            raise SourceNotFound(asked, f"“{value[:60]}” is no {what}", f"Give the {what} as its page names it")
    if Path(repository).exists():  # `datasets` would read it instead of asking the Hub
        raise SourceRefused(asked, "a folder of this machine has the same name", "Bring the folder itself")
    return repository, part or None


def streams_of(
    source: str, part: str | None, revision: str | None, split: str | None, token: str | bool | None
) -> dict[str, Any]:
    """The streams of a data set by their splits, pictures left as bytes. `source` may be a folder in tests."""
    from datasets import load_dataset

    login = None if token is True else token
    found = load_dataset(source, part, split=split, revision=revision, streaming=True, token=login)
    streams = found if isinstance(found, dict) else {split or "train": found}
    return {name: _bare(stream) for name, stream in streams.items()}


def _bare(stream: Any) -> Any:
    """A stream with pictures as they lie in the files, and without sounds and films."""
    from datasets import Features

    if stream.features is None:
        stream = stream._resolve_features()
    heavy = [name for name, feature in stream.features.items() if type(feature).__name__ in ("Audio", "Video", "Pdf")]
    stream = stream.remove_columns(heavy) if heavy else stream
    return stream.cast(Features({name: _undecoded(feature) for name, feature in stream.features.items()}))


def _undecoded(feature: Any) -> Any:
    """A feature whose pictures are not decoded, wherever they stand in it."""
    from datasets import Image

    if isinstance(feature, Image):
        return Image(decode=False)
    if isinstance(feature, dict):
        return {name: _undecoded(inner) for name, inner in feature.items()}
    if isinstance(feature, list):
        return [_undecoded(inner) for inner in feature]
    return type(feature)(_undecoded(feature.feature)) if hasattr(feature, "feature") else feature


def write(
    streams: Mapping[str, Any],
    into: Path,
    own: Own,
    limit: int | None = None,
    room: int | None = None,
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[int, tuple[str, ...]]:
    """Writes streams as Parquet; the number of rows and the files' names.

    Raises:
        DataError: there is no row, no room, or the person stopped.
    """
    done, tables = 0, []
    for split, stream in streams.items():
        path = into / f"{re.sub(r'[^A-Za-z0-9_-]+', '-', split)}.parquet"
        before = done
        for count in _write(stream, path, own, _share(split, streams, limit)):
            done += count
            progress(done, limit)
            _check(into, room, cancelled)
        if done > before:
            tables.append(path.name)
    if not done:
        raise DataError("The data set was read", "it holds no rows", "Choose another split")
    return done, tuple(tables)


def _write(stream: Any, path: Path, own: Own, limit: int | None) -> Iterator[int]:
    """Writes one stream chunk by chunk; yields how many rows each had."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    schema = stream.features.arrow_schema
    rows = (_with_bytes(row, own) for row in islice(stream, limit))
    first = list(islice(rows, CHUNK))
    if not first:
        return
    with ParquetWriter(path, schema) as writer:
        chunk = first
        while chunk:
            writer.write_table(pyarrow.Table.from_pylist(chunk, schema=schema))
            yield len(chunk)
            chunk = list(islice(rows, CHUNK))


def _with_bytes(value: Any, own: Own) -> Any:
    """A value whose pictures hold their bytes; those that lie elsewhere stay names, which nobody follows."""
    if isinstance(value, dict):
        if set(value) == {"bytes", "path"} and value["bytes"] is None and value["path"]:
            return {"bytes": own(value["path"]), "path": value["path"].rsplit("/", 1)[-1]}
        return {name: _with_bytes(inner, own) for name, inner in value.items()}
    return [_with_bytes(inner, own) for inner in value] if isinstance(value, list) else value


def _hub_file(prefix: str, token: str | bool | None, path: str) -> bytes | None:
    """A picture in a file of the data set itself, or in an archive of it."""
    if not path.split("::")[-1].startswith(prefix) or ".." in path:
        return None
    from datasets import DownloadConfig
    from datasets.utils.file_utils import xopen

    login = None if token is True else token
    with xopen(path, "rb", download_config=DownloadConfig(token=login)) as file:
        data: bytes = file.read(MAX_PICTURE + 1)
    return data if len(data) <= MAX_PICTURE else None


def _share(split: str, streams: Mapping[str, Any], limit: int | None) -> int | None:
    """The most rows of one split: a tenth of the limit for each that is held out, the rest for the others."""
    held_out = [name for name in streams if side_of_table(name) == "heldout"]
    learned = len(streams) - len(held_out)
    if limit is None or not learned or not held_out:
        return limit if limit is None else max(1, limit // len(streams))
    small = max(1, round(limit * HELD_OUT_SHARE))
    return small if split in held_out else max(1, (limit - small * len(held_out)) // learned)


def _check(into: Path, room: int | None, cancelled: Callable[[], bool]) -> None:
    """Raises DataError: the person stopped, or there is no room left."""
    if cancelled():
        raise DataError("The data set was fetched", "it was stopped", "Begin again when you like")
    if room is not None and sum(path.stat().st_size for path in into.iterdir()) > room:
        reason = f"it is larger than the {room / 1e9:.1f} GB that there is room for"
        raise DataError("The data set was fetched", reason, "Read fewer rows")


def _commit(repository: str, revision: str | None, token: str | bool | None) -> str:
    """The commit that a revision stands for now."""
    from huggingface_hub import HfApi

    login = None if token is True else token
    return str(HfApi(token=login).dataset_info(repository, revision=revision, timeout=TIMEOUT_S).sha)


def _asked(name: str) -> str:
    shown = "".join(sign for sign in name if sign.isprintable())[:120]
    return f"The data set “{shown}” was asked for on the Hub"


def in_words(name: str, error: Exception) -> StudioError:
    """One failure as a sentence; the message of the error is left out where it can hold addresses."""
    from huggingface_hub import errors

    asked, page = _asked(name), f"https://huggingface.co/datasets/{name.partition(':')[0]}"
    if isinstance(error, errors.GatedRepoError):
        return SourceRefused(asked, "its owner asks for agreement first", f"Agree at {page} and log in")
    if isinstance(error, errors.RevisionNotFoundError):
        return SourceNotFound(asked, "it has no such revision", f"See the revisions at {page}")
    if isinstance(error, errors.RepositoryNotFoundError):
        return SourceNotFound(asked, "no data set has this name, or it is private", "Check the spelling")
    said = str(error)
    for pattern, what, remedy in (
        (r"Available splits: (\[.*?\])", "it has no such split", "Choose one of {}"),
        (
            r"(?:among the available configs|Available): (\[.*?\])",
            "it has several parts",
            "Give owner/name:part with one of {}",
        ),
    ):
        found = re.search(pattern, said)
        if found:
            return SourceNotFound(asked, what, remedy.format(found[1].strip("[]").replace("'", "")[:300]))
    if "DataFilesNotFound" in type(error).__name__ or "EmptyDataset" in type(error).__name__:
        return SourceNotFound(asked, "it holds no files in a form that is known", "Look at its page for another one")
    if "scripts are no longer supported" in said:
        return SourceRefused(
            asked, "it needs Python code of its own, which is never run here", "Look for a copy in Parquet"
        )
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return SourceRefused(asked, "the Hub does not let this machine in", f"Agree at {page} and log in")
    if isinstance(error, (OSError, errors.HfHubHTTPError, errors.OfflineModeIsEnabled)):
        reason = f"the Hub answered with error {status}" if status else "the Hub cannot be reached from here"
        return SourceNotFound(asked, reason, "Try again in a while, or bring the data as files")
    return DataError(asked, "its rows could not be read", "Choose another split or revision, or bring it as files")
