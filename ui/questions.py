"""What the page has worked out from a choice while a person clicks: POST, JSON in and out. None changes anything.

/studio/preset      the usual choice for a task, as it falls on the model
/studio/priority    which layers come first, as it falls on the model
/studio/advice      what cannot be, and what deserves a thought
/studio/export      the plan in the words of another tool
/studio/memory      whether a step fits a card; one at a time, and none for a page that has gone on
/studio/pace        how long it will take, by the owner's last run that was like it

What it does not do: look at who asks, but for the pace, since nothing else here is anybody's; or count, which the
browser does by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.errors import PlanError, SpecError, StudioError
from core.lora.presets import find_preset, preset_choice
from core.lora.priorities import priorities
from core.spec import to_dict
from ui.choice import read_choice
from ui.counsel import counsel
from ui.exports import exported
from ui.memory import memory
from ui.pace import pace_of
from ui.panels.train import form_of
from ui.plainly import sentence
from ui.studio import Studio

MAX_BODY = 2 * 1024 * 1024
"""Bytes; 5,000 modules taken in one by one are half a megabyte."""
HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
LOOK = 0.1
"""Seconds between two looks whether somebody still waits for the answer."""
ASKED = "Something was asked about a choice"


def question_routes(studio: Studio) -> list[Route]:
    """The routes, to be given to the server before Gradio's own."""
    answers = (("preset", preset), ("priority", priority), ("advice", counsel), ("export", exported))
    return [
        *(_route(studio, path, answer) for path, answer in answers),
        _route(studio, "memory", memory, _one_at_a_time()),
        _route(studio, "pace", pace_of, owned=True),
    ]


def preset(studio: Studio, asked: dict[str, Any]) -> dict[str, Any]:
    """A task's usual choice; the person's labels stay, and so does the recipe where the preset says nothing of it."""
    chosen = read_choice(studio, asked)
    wanted = find_preset(str(asked["name"]))
    found = preset_choice(chosen.labelled, wanted)
    selection = replace(found.selection, relabels=chosen.selection.relabels)
    return {
        "title": wanted.title,
        "selection": to_dict(selection),
        "recipe": to_dict(found.recipe or chosen.recipe),
        "settings": form_of(found.settings),
        "notes": list(found.notes),
    }


def priority(studio: Studio, asked: dict[str, Any]) -> dict[str, Any]:
    """A priority's choice of layers; the recipe stays as it is."""
    chosen = read_choice(studio, asked)
    for found in priorities(chosen.labelled):
        if found.name == asked["name"]:
            selection = replace(found.selection, relabels=chosen.selection.relabels)
            return {"title": found.title, "selection": to_dict(selection), "recipe": to_dict(chosen.recipe)}
    raise PlanError("A priority was asked for", "there is none of this name", "Reload the page")


def _route(
    studio: Studio, path: str, answer: Callable[..., dict[str, Any]], alone: Executor | None = None, owned: bool = False
) -> Route:
    """A route; with an executor of its own, its questions wait there for each other; `owned` tells it whose it is."""

    async def answered(request: Request) -> Response:
        try:
            asked = await _body(request)
            if alone is None:
                whose = (studio.owner(request.cookies),) if owned else ()
                return JSONResponse(await run_in_threadpool(answer, studio, asked, *whose), headers=HEADERS)
            return await _in_turn(request, alone.submit(answer, studio, asked))
        except (KeyError, TypeError, ValueError) as error:
            return _refused(_unreadable(error), 422)
        except Exception as error:
            return _refused(error, 422 if isinstance(error, StudioError) else 500)

    return Route(f"/studio/{path}", answered, methods=["POST"])


async def _in_turn(request: Request, answer: Future[dict[str, Any]]) -> Response:
    """The answer when it is there; a question whose page has gone on to another one is not begun any more."""
    waiting = asyncio.wrap_future(answer)
    while not waiting.done():
        await asyncio.wait([waiting], timeout=LOOK)
        if await request.is_disconnected() and answer.cancel():
            return Response(status_code=204, headers=HEADERS)
    return JSONResponse(waiting.result(), headers=HEADERS)


def _one_at_a_time() -> Executor:
    """One thread, which gives way to everything else that the server has to do."""
    return ThreadPoolExecutor(1, thread_name_prefix="memory", initializer=_give_way)


def _give_way() -> None:
    if sys.platform == "linux":  # elsewhere this is of the process, not of the thread
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object that was sent.

    Raises:
        SpecError: it is too long, no JSON object, or sent in a way that another site's page may use without asking.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise SpecError(ASKED, "it was not sent as JSON", "Reload the page")
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise SpecError(ASKED, f"it is longer than {MAX_BODY:,} bytes", "Choose whole parts instead of modules")
    try:
        asked = json.loads(bytes(data))
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise SpecError(ASKED, "what was sent is no JSON object", "Reload the page")
    return asked


def _unreadable(error: Exception) -> Exception:
    """A StudioError stays; what a made-up choice makes Python say does not reach the page."""
    if isinstance(error, StudioError):
        return error
    return SpecError(ASKED, f"it cannot be read ({type(error).__name__})", "Reload the page")


def _refused(error: Exception, code: int) -> JSONResponse:
    return JSONResponse({"error": sentence(error)}, status_code=code, headers=HEADERS)
