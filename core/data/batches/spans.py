"""Where the answers of earlier turns stand among the tokens of a prompt, so that they are learned too.

The prompt is one text, as the model will read it; its tokens are those that the processor made of it, pictures
included. The answers are found in the text by rendering it with marks in their places, and from there in the tokens.
What it does not do: look at the last answer, which follows the prompt (see `conversations.completion_ids`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.data.batches.conversations import called, fitted, in_words, render
from core.data.rows import Row, Turn
from core.errors import DataError

Span = tuple[int, int]
"""First position and the one behind the last."""
CONTEXT = 4
"""Tokens before an answer that are looked for together with it."""


def earlier_answers(processor: Any, row: Row, ids: Sequence[int], stop_ids: frozenset[int]) -> list[Span]:
    """Positions in `ids` of every answer but the last, each with the token that ends its turn where there is one.

    Where the template ends no turn (LLaVA 1.5's), only the last answer teaches the model to stop. A template that
    leaves something out of earlier turns (a "thinking" block) has the model learn them as it will read them.

    Args:
        processor: the model's.
        row: its turns.
        ids: the tokens of its prompt, without padding.
        stop_ids: the tokens at which generation stops.

    Raises:
        DataError: the template changes earlier answers, or the processor their tokens, so that none can be found.
    """
    turns = fitted(processor, row.prompt)
    if not any(turn.speaker == "assistant" for turn in turns):
        return []
    with in_words(processor, row):
        text = render(processor, turns, ask=True)
        places = _places(processor, turns, text)
    tokens, wanted = _tokens(processor, text, places, stop_ids)
    found: list[Span] = []
    until = len(ids)
    for start, end in reversed(wanted):
        until = _find(tokens, start, end, ids, until)
        if until < 0:
            raise DataError(
                f"{called(row)} was read",
                "this model's processor does not keep a conversation of several answers as its template writes it",
                "Make a row of each question, or take another model",
            )
        found.append((until, until + end - start))
    return found[::-1]


def _places(processor: Any, turns: Sequence[Turn], text: str) -> list[Span]:
    """Where the answers stand in the text, in characters, each from where it would have been asked for.

    Raises:
        ValueError: the template changes an answer beyond its outer spaces.
    """
    answers = [turn.text for turn in turns if turn.speaker == "assistant"]
    marks = [f"ANSWER{number}OF{len(answers)}HERE" for number in range(len(answers))]
    named = iter(marks)
    marked = [replace(turn, parts=(next(named),)) if turn.speaker == "assistant" else turn for turn in turns]
    rest = render(processor, marked, ask=True)
    opening = _opening(processor, turns)
    places, at = [], 0
    for mark, answer in zip(marks, answers, strict=True):
        before, found, rest = rest.partition(mark)
        if not found or not text.startswith(before, at):
            raise ValueError("its chat template changes earlier answers")
        at += len(before)
        if not text.startswith(answer, at):
            raise ValueError("its chat template changes earlier answers")
        asked = text.rfind(opening, 0, at) + len(opening) if opening and opening in text[:at] else at
        places.append((asked if text[asked:at].strip() == "" else at, at + len(answer)))
        at += len(answer)
    return places


def _opening(processor: Any, turns: Sequence[Turn]) -> str:
    """What the template writes to ask for an answer; nothing where it cannot be told."""
    first = next(index for index, turn in enumerate(turns) if turn.speaker == "assistant")
    plain, asked = (render(processor, turns[:first], ask=ask) for ask in (False, True))
    return asked[len(plain) :] if asked.startswith(plain) else ""


def _tokens(
    processor: Any, text: str, places: Sequence[Span], stop_ids: frozenset[int]
) -> tuple[list[int], list[Span]]:
    """The text's tokens, with one for each picture, and which of them are answers with the ends of their turns.

    Raises:
        DataError: the tokenizer does not say where its tokens stand.
    """
    tokenizer = processor.tokenizer
    if not tokenizer.is_fast:
        raise DataError(
            "A conversation of several answers was read",
            "this model's tokenizer does not say where its tokens stand",
            "Make a row of each question, or take another model",
        )
    made = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = made["input_ids"], made["offset_mapping"]
    spans = []
    for start, end in places:
        inside = [index for index, (left, right) in enumerate(offsets) if left < end and right > start]
        last = inside[-1] + 1
        # The end of the turn follows at once, or after spaces.
        ending = last
        while ending < len(ids) and ids[ending] not in stop_ids and text[slice(*offsets[ending])].strip() == "":
            ending += 1
        spans.append((inside[0], ending + 1 if ending < len(ids) and ids[ending] in stop_ids else last))
    return ids, spans


def _find(tokens: Sequence[int], start: int, end: int, ids: Sequence[int], until: int) -> int:
    """Where the tokens [start, end) stand in `ids` before a position, from the right; -1 where they do not.

    Between the tokens of the text and `ids` lie only the pictures, which are one token here and many there. What
    comes before the answer is looked for together with it, so that the same words in a question are not taken for it.
    """
    for context in range(min(CONTEXT, start), -1, -1):
        needle = list(tokens[start - context : end])
        for at in range(until - len(needle), -1, -1):
            if ids[at] == needle[0] and list(ids[at : at + len(needle)]) == needle:
                return at + context
    return -1
