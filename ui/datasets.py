"""The data sets that a person can train on: the demo's and those of their own, by the key that the page has for them.

GET    /studio/sets                       {sets: [cards]}, the owner's own, newest first
GET    /studio/sets/HASH/pictures/NAME    a picture of a stored set, small
DELETE /studio/sets/HASH                  takes a stored set away; jobs keep what they train on

What it does not do: check or store data (`ui.data.drafts`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.data.rows import Dataset, Row
from core.data.source import load_dataset
from core.errors import SourceNotFound, StudioError
from core.job_files import DATA
from core.lora.presets import USUAL
from core.spec import Imported, Source, Spec
from ui.asking import route
from ui.data.thumbnails import shown, thumbnail
from ui.studio import Studio

STORED = "stored:"
"""What the key of a stored set begins with; the key of a demo set is its name."""
HASH = re.compile(r"[0-9a-f]{64}")
SAMPLES = 4
LOOKED_AT = 200
"""Rows among which those with different answers are looked for."""
MAX_TEXT = 400
"""Characters of a question or an answer on a card."""


def dataset_routes(studio: Studio) -> list[Route]:
    """The routes, to be given to the server before Gradio's own."""
    return [
        route(studio, "sets", {"GET": lambda studio, request, _: {"sets": own_cards(studio, request)}}),
        route(studio, "sets/{name}", {"DELETE": _remove}),
        route(studio, "sets/{name}/pictures/{picture:path}", {"GET": _picture}),
    ]


def source_of(key: Any) -> Source:
    """The source that a key of the page names. Says nothing of whether it is there, or whose it is."""
    text = str(key)
    return Source("stored", text.removeprefix(STORED)) if text.startswith(STORED) else Source("demo", text)


def dataset_of(studio: Studio, key: Any, owner: str) -> Dataset:
    """The data set of a key, its rows on disk.

    Raises:
        SourceNotFound: there is none, or it is another's.
    """
    source = source_of(key)
    if source.kind == "demo":
        return _demo(source)
    return _stored(sets_of(studio, owner), source.name)


@lru_cache(maxsize=8)
def _demo(source: Source) -> Dataset:
    return load_dataset(source)


def data_of_job(spec: Spec, folder: Path) -> Dataset:
    """What a job trains on: a stored set lies in the job's own folder. Raises like `load_dataset`."""
    return _opened(folder / DATA, spec.data.name) if spec.data.kind == "stored" else load_dataset(spec.data)


def title_of_job(spec: Spec, folder: Path) -> str:
    """What the data of a job are called; their bare name where that cannot be read any more."""
    if spec.data.kind != "stored":
        return Path(spec.data.name).name
    try:
        return data_of_job(spec, folder).title
    except StudioError:
        return f"data {spec.data.name[:8]}"


def sets_of(studio: Studio, owner: str) -> Path:
    """The folder of an owner's stored sets; of nobody there never are any."""
    return studio.data(owner) / "sets"


def _unknown() -> SourceNotFound:
    return SourceNotFound("A data set was asked for", "there is none of this name", "Reload the page")


def _stored(sets: Path, name: str) -> Dataset:
    """Opened once: what is stored under a hash never changes."""
    if not HASH.fullmatch(name) or not (sets / name).is_dir():
        raise _unknown()
    return _opened(sets, name)


@lru_cache(maxsize=16)
def _opened(sets: Path, name: str) -> Dataset:
    from core.data.storing.stored import stored

    return stored(sets, name)


def own_cards(studio: Studio, request: Request) -> list[dict[str, Any]]:
    """The stored sets of whoever asks, as cards."""
    from core.data.storing.stored import list_sets

    sets = sets_of(studio, studio.owner(request.cookies))
    return [_card(sets, each) for each in list_sets(sets)]


def _samples_if_whole(sets: Path, name: str) -> list[dict[str, str]]:
    """The samples; none of a damaged set, which can still be taken away and does not hide the others."""
    try:
        return _samples(sets, name)
    except StudioError:
        return []


def _card(sets: Path, made: Imported) -> dict[str, Any]:
    return {
        "key": STORED + made.name,
        "name": STORED + made.name,
        "title": made.title,
        "story": "",
        "origin": made.origin,
        "licence": made.licence,
        "attribution": made.attribution,
        "train": made.train,
        "heldout": made.heldout,
        "majority": made.report.majority,
        "question": made.question,
        "created": made.created,
        "size": made.size,
        "preset": USUAL,
        "pictures": f"sets/{made.name}/pictures",
        "samples": _samples_if_whole(sets, made.name),
    }


@lru_cache(maxsize=64)
def _samples(sets: Path, name: str) -> list[dict[str, str]]:
    """The first rows with a picture and answers that differ."""
    rows = {row.answer: row for row in islice(_stored(sets, name).train, LOOKED_AT) if row.picture}
    return [sample(row) for row in islice(rows.values(), SAMPLES)]


def sample(row: Row) -> dict[str, str]:
    """A row as a card shows it."""
    return {"picture": row.picture_name, "question": row.question[:MAX_TEXT], "answer": row.answer[:MAX_TEXT]}


def _picture(studio: Studio, request: Request, _asked: dict[str, Any]) -> Response:
    """By the name that it has in the set; no path is ever made of what was asked."""
    data = _stored(sets_of(studio, studio.owner(request.cookies)), request.path_params["name"])
    picture = data.pictures.get(request.path_params["picture"])
    if picture is None:
        raise SourceNotFound("A picture was asked for", "the data set has no such picture", "Reload the page")
    return shown(thumbnail(picture))


def _remove(studio: Studio, request: Request, _asked: dict[str, Any]) -> dict[str, Any]:
    from core.data.storing.stored import delete_set

    sets, name = sets_of(studio, studio.owner(request.cookies)), request.path_params["name"]
    delete_set(sets, name)
    _opened.cache_clear()  # an open file would keep its place on the disk
    _samples.cache_clear()
    return {}
