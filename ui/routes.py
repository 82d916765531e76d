"""The studio's own routes, from which the islands read. Each one looks up jobs by their owner; none of these changes
anything.

/studio/static/…                 scripts and styles of assets/
/studio/plotly.js                the plot library
/studio/home                     device, data sets, jobs, defaults
/studio/inspections/KEY          a module tree, as rows
/studio/data/NAME/PICTURE        a picture of a demo data set
/studio/jobs                     the owner's jobs
/studio/jobs/ID                  one job: its spec, without the machine's folders
/studio/jobs/ID/series?since=N   status and points after a byte offset
/studio/jobs/ID/log?since=N      the worker's words after a byte offset
/studio/jobs/ID/proof            what the training changed and what it left alone; null when there is none yet
/studio/jobs/ID/pictures/NAME    a held-out picture that the job follows
/studio/jobs/ID/adapter.zip      the adapter to take home

What is asked about a choice, by POST, stands in `ui.questions`; bringing data in `ui.data` and `ui.datasets`.
"""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from core.data.files.pictures import as_png
from core.data.rows import Dataset, Picture
from core.data.source import load_dataset
from core.errors import DataError, SourceError, StudioError
from core.jobs.backend import JobRow
from core.memory.cards import CARDS
from core.models.inspection import cached_inspection
from core.models.source import DEMO_MODEL
from core.spec import ENDED, Source, to_dict
from ui import views
from ui.asking import HEADERS, code_of, refused
from ui.data.drafts import draft_routes
from ui.data.previews import preview_routes
from ui.data.thumbnails import shown, thumbnail
from ui.data.uploads import upload_routes
from ui.datasets import data_of_job, dataset_routes, own_cards
from ui.panels.settings import first_form
from ui.questions.routes import question_routes
from ui.studio import OWNER_COOKIE, Studio, key_of, new_owner
from ui.trainable import whether_trainable

ASSETS = Path(__file__).resolve().parents[1] / "assets"
YEAR = 31_536_000
"""Seconds a browser may keep what never changes under its address."""
PICTURES = ((b"\x89PNG", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"WEBP", "image/webp"))
"""First bytes of the pictures that browsers show; any other is sent as PNG."""

log = logging.getLogger("studio")

Answer = Callable[[Request], Response]


def studio_routes(studio: Studio) -> list[BaseRoute]:
    """The routes, to be given to the server before Gradio's own."""

    def route(path: str, answer: Callable[[Studio, Request], Response]) -> Route:
        return Route(f"/studio/{path}", _plain(lambda request: answer(studio, request)), methods=["GET"])

    return [
        route("plotly.js", _plotly),
        route("home", _home),
        route("inspections/{key}", _inspection),
        route("data/{name}/{picture:path}", _data_picture),
        route("jobs", _jobs),
        route("jobs/{job}", _job),
        route("jobs/{job}/series", _series),
        route("jobs/{job}/log", _log),
        route("jobs/{job}/proof", _proof),
        route("jobs/{job}/pictures/{picture:path}", _job_picture),
        route("jobs/{job}/adapter.zip", _adapter),
        *question_routes(studio),
        *upload_routes(studio),
        *draft_routes(studio),
        *dataset_routes(studio),
        *preview_routes(studio),
        Mount("/studio/static/js", _Assets(directory=ASSETS / "js")),
        Mount("/studio/static/css", _Assets(directory=ASSETS / "css")),
    ]


class _Assets(StaticFiles):
    """Files of assets/; a browser asks each time whether they have changed, so that no page mixes two releases."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update({**HEADERS, "Cache-Control": "no-cache"})
        return response


def _plain(answer: Answer) -> Answer:
    """The answer, or the error's sentence as JSON with a fitting status."""

    def safe(request: Request) -> Response:
        try:
            return answer(request)
        except Exception as error:
            return refused(error, code_of(error))

    return safe


def _json(data: Any) -> JSONResponse:
    return JSONResponse(data, headers=HEADERS)


def _owner(studio: Studio, request: Request) -> str:
    return studio.owner(request.cookies)


def _plotly(_studio: Studio, _request: Request) -> Response:
    headers = {**HEADERS, "Cache-Control": f"public, max-age={YEAR // 12}"}
    return Response(get_plotlyjs(), media_type="text/javascript", headers=headers)


def _home(studio: Studio, request: Request) -> Response:
    """Where the page begins; a browser that is new to a shared server becomes an owner here."""
    owner = _owner(studio, request)
    fresh = studio.shared and not owner
    owner = owner or new_owner()
    jobs = studio.backend.jobs(owner)
    running = next((job.id for job in jobs if job.state not in ENDED), None)
    model = studio.open(DEMO_MODEL)
    answer = _json(
        {
            "device": views.device(),
            "notice": views.notice(),
            "datasets": [*views.datasets(), *own_cards(studio, request)],
            "jobs": _job_lines(studio, jobs),
            "running": running,
            "model_key": key_of(model),
            "defaults": views.DEFAULTS,
            "form": first_form(),
            "cards": [card.name for card in CARDS],
        }
    )
    if fresh:
        answer.headers["set-cookie"] = f"{OWNER_COOKIE}={owner}; Max-Age={YEAR}; Path=/; HttpOnly; {_reach(request)}"
    return answer


def _reach(request: Request) -> str:
    """Where the cookie goes: a Space is shown in a frame of another site, which may have one of its own (CHIPS)."""
    https = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
    return "Secure; SameSite=None; Partitioned" if https else "SameSite=Lax"


def _inspection(studio: Studio, request: Request) -> Response:
    """Compressed, since rows repeat themselves: 5,000 modules are 2 MB as text and a thirtieth of that on the way."""
    value = studio.inspection(request.path_params["key"])
    body = json.dumps({**views.inspection(value), **whether_trainable(value)}).encode()
    headers = {**HEADERS, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body, 3)
    return Response(body, media_type="application/json", headers=headers)


def _jobs(studio: Studio, request: Request) -> Response:
    return _json({"jobs": _job_lines(studio, studio.backend.jobs(_owner(studio, request)))})


def _job_lines(studio: Studio, jobs: list[JobRow]) -> list[dict[str, Any]]:
    """Every job that can be read: one damaged folder does not take the page away."""
    lines = []
    for job in jobs:
        try:
            spec, status = studio.backend.spec(job.id, job.owner), studio.backend.status(job.id, job.owner)
            lines.append(views.job_line(job, spec, status))
        except StudioError as error:
            log.warning("job %s is left out of the list: %s", job.id, error)
    return lines


def _job(studio: Studio, request: Request) -> Response:
    job, owner = request.path_params["job"], _owner(studio, request)
    spec, status = studio.backend.spec(job, owner), studio.backend.status(job, owner)
    made = cached_inspection(spec.model, studio.cache)
    return _json(views.job(spec, status, studio.backend.folder(job, owner), made))


def _since(request: Request) -> int:
    text = request.query_params.get("since", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _series(studio: Studio, request: Request) -> Response:
    """Status first: when it says that the job has ended, every point is already on disk."""
    job, owner = request.path_params["job"], _owner(studio, request)
    status = studio.backend.status(job, owner)
    lines, following = studio.backend.metrics(job, owner, _since(request))
    return _json({"status": to_dict(status), "lines": lines, "next": following})


def _log(studio: Studio, request: Request) -> Response:
    text, following = studio.backend.log(request.path_params["job"], _owner(studio, request), _since(request))
    return _json({"text": text, "next": following})


def _proof(studio: Studio, request: Request) -> Response:
    folder = studio.backend.folder(request.path_params["job"], _owner(studio, request))
    return _json({"proof": views.proof(folder)})


def _adapter(studio: Studio, request: Request) -> Response:
    job, owner = request.path_params["job"], _owner(studio, request)
    path = studio.backend.artifact(job, owner)
    name = views.file_name(studio.backend.spec(job, owner).name)
    return FileResponse(path, media_type="application/zip", filename=f"{name}-adapter.zip", headers=HEADERS)


def _data_picture(_studio: Studio, request: Request) -> Response:
    name = request.path_params["name"]
    if name not in {card["name"] for card in views.datasets()}:
        raise SourceError("A demo data set was asked for", "there is none of this name", "Reload the page")
    return _picture(_dataset(Source("demo", name)), request.path_params["picture"])


def _job_picture(studio: Studio, request: Request) -> Response:
    """Of a job's own data, which stay when the data set is taken away."""
    job, owner = request.path_params["job"], _owner(studio, request)
    spec, name = studio.backend.spec(job, owner), request.path_params["picture"]
    if spec.data.kind != "stored":
        return _picture(_dataset(spec.data), name)
    return shown(thumbnail(_found(data_of_job(spec, studio.backend.folder(job, owner)), name)))


def _found(dataset: Dataset, name: str) -> Picture:
    picture = dataset.pictures.get(name)
    if picture is None:
        raise SourceError("A picture was asked for", "the data set has no such picture", "Reload the page")
    return picture


@lru_cache(maxsize=16)
def _dataset(source: Source) -> Dataset:
    """Read once: a page asks for many pictures of one data set."""
    return load_dataset(source)


def _picture(dataset: Dataset, name: str) -> Response:
    """A picture of the data set's rows by the name it has there; no path is ever made of what was asked."""
    picture = dataset.pictures.get(name)
    content = _content(picture) if picture else None
    if picture is None or content is None:
        raise SourceError("A picture was asked for", "the data set has no such picture", "Reload the page")
    kind = next((kind for sign, kind in PICTURES if sign in content[:16]), None)
    if kind is None:
        content, kind = as_png(picture), "image/png"
    return Response(content, media_type=kind, headers={**HEADERS, "Cache-Control": "private, max-age=3600"})


def _content(picture: Picture) -> bytes | None:
    """The picture's bytes; None where it is gone."""
    try:
        return picture.read()
    except DataError:
        return None
