"""What every route does with a request and an answer: bodies within bounds, errors as sentences, foreign pages refused.

What it does not do: know who asks; see `studio.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.data.files.uploads import TooLarge
from core.errors import AdapterError, JobError, SourceError, SpecError, StudioError
from ui.plainly import sentence
from ui.studio import Studio

MAX_BODY = 2 * 1024 * 1024
"""Bytes of JSON; 5,000 modules taken in one by one are half a megabyte."""
HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
MARK = "x-studio"
"""A header that another site's page cannot send without asking first, for requests that carry no JSON."""
ASKED = "Something was asked of the studio"
FOREIGN = "Something was asked by a page of another site: only this page may do that. Open the studio itself."
GONE = 499
"""What a request is settled with whose sender has gone; nobody reads it."""


class TooLong(StudioError):
    """A body has more bytes than are taken."""


Answer = Callable[[Studio, Request, dict[str, Any]], Any]


def route(studio: Studio, path: str, methods: dict[str, Answer]) -> Route:
    """A route whose answers are functions of studio, request and body; they may take their time, in a thread each.

    Args:
        studio: the server's parts.
        path: below `/studio/`.
        methods: the answer to each of GET, POST (with a JSON object) and DELETE (with the header `X-Studio`).
    """

    async def answered(request: Request) -> Response:
        try:
            answer = methods["GET" if request.method == "HEAD" else request.method]
            if is_foreign(request):
                return refused(FOREIGN, 403)
            asked = await json_body(request) if request.method == "POST" else {}
            found = await run_in_threadpool(answer, studio, request, asked)
        except ClientDisconnect:
            return Response(status_code=GONE)
        except Exception as error:
            return refused(error, code_of(error))
        return found if isinstance(found, Response) else JSONResponse(found, headers=HEADERS)

    return Route(f"/studio/{path}", answered, methods=list(methods))


def is_foreign(request: Request) -> bool:
    """Whether a request that changes something comes from a page of another site.

    POST is only taken as JSON and the others only with a header of ours: a browser asks first before it sends either
    across sites. What it says of the origin is looked at too; a proxy may have changed the host that it asked.
    """
    if request.method in ("GET", "HEAD"):
        return False
    if request.method != "POST" and MARK not in request.headers:
        return True
    site = request.headers.get("sec-fetch-site")
    if site in ("same-origin", "cross-site", "same-site"):
        return site != "same-origin"
    origin = request.headers.get("origin")
    own = {request.headers.get(name, "") for name in ("host", "x-forwarded-host")} - {""}
    return origin is not None and urlsplit(origin).netloc not in own


async def json_body(request: Request, asked: str = ASKED, too_long: str = "Ask for less at once") -> dict[str, Any]:
    """The JSON object that was sent.

    Raises:
        SpecError: it is too long, no JSON object, or sent in a way that another site's page may use without asking.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise SpecError(asked, "it was not sent as JSON", "Reload the page")
    try:
        data = await whole_body(request, MAX_BODY)
    except TooLong:
        raise SpecError(asked, f"it is longer than {MAX_BODY:,} bytes", too_long) from None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SpecError(asked, "what was sent is no JSON object", "Reload the page")
    return found


def text_of(asked: dict[str, Any], name: str, most: int, default: str | None = None) -> str:
    """A text of the body.

    Raises:
        SpecError: it is missing (where there is no default), no text, or longer than `most` characters.
    """
    value = asked.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise SpecError(ASKED, f"“{name}” is missing or no text", "Reload the page")
    if len(value) > most:
        raise SpecError(ASKED, f"“{name}” has {len(value):,} characters", f"Keep it under {most:,}")
    return value


async def whole_body(request: Request, most: int) -> bytes:
    """The body as it was sent.

    Raises:
        TooLong: it has more than `most` bytes; the rest is not read.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise TooLong("A part of a file was sent", f"it is longer than {most:,} bytes", "Reload the page")
    return bytes(data)


def refused(error: Exception | str, code: int) -> JSONResponse:
    """The error's sentence as JSON."""
    words = error if isinstance(error, str) else sentence(error)
    return JSONResponse({"error": words}, status_code=code, headers=HEADERS)


def code_of(error: Exception) -> int:
    """The status that fits an error: 404 for what is not there or not the asker's, 500 for a mistake of ours."""
    if isinstance(error, (TooLong, TooLarge)):
        return 413
    if isinstance(error, (JobError, SourceError, AdapterError)):
        return 404
    return 422 if isinstance(error, StudioError) else 500
