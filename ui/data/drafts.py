"""Data that were brought and not yet stored: how they are understood, what was found in them, and the person's say.

POST   /studio/drafts                {folder} | {hub, revision, split, limit} -> the draft
GET    /studio/drafts                {drafts: [...]}, without rows
GET    /studio/drafts/ID             the draft: reading, first rows, report, and what is being done with it
POST   /studio/drafts/ID/reading     {reading}: read it like that, and check it again
POST   /studio/drafts/ID/format      {format}: read it as that form, the rest guessed anew
POST   /studio/drafts/ID/cancel      ends the check or the storing that goes on
POST   /studio/drafts/ID/store       {title}: store it as a data set, in the background
GET    /studio/drafts/ID/pictures/N  a picture of the first rows, small
DELETE /studio/drafts/ID             nothing of it stays

What it does not do: read data (`core.data`), or the work itself (`desk`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.data.checking.findings import title_of
from core.data.rows import Row
from core.errors import DataError, SpecError
from core.spec import Guess, Reading, from_dict, to_dict
from ui.asking import route, text_of
from ui.data.desk import Bench, Fetch, Work
from ui.data.thumbnails import shown
from ui.studio import Studio

if TYPE_CHECKING:
    from core.data.formats.records import Item
    from core.data.storing.drafts import Draft, Drafts

MAX_DRAFTS = 20
"""Of one owner."""
MAX_TEXT = 4_000
"""Characters of one text of a row that the page shows."""
MAX_TITLE = 80
MAX_PATH = 4_096
MAX_HUB = 300


def draft_routes(studio: Studio) -> list[Route]:
    """The routes, to be given to the server before Gradio's own."""
    return [
        route(studio, "drafts", {"GET": _list, "POST": _create}),
        route(studio, "drafts/{id}", {"GET": _draft, "DELETE": _remove}),
        route(studio, "drafts/{id}/reading", {"POST": _read_as}),
        route(studio, "drafts/{id}/format", {"POST": _format}),
        route(studio, "drafts/{id}/cancel", {"POST": _cancel}),
        route(studio, "drafts/{id}/store", {"POST": _store}),
        route(studio, "drafts/{id}/pictures/{number:int}", {"GET": _picture}),
    ]


def drafts_of(studio: Studio, request: Request) -> Drafts:
    """The drafts of whoever asks; of nobody there never are any."""
    return _drafts(studio, studio.owner(request.cookies))


def drafts_of_known(studio: Studio, request: Request, asked: str) -> Drafts:
    """The drafts of whoever brings data.

    Raises:
        JobError: it is nobody's browser.
        DataError: there are too many drafts already.
    """
    drafts = _drafts(studio, studio.known_owner(request.cookies, asked))
    owner = studio.owner(request.cookies)
    if len(drafts.list()) + len(studio.desk.fetches(owner)) >= MAX_DRAFTS:
        raise DataError(asked, f"you have {MAX_DRAFTS} drafts already", "Store or remove one of them")
    return drafts


def _drafts(studio: Studio, owner: str) -> Drafts:
    from core.data.storing.drafts import Drafts

    return Drafts(studio.data(owner), studio.shared)


def bench_of(studio: Studio, request: Request) -> Bench:
    """The draft that a request names. Raises SourceNotFound: there is none, or it is another's."""
    drafts = drafts_of(studio, request)
    return studio.desk.open(studio.owner(request.cookies), drafts, request.path_params["id"])


def draft_shown(bench: Bench) -> dict[str, Any]:
    """A draft as the page reads it."""
    with bench.lock:  # else work that ends in between would be ready without its report
        draft, preview, work = bench.draft, bench.preview, replace(bench.work)
    state = work.doing if work.doing != "ready" else "stored" if draft.stored else "ready"
    numbers = iter(range(len(preview.pictures)))
    return {
        "id": draft.id,
        "title": draft.title,
        "origin": draft.origin,
        "state": state,
        "progress": {"done": work.done, "total": work.total},
        "error": work.error or None,
        "guess": to_dict(draft.guess),
        "reading": to_dict(draft.reading),
        "columns": list(draft.guess.columns),
        "rows": [
            {"number": row, **_item(item, numbers)} for row, item in zip(preview.numbers, preview.items, strict=True)
        ],
        "report": to_dict(draft.report) if draft.report else None,
        "stored": draft.stored or None,
    }


def _item(item: Item, numbers: Any) -> dict[str, Any]:
    turns = _turns(item.row, numbers) if item.row else []
    return {
        "place": to_dict(item.place),
        "turns": turns,
        "pictures": [part["picture"] for turn in turns for part in turn["parts"] if "picture" in part],
        "side": item.side,
        "trouble": [{"kind": kind, "title": title_of(kind), "detail": detail} for kind, detail in item.trouble],
    }


def _turns(row: Row, numbers: Any) -> list[dict[str, Any]]:
    """The turns with pictures by their numbers and texts that are not endless."""
    return [
        {
            "speaker": turn.speaker,
            "parts": [
                {"text": _short(part)} if isinstance(part, str) else {"picture": next(numbers)} for part in turn.parts
            ],
        }
        for turn in row.turns
    ]


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + " …"


def fetch_shown(fetch: Fetch) -> dict[str, Any]:
    """Data on their way as the page reads them: a draft of which nothing is known yet."""
    nothing = dict.fromkeys(("guess", "reading", "report", "stored"))
    return {
        "id": fetch.id,
        "title": fetch.title,
        "origin": fetch.title,
        "state": fetch.work.doing,
        "progress": {"done": fetch.work.done, "total": fetch.work.total},
        "error": fetch.work.error or None,
        "columns": [],
        "rows": [],
        **nothing,
    }


def _list(studio: Studio, request: Request, _asked: dict[str, Any]) -> dict[str, Any]:
    owner = studio.owner(request.cookies)
    found = _drafts(studio, owner).list() if owner else ()
    coming = [{"id": each.id, "title": each.title, "origin": each.title} for each in studio.desk.fetches(owner)]
    return {"drafts": [*({**each, "stored": None} for each in coming), *map(_line, found)]}


def _line(draft: Draft) -> dict[str, Any]:
    return {
        "id": draft.id,
        "title": draft.title,
        "origin": draft.origin,
        "created": draft.kept.created,
        "stored": draft.stored,
    }


def _create(studio: Studio, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
    drafts, owner = drafts_of_known(studio, request, "Data were brought"), studio.owner(request.cookies)
    if "folder" in asked:
        return draft_shown(studio.desk.add(owner, drafts, drafts.from_folder(text_of(asked, "folder", MAX_PATH))))
    return fetch_shown(_fetch(studio, drafts, owner, asked))


def _fetch(studio: Studio, drafts: Drafts, owner: str, asked: dict[str, Any]) -> Fetch:
    """Begins to fetch from the Hub; what cannot be its name is said at once."""
    from core.data.hub import checked

    name, limit = text_of(asked, "hub", MAX_HUB).strip(), asked.get("limit")
    revision, split = (text_of(asked, key, MAX_HUB, "").strip() or None for key in ("revision", "split"))
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 2):
        raise SpecError("Data of the Hub were asked for", "the number of rows makes no sense", "Give at least 2")
    checked(name, revision, split)
    token = False if studio.shared else None

    def fetched(work: Work) -> Draft:
        return drafts.from_hub(name, revision, split, limit, token, work.progress, work.cancelled.is_set)

    return studio.desk.fetch(owner, drafts, name, fetched)


def _draft(studio: Studio, request: Request, _asked: dict[str, Any]) -> dict[str, Any]:
    fetch = studio.desk.fetched(studio.owner(request.cookies), request.path_params["id"])
    return fetch_shown(fetch) if fetch else draft_shown(bench_of(studio, request))


def _remove(studio: Studio, request: Request, _asked: dict[str, Any]) -> dict[str, Any]:
    studio.desk.remove(studio.owner(request.cookies), drafts_of(studio, request), request.path_params["id"])
    return {}


def _read_as(studio: Studio, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
    from core.data.formats.mapping import refuse_unknown

    bench, reading = bench_of(studio, request), from_dict(Reading, asked.get("reading"))
    refuse_unknown(reading, bench.draft.guess.columns)
    return _again(studio, request, bench, reading)


def _format(studio: Studio, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
    from core.data.formats.recognition import reread

    bench = bench_of(studio, request)
    wanted = from_dict(Reading, {"format": asked.get("format")}).format
    guess = reread(bench.tree, wanted, bench.draft.reading)
    return _again(studio, request, bench, guess.reading, guess)


def _again(
    studio: Studio, request: Request, bench: Bench, reading: Reading, guess: Guess | None = None
) -> dict[str, Any]:
    bench.read_as(reading, guess)
    with bench.lock:  # the answer is the draft as the check begins, however fast the check is
        studio.desk.check(studio.owner(request.cookies), bench)
        return draft_shown(bench)


def _cancel(studio: Studio, request: Request, _asked: dict[str, Any]) -> dict[str, Any]:
    fetch = studio.desk.fetched(studio.owner(request.cookies), request.path_params["id"])
    if fetch is not None:
        fetch.cancel()
        return fetch_shown(fetch)
    bench = bench_of(studio, request)
    bench.cancel()
    return draft_shown(bench)


def _store(studio: Studio, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
    bench, owner = bench_of(studio, request), studio.owner(request.cookies)
    title = text_of(asked, "title", MAX_TITLE, "").strip() or bench.draft.title
    report = bench.draft.report
    if report is None:
        raise DataError(f"Storing “{title}” was asked for", "it has not been checked yet", "Wait for the check to end")
    if report.blocked:
        raise DataError(f"Storing “{title}” was asked for", "the check found errors", "Apply what it proposes")

    def stored(draft: Draft, work: Work) -> Draft:
        made = bench.drafts.store(draft, title, lambda done, _: work.progress(done, report.rows), work.cancelled.is_set)
        return replace(draft, title=title, stored=made.name)

    bench.begin(studio.desk.lanes, owner, "storing", stored)
    return {}


def _picture(studio: Studio, request: Request, _asked: dict[str, Any]) -> Response:
    return shown(bench_of(studio, request).preview.picture(request.path_params["number"]))
