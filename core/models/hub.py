"""The small files of a Hub model, at one pinned commit.

What it does not do: download weights, or show a token or an address in a sentence.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from core.errors import SourceError, SourceNotFound, SourceRefused
from core.models.repository import SETTINGS_FILES, is_commit, refuse_pickles
from core.spec import Source

TIMEOUT_S = 15.0
_OTHER_MODEL = "Try the demo, a folder on this machine, or a model that was fetched before"


def fetch(source: Source, token: bool = True) -> tuple[Source, Path]:
    """The source pinned to a commit, and the folder that holds its small files.

    A source that is pinned already and was fetched before needs no network. Without `token` the Hub is asked as by
    someone who is not logged in, whatever token this machine has.

    Raises:
        SourceNotFound: unknown, gated, offline, or no config.json.
        SourceRefused: its weights exist only as pickle.
    """
    if is_commit(source.revision):
        with suppress(SourceNotFound):  # not here yet: it is fetched below
            return cached(source)
    try:
        return _download(source, token)
    except SourceError:
        raise
    except Exception as error:
        if _is_offline(error):
            return _cached_or(source, error)
        raise _sentence(source, error) from None


def cached(source: Source) -> tuple[Source, Path]:
    """The same, from this machine alone.

    Raises:
        SourceNotFound: it was not fetched before.
    """
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(source.name, "config.json", revision=source.revision)
    if not isinstance(path, str):
        raise SourceNotFound(_asked(source), "it was not fetched to this machine before", _OTHER_MODEL)
    folder = Path(path).parent  # .../snapshots/<commit>
    return Source("hub", source.name, folder.name), folder


def _download(source: Source, token: bool) -> tuple[Source, Path]:
    from huggingface_hub import HfApi, hf_hub_download

    login = None if token else False  # None: the machine's token if it has one
    info = HfApi(token=login).model_info(source.name, revision=source.revision, timeout=TIMEOUT_S)
    files = [sibling.rfilename for sibling in info.siblings or ()]
    refuse_pickles(source, files)
    if "config.json" not in files:
        raise SourceNotFound(
            _asked(source), "it has no config.json", "Take the version for transformers, often named with “-hf”"
        )
    commit = str(info.sha)
    for name in SETTINGS_FILES:
        if name in files:
            path = hf_hub_download(source.name, name, revision=commit, etag_timeout=TIMEOUT_S, token=login)
    return Source("hub", source.name, commit), Path(path).parent


def _cached_or(source: Source, error: Exception) -> tuple[Source, Path]:
    """What is on this machine when the Hub cannot be reached, else why it cannot."""
    try:
        return cached(source)
    except SourceNotFound:
        raise _sentence(source, error) from None


def _is_offline(error: Exception) -> bool:
    """Whether the Hub gave no answer at all, as opposed to a refusal."""
    return getattr(error, "response", None) is None


def _asked(source: Source) -> str:
    return f"The model “{source}” was asked for on the Hub"


def _sentence(source: Source, error: Exception) -> SourceError:
    """One failure in words; the message of the error is left out, for it can hold addresses."""
    from huggingface_hub import errors

    asked = _asked(source)
    page = f"https://huggingface.co/{source.name}"
    cases: tuple[tuple[Any, type[SourceError], str, str], ...] = (
        (errors.GatedRepoError, SourceRefused, "its owner asks for agreement first", f"Agree at {page} and log in"),
        (errors.DisabledRepoError, SourceRefused, "the Hub has switched it off", "Take another model"),
        (errors.RevisionNotFoundError, SourceNotFound, "it has no such revision", f"See the revisions at {page}"),
        (
            errors.RepositoryNotFoundError,
            SourceNotFound,
            "no model has this name, or it is private",
            "Check the spelling",
        ),
        (errors.EntryNotFoundError, SourceNotFound, "one of its files is missing", "Take another revision"),
        (errors.HFValidationError, SourceNotFound, "this is no name of a model", "A Hub id is owner/name"),
        (errors.OfflineModeIsEnabled, SourceNotFound, "this machine is set to stay offline", _OTHER_MODEL),
    )
    for kind, sentence, reason, remedy in cases:
        if isinstance(error, kind):
            return sentence(asked, reason, remedy)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return SourceRefused(asked, "the Hub does not let this machine in", f"Agree at {page} and log in")
    if status is not None:
        return SourceNotFound(asked, f"the Hub answered with error {status}", "Try again in a while")
    return SourceNotFound(asked, "the Hub cannot be reached from here", _OTHER_MODEL)
