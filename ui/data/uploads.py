"""Files on their way from the browser: in parts, so that a broken connection costs one part and not the whole.

POST   /studio/uploads              {files: [{name, size}]} -> {id, received: [bytes of each file]}
GET    /studio/uploads/ID           {id, files, received}, to go on where it stopped
PUT    /studio/uploads/ID/N?offset=K   the bytes of file N from K on -> {received}
POST   /studio/uploads/ID/finish    -> the draft that was made of it; see `drafts`
DELETE /studio/uploads/ID           nothing of it stays

What it does not do: look into a file, or believe its name (`core.data.storing.drafts`).
"""

from __future__ import annotations

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.errors import SpecError
from ui.asking import FOREIGN, GONE, HEADERS, code_of, is_foreign, refused, route, whole_body
from ui.data.drafts import draft_shown, drafts_of, drafts_of_known
from ui.studio import Studio

MAX_PART = 8 * 1024 * 1024
"""Bytes of one PUT; the page sends half of it."""
MAX_FILES = 5_000
MAX_NAME = 500
"""Characters of a file's name, with its folders."""
ASKED = "An upload was asked for"


def upload_routes(studio: Studio) -> list[Route]:
    """The routes, to be given to the server before Gradio's own."""
    return [
        route(studio, "uploads", {"POST": _create}),
        route(studio, "uploads/{id}", {"GET": _stands, "DELETE": _remove}),
        route(studio, "uploads/{id}/finish", {"POST": _finish}),
        _part_route(studio),
    ]


def _create(studio: Studio, request: Request, asked: dict[str, Any]) -> dict[str, Any]:
    files = _files(asked.get("files"))
    name = drafts_of_known(studio, request, ASKED).create_upload(files)
    return {"id": name, "received": [0] * len(files)}


def _files(asked: Any) -> list[tuple[str, int]]:
    """Names and sizes. Raises SpecError: none, too many, or no names and sizes."""
    if not isinstance(asked, list) or not asked:
        raise SpecError(ASKED, "no file was named", "Choose at least one file")
    if len(asked) > MAX_FILES:
        raise SpecError(
            ASKED, f"{len(asked):,} files are more than the {MAX_FILES:,} that go at once", "Pack them into one zip"
        )
    return [_file(each) for each in asked]


def _file(asked: Any) -> tuple[str, int]:
    name, size = (asked.get("name"), asked.get("size")) if isinstance(asked, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise SpecError(ASKED, "a file came without its name and size", "Choose the files again")
    if not 0 < len(name) <= MAX_NAME:
        raise SpecError(ASKED, f"a file's name has {len(name):,} characters", f"Keep names under {MAX_NAME}")
    return name, size


def _stands(studio: Studio, request: Request, _asked: dict[str, Any]) -> dict[str, Any]:
    upload = drafts_of(studio, request).upload(request.path_params["id"])
    files = [{"name": name, "size": size} for name, size in upload.files]
    return {"id": upload.id, "files": files, "received": list(upload.received)}


def _remove(studio: Studio, request: Request, _asked: dict[str, Any]) -> dict[str, Any]:
    drafts_of(studio, request).remove_upload(request.path_params["id"])
    return {}


def _finish(studio: Studio, request: Request, _asked: dict[str, Any]) -> dict[str, Any]:
    drafts = drafts_of(studio, request)
    owner = studio.owner(request.cookies)
    return draft_shown(studio.desk.add(owner, drafts, drafts.finish(request.path_params["id"])))


def _part_route(studio: Studio) -> Route:
    """Takes raw bytes, which are read whole before they are written: a part is small."""

    async def taken(request: Request) -> Response:
        if is_foreign(request):
            return refused(FOREIGN, 403)
        try:
            number, offset = _number(request.path_params["number"]), _number(request.query_params.get("offset", ""))
            drafts, upload = drafts_of(studio, request), request.path_params["id"]
            await run_in_threadpool(drafts.receive, upload, number, offset, ())  # it fits, before anything is read
            data = await whole_body(request, MAX_PART)
            received = await run_in_threadpool(drafts.receive, upload, number, offset, [data])
        except ClientDisconnect:
            return Response(status_code=GONE)
        except Exception as error:
            return refused(error, code_of(error))
        return JSONResponse({"received": received}, headers=HEADERS)

    return Route("/studio/uploads/{id}/{number}", taken, methods=["PUT"])


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise SpecError("A part of a file was sent", "it does not say where it belongs", "Reload the page")
    return int(text)
