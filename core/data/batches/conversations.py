"""A row as a conversation: what the model reads (pictures, questions) and what it is to write (answers, ends of turns).

The prompt is made the way anyone asks the model, through its chat template, so what is trained is what is asked later.
What it does not do: make batches, cut anything to a length, or invent a template for a model that has none.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.data.rows import Picture, Row, Turn
from core.errors import DataError, StudioError
from core.models.manner import manner_of

BROKEN = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, RuntimeError)
"""What processors raise at a conversation that they were not made for."""


def messages(turns: Sequence[Turn], with_pictures: bool) -> list[dict[str, Any]]:
    """The turns as a chat template takes them; `with_pictures` puts the decoded pictures in, else only their places."""

    def part(part: str | Picture) -> dict[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": part}
        return {"type": "image", "image": part.open()} if with_pictures else {"type": "image"}

    return [{"role": turn.speaker, "content": [part(each) for each in turn.parts]} for turn in turns]


def fitted(processor: Any, turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns as the model's template can hold them.

    Where it has no system turn (it refuses one, or leaves its text out, with or without pictures), the system prompt
    stands in front of the first question. What the assistant says is one text.
    """
    turns = tuple(replace(turn, parts=(turn.text,)) if turn.speaker == "assistant" else turn for turn in turns)
    if not turns or turns[0].speaker != "system" or _holds_system(processor, turns):
        return turns
    system, *rest = turns
    first = next((index for index, turn in enumerate(rest) if turn.speaker == "user"), None)
    if first is None:
        return tuple(rest)
    rest[first] = _opened(rest[first], system.text)
    return tuple(rest)


def folds_system(processor: Any, row: Row) -> bool:
    """Whether the row has a system prompt that has to stand in front of the first question."""
    has_one = bool(row.turns) and row.turns[0].speaker == "system"
    return has_one and not _holds_system(processor, row.turns)


def render(processor: Any, turns: Sequence[Turn], ask: bool) -> str:
    """The text of fitted turns as the template writes it; `ask` opens the answer that is to come.

    Raises:
        Exception: the template refuses the turns; see `in_words`.
    """
    text: str = processor.apply_chat_template(
        messages(turns, with_pictures=False), add_generation_prompt=ask, tokenize=False
    )
    return text


def encode_prompts(processor: Any, rows: Sequence[Row]) -> dict[str, Any]:
    """Tokens [B, T] padded on the left, and the pictures as the model takes them, ready for `generate`.

    Raises:
        DataError: a picture cannot be opened, or the model does not take such a conversation.
    """
    check_processor(processor)
    with in_words(processor, rows[0]):
        batch = processor.apply_chat_template(
            [messages(fitted(processor, row.prompt), with_pictures=True) for row in rows],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left"},
        )
    return {key: value for key, value in batch.items() if key != "labels"}  # PaliGemma's brings some; ours are others


def completion_ids(processor: Any, row: Row, stop_ids: frozenset[int]) -> list[int]:
    """The last answer's tokens and the token that ends the turn, which is always there and always last.

    A template that does not end the assistant's turn with a token at which `generate` stops gets the tokenizer's
    end token; without it a tuned model would answer and go on talking.

    Raises:
        DataError: the template refuses the conversation.
    """
    tokenizer = processor.tokenizer
    with in_words(processor, row):
        text = _completion_text(processor, row)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    end = next((index for index, token in enumerate(ids) if token in stop_ids), None)
    return ids[: end + 1] if end is not None else [*ids, tokenizer.eos_token_id]


def stop_ids(model: Any, processor: Any) -> frozenset[int]:
    """Every token at which `generate` stops: the model's own and the tokenizer's end token."""
    return _stops(model.generation_config, processor)


def stop_ids_in(folder: Path, config: Any, processor: Any) -> frozenset[int]:
    """The same before the weights are there, from the files beside a model's config."""
    from transformers import GenerationConfig

    try:
        generation = GenerationConfig.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError):  # it has none; then its config says so
        generation = GenerationConfig.from_model_config(config)
    return _stops(generation, processor)


def _stops(generation: Any, processor: Any) -> frozenset[int]:
    own = generation.eos_token_id if generation is not None else None
    ids = set(own) if isinstance(own, (list, tuple)) else {own}
    ids.add(processor.tokenizer.eos_token_id)
    return frozenset(token for token in ids if token is not None)


def answers_once(processor: Any) -> bool:
    """Whether the model is made for one question and one answer, and for nothing without a picture.

    A processor that takes a `suffix` (PaliGemma's) is: its prompt sees itself both ways, only the answer does not. So
    are those that hold no conversation.
    """
    return manner_of(processor).single or "suffix" in inspect.signature(type(processor).__call__).parameters


def called(row: Row) -> str:
    """The row in a sentence: by its file and line, else by its picture, else by what it asks."""
    if row.origin:
        return f"The row at {row.origin}"
    return f"The row of “{row.picture_name}”" if row.picture_name else f"The row that asks “{row.question[:60]}”"


def check_processor(processor: Any) -> None:
    """Raises DataError when the model cannot hold a conversation with a picture."""
    asked = "The model was asked to hold a conversation"
    if getattr(processor, "image_processor", None) is None:
        raise DataError(asked, "it comes without settings for pictures", "Take a model with a processor")
    if not getattr(processor, "chat_template", None):
        raise DataError(asked, "it comes without a chat template", "Take its chat or instruct version")
    if processor.tokenizer.eos_token_id is None:
        raise DataError(asked, "its tokenizer has no token that ends an answer", "Take its chat or instruct version")


def check_row(processor: Any, row: Row, stop_ids: frozenset[int] = frozenset()) -> None:
    """Raises DataError where it shows without opening a picture that the model cannot learn from this row."""
    asked = f"{called(row)} was read"
    if len(row.turns) < 2 or row.turns[-1].speaker != "assistant":
        raise DataError(asked, "it does not end with an answer", "Add the answer or take the row out")
    if any(turn.pictures for turn in row.turns if turn.speaker != "user"):
        raise DataError(asked, "a picture stands outside of a question", "Move it into the question before")
    sign = getattr(processor, "image_token", None)
    if isinstance(sign, str) and any(sign in turn.text for turn in row.turns):
        raise DataError(asked, f"its text holds “{sign}”, which stands for a picture in this model", "Take it out")
    for sign in processor.tokenizer.convert_ids_to_tokens(sorted(stop_ids)):
        if sign and any(sign in turn.text for turn in row.turns):  # the answer would end there, or the question
            raise DataError(asked, f"its text holds “{sign}”, which ends a turn in this model", "Take it out")
    if answers_once(processor):
        _check_single(row, asked)
    if manner_of(processor).single and len(row.pictures) > 1:
        raise DataError(asked, "it has several pictures, and this model reads one at a time", "Take a chat model")


@contextmanager
def in_words(processor: Any, row: Row) -> Iterator[None]:
    """What a template or a processor raises at a conversation that it was not made for, as a sentence.

    Raises:
        DataError: inside, something refused the row.
    """
    from jinja2 import TemplateError

    try:
        yield
    except StudioError:
        raise
    except (*BROKEN, TemplateError) as error:
        why = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{called(row)} was read",
            f"this model's {type(processor).__name__} does not take such a conversation ({why.rstrip('.')})",
            "Take the row out or another model",
        ) from error


def _check_single(row: Row, asked: str) -> None:
    """Raises DataError for what a model of one question about pictures cannot hold."""
    if sum(turn.speaker == "assistant" for turn in row.turns) > 1:
        remedy = "Make a row of each question, or take a chat model"
        raise DataError(asked, "it has several answers, and this model is made for one question and one answer", remedy)
    if not row.pictures:
        remedy = "Take the rows without a picture out, or a chat model"
        raise DataError(asked, "it has no picture, and this model reads nothing without one", remedy)


def _holds_system(processor: Any, turns: Sequence[Turn]) -> bool:
    """Whether the template writes the system turn that these turns begin with."""
    from jinja2 import TemplateError

    try:
        return turns[0].text in render(processor, turns[:2], ask=True)
    except (*BROKEN, TemplateError):
        return False


def _opened(turn: Turn, system: str) -> Turn:
    """The question with the system prompt in front of its first text; pictures that come before stay before."""
    parts = list(turn.parts)
    first = next((index for index, part in enumerate(parts) if isinstance(part, str)), None)
    if first is None:
        return replace(turn, parts=(*parts, system))
    parts[first] = f"{system}\n\n{parts[first]}"
    return replace(turn, parts=tuple(parts))


def _completion_text(processor: Any, row: Row) -> str:
    """What stands after the prompt when the template writes the whole conversation."""
    turns = fitted(processor, row.turns)
    prompt, whole = render(processor, turns[:-1], ask=True), render(processor, turns, ask=False)
    if whole.startswith(prompt):
        return whole[len(prompt) :]
    # The template opens an answer in another way than it asks for one (a "thinking" block, say). The model will be
    # asked with the prompt, so the answer follows that directly, ended the way the template ends it.
    head, found, tail = whole.rpartition(row.answer)
    return row.answer + tail if found and head else row.answer
