"""What the page has worked out from a choice while a person clicks: POST, JSON in and out. None changes anything.

/studio/preset      the usual choice for a task, as it falls on the model
/studio/priority    which layers come first, as it falls on the model
/studio/advice      what cannot be, and what deserves a thought
/studio/export      the plan in the words of another tool
/studio/memory      whether a step fits a card; one at a time, and none for a page that has gone on
/studio/pace        how long it will take, by the owner's last run that was like it

What it does not do: count, which the browser does by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
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
from ui.asking import FOREIGN, HEADERS, is_foreign, json_body, refused
from ui.choice import read_choice
from ui.lanes import Gone, awaited, give_way
from ui.panels.settings import form_of
from ui.questions.counsel import counsel
from ui.questions.exports import exported
from ui.questions.memory import memory
from ui.questions.pace import pace_of
from ui.studio import Studio

ASKED = "Something was asked about a choice"
Answer = Callable[[Studio, dict[str, Any], str], dict[str, Any]]
"""Of the studio's parts, what was asked, and whose browser asks (empty for nobody's)."""


def question_routes(studio: Studio) -> list[Route]:
    """The routes, to be given to the server before Gradio's own."""
    answers: tuple[tuple[str, Answer], ...] = (
        ("preset", preset),
        ("priority", priority),
        ("advice", counsel),
        ("export", exported),
        ("pace", pace_of),
    )
    return [
        *(_route(studio, path, answer) for path, answer in answers),
        _route(studio, "memory", memory, ThreadPoolExecutor(1, "memory", give_way)),
    ]


def preset(studio: Studio, asked: dict[str, Any], _owner: str) -> dict[str, Any]:
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


def priority(studio: Studio, asked: dict[str, Any], _owner: str) -> dict[str, Any]:
    """A priority's choice of layers; the recipe stays as it is."""
    chosen = read_choice(studio, asked)
    for found in priorities(chosen.labelled):
        if found.name == asked["name"]:
            selection = replace(found.selection, relabels=chosen.selection.relabels)
            return {"title": found.title, "selection": to_dict(selection), "recipe": to_dict(chosen.recipe)}
    raise PlanError("A priority was asked for", "there is none of this name", "Reload the page")


def _route(studio: Studio, path: str, answer: Answer, alone: Executor | None = None) -> Route:
    """A route; with an executor of its own, its questions wait there for each other."""

    async def answered(request: Request) -> Response:
        if is_foreign(request):
            return refused(FOREIGN, 403)
        try:
            asked = await json_body(request, ASKED, "Choose whole parts instead of modules")
            owner = studio.owner(request.cookies)
            if alone is None:
                found = await run_in_threadpool(answer, studio, asked, owner)
            else:
                found = await awaited(request, alone.submit(answer, studio, asked, owner))
            return JSONResponse(found, headers=HEADERS)
        except Gone:
            return Response(status_code=204, headers=HEADERS)
        except (KeyError, TypeError, ValueError) as error:
            return refused(_unreadable(error), 422)
        except Exception as error:
            return refused(error, 422 if isinstance(error, StudioError) else 500)

    return Route(f"/studio/{path}", answered, methods=["POST"])


def _unreadable(error: Exception) -> StudioError:
    """What a made-up choice makes Python say does not reach the page."""
    return SpecError(ASKED, f"it cannot be read ({type(error).__name__})", "Reload the page")
