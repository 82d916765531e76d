"""What a model will really read of rows, before anything is trained: POST, JSON in and out.

/studio/preview   {model_key, data, rows, augment, max_tokens} -> each row's tokens, text and pictures as the model gets
                  them, and which tokens carry loss
/studio/lengths   {model_key, data, max_tokens} -> how many tokens the rows have, and which are too long

`data` is the key of a data set, or `draft:ID`; rows of a draft are counted as they were found, those of a set are the
ones to learn from. What it does not do: load a weight.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.data.rows import Row
from core.data.storing.to_be_stored import to_be_stored
from core.errors import SpecError, StudioError
from core.models.classes import read_config
from core.models.libraries import import_what_is_slow
from core.models.source import resolve
from core.spec import Settings, Source, from_dict, to_dict
from ui.asking import FOREIGN, HEADERS, code_of, is_foreign, json_body, refused, text_of
from ui.data.desk import bytes_held
from ui.data.drafts import drafts_of
from ui.datasets import dataset_of
from ui.lanes import Gone, awaited, give_way
from ui.studio import Studio

if TYPE_CHECKING:
    from PIL.Image import Image

    from core.data.batches.collate import Encoder
    from core.data.previewing.preview import Preview

DRAFT = "draft:"
MOST_ROWS = 24
"""That are shown at once."""
MOST_READ = 20_000
"""Rows of a draft from which those that are measured are taken."""
MOST_HELD = 128 * 2**20
"""Bytes of these rows, which are fewer where their table holds large pictures."""
MOST_TEXT = 200_000
"""Characters of a row that is cut into tokens for the page."""
SIDE = 640
"""Pixels of the longer side of a picture on its way to the page."""
SMALL = 256
"""Up to so many pixels a picture is sent as it is, every one of them."""
ASKED = "A look at the rows was asked for"

Answer = Callable[["Question"], dict[str, Any]]


@dataclass(frozen=True)
class Question:
    """What was asked, by whom, and whether somebody still waits."""

    studio: Studio
    request: Request
    asked: dict[str, Any]
    cancelled: threading.Event

    @property
    def owner(self) -> str:
        """Empty for nobody's."""
        return self.studio.owner(self.request.cookies)

    @property
    def settings(self) -> Settings:
        """The longest row and the changes of pictures. Raises SpecError."""
        given = {name: self.asked[name] for name in ("augment", "max_tokens") if self.asked.get(name) is not None}
        return from_dict(Settings, given)


def preview_routes(studio: Studio) -> list[Route]:
    """The routes, to be given to the server before Gradio's own."""
    looking = ThreadPoolExecutor(1, "preview", give_way)
    return [
        _route(studio, "preview", previewed, lambda _, work: looking.submit(work)),
        _route(studio, "lengths", measured, lambda owner, work: studio.desk.lanes.submit(owner, work)),
    ]


def _route(studio: Studio, path: str, answer: Answer, submit: Callable[..., Any]) -> Route:
    """A route whose answer is worked out in a thread that gives way, and not for a page that has gone on."""

    async def answered(request: Request) -> Response:
        if is_foreign(request):
            return refused(FOREIGN, 403)
        try:
            question = Question(studio, request, await json_body(request, ASKED), threading.Event())
            work = submit(question.owner, lambda: answer(question))
            return JSONResponse(await awaited(request, work, question.cancelled), headers=HEADERS)
        except Gone:
            return Response(status_code=204, headers=HEADERS)
        except Exception as error:
            return refused(error, code_of(error))

    return Route(f"/studio/{path}", answered, methods=["POST"])


def previewed(question: Question) -> dict[str, Any]:
    """Some rows as the model gets them; a row that it cannot learn from says why."""
    settings, rows = question.settings, _rows(question)
    encoder, reason = _encoder(question, "preview", settings.max_tokens)
    shown = [_previewed(encoder, row, settings) for row in rows]
    return {"rows": shown, "limit": encoder.limit, "limit_reason": reason}


def _previewed(encoder: Encoder, row: Row | None, settings: Settings) -> dict[str, Any]:
    from core.data.previewing.preview import preview

    if row is None:
        return {"error": "This row cannot be used; the check says why."}
    if sum(len(turn.text) for turn in row.turns) > MOST_TEXT:
        return {"error": f"This row has more than {MOST_TEXT:,} characters: too long for a look at its tokens."}
    try:
        return _shown(preview(encoder, row, settings.augment))
    except StudioError as error:
        return {"error": str(error)}


def _shown(found: Preview) -> dict[str, Any]:
    return {
        "text": found.text,
        "tokens": [[token.text, token.kind, token.learned, token.count] for token in found.tokens],
        "pictures": [_address(seen.image) if seen.image else None for seen in found.pictures],
        "notes": [seen.note for seen in found.pictures],
        "counts": {"image": found.image, "text": found.words, "learned": found.learned},
        "too_long": found.is_too_long,
    }


def _address(image: Image) -> str:
    """The picture as a data URL, so that none of what the model gets has to be kept."""
    image.thumbnail((SIDE, SIDE))
    file = BytesIO()
    image.convert("RGB").save(file, "WEBP", quality=90, method=2, lossless=max(image.size) <= SMALL)
    return f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}"


def measured(question: Question) -> dict[str, Any]:
    """How long the rows are, and which are too long."""
    from core.data.previewing.lengths import lengths

    settings = question.settings
    encoder, reason = _encoder(question, question.owner, settings.max_tokens)
    rows, places = _all_rows(question)
    found = lengths(encoder, rows, question.cancelled.is_set)
    return {
        "histograms": {
            "image": to_dict(found.image),
            "text": to_dict(found.words),
            "whole": to_dict(found.whole),
        },
        "longest": found.longest,
        "limit": found.limit,
        "limit_reason": reason,
        "over": found.over,
        "too_long": [
            {"row": places[each.row], "called": each.called, "tokens": each.tokens} for each in found.too_long
        ],
        "unusable": found.unusable,
        "reasons": [{"reason": reason, "rows": rows} for reason, rows in found.reasons],
        "measured": found.measured,
        "of": found.of,
        "notes": list(found.notes),
    }


def _encoder(question: Question, whose: str, max_tokens: int | None) -> tuple[Encoder, str]:
    """For the model in hand, and why its longest row is what it is. Raises SourceError, DataError."""
    import_what_is_slow()
    from core.data.batches.limits import token_limit
    from core.data.previewing.preview import light_encoder

    source = question.studio.inspection(text_of(question.asked, "model_key", 200)).source
    token = not question.studio.shared
    encoder = light_encoder(source, _processor(source, token, whose), max_tokens, token)
    return encoder, token_limit(read_config(resolve(source, token=token)), max_tokens)[1]


@lru_cache(maxsize=3)
def _processor(source: Source, token: bool, _whose: str) -> Any:
    """Kept, since one takes seconds to load; a tokenizer is not for two threads at once, so each has its own."""
    from core.models.loading import load_processor

    return load_processor(source, token)


def _rows(question: Question) -> list[Row | None]:
    """The rows that were asked for by their numbers. Raises SpecError: there are none of these numbers."""
    numbers = question.asked.get("rows")
    if not isinstance(numbers, list) or not 0 < len(numbers) <= MOST_ROWS:
        raise SpecError(ASKED, f"it names no rows, or more than {MOST_ROWS}", "Ask for some at a time")
    there, known = _rows_in_sight(question)
    for number in numbers:
        if not isinstance(number, int) or isinstance(number, bool) or number not in known:
            raise SpecError(ASKED, "there is no such row", "Reload the page")
    return [there[number] for number in numbers]


def _rows_in_sight(question: Question) -> tuple[Any, Collection[int]]:
    """Rows by their numbers, and these: those of a draft that are shown, None where one cannot be used; all rows of a
    data set to learn from."""
    bench = _bench(question)
    if bench is None:
        rows = dataset_of(question.studio, question.asked.get("data"), question.owner).train
        return rows, range(len(rows))
    side, preview = bench.draft.reading.max_side, bench.preview
    stored = (item.row and to_be_stored(item.row, side) for item in preview.items)
    shown = dict(zip(preview.numbers, stored, strict=True))
    return shown, shown.keys()


def _all_rows(question: Question) -> tuple[Any, Any]:
    """The rows that can be used and are not left out, and the number of each where it was found."""
    bench = _bench(question)
    if bench is None:
        rows = dataset_of(question.studio, question.asked.get("data"), question.owner).train
        return rows, range(len(rows))
    from core.data.formats.records import records

    reading = bench.draft.reading
    chosen, kinds = frozenset(reading.drop_rows), frozenset(reading.drop)
    usable: dict[int, Row] = {}
    held = 0
    for number, item in enumerate(records(bench.tree, reading, limit=MOST_READ)):
        if question.cancelled.is_set() or held > MOST_HELD:
            break
        if item.row is not None and number not in chosen and kinds.isdisjoint(kind for kind, _ in item.trouble):
            usable[number] = to_be_stored(item.row, reading.max_side)
            held += bytes_held(item.row)
    return list(usable.values()), list(usable)


def _bench(question: Question) -> Any:
    """The draft that was asked about; None where it is a data set. Raises SourceNotFound."""
    key = text_of(question.asked, "data", 200)
    if not key.startswith(DRAFT):
        return None
    drafts = drafts_of(question.studio, question.request)
    return question.studio.desk.open(question.owner, drafts, key.removeprefix(DRAFT))
