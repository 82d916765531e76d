"""Conversations as people write them, with `<image>` tags or typed parts, as turns with their pictures in place.

Known are `{"role", "content"}` (TRL, OpenAI), `{"from", "value"}` (ShareGPT, LLaVA) and `{"user", "assistant"}`.
What it does not do: look for a picture's file; it is handed the function that does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from core.data import trouble
from core.data.formats.values import ANSWER_KEYS, QUESTION_KEYS, SAID_KEYS, SPEAKER_KEYS, one_of, text_of
from core.data.rows import Picture, Speaker, Turn

SPEAKERS: dict[str, Speaker] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "question", "input"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "model", "chatgpt", "bard", "answer", "output"), "assistant"),
}
"""Who speaks, by what data sets call them."""
TAG = re.compile(r"<\|?image(?:[ _-]?(\d+))?\|?>|<ImageHere>")
"""Stands in a text where a picture is meant; with a number, the picture of this place in the row."""

Find = Callable[[Any], Picture]
"""The picture that a value names or holds. Raises Unusable."""


class Unusable(Exception):
    """A row cannot be used: the kind of its trouble, and what is special about it."""

    def __init__(self, kind: str, detail: str) -> None:
        self.kind, self.detail = kind, detail
        super().__init__(kind, detail)


@dataclass(frozen=True)
class Slot:
    """Where a picture is meant: the next one of the row, or the one of this number (from 1)."""

    number: int | None = None


Part = str | Slot | Picture
Said = tuple[Speaker, tuple[Part, ...]]
"""What one side says, before the row's pictures are in place."""


def said_in(messages: Sequence[Any], find: Find) -> list[Said]:
    """The turns of a conversation in any of the known forms. Raises Unusable: a turn has none of them."""
    said: list[Said] = []
    for number, message in enumerate(messages, 1):
        if not isinstance(message, dict):
            raise Unusable(trouble.BAD_TURNS, f"turn {number} is no object with who speaks and what is said")
        speaker = one_of(message, SPEAKER_KEYS)
        if speaker is not None:
            said.append((_speaker(message[speaker], number), _parts(message, find)))
            continue
        asked, answered = one_of(message, QUESTION_KEYS), one_of(message, ANSWER_KEYS)
        if asked is None or answered is None:
            raise Unusable(trouble.BAD_TURNS, f"turn {number} does not say who speaks")
        said += [("user", parts_of(text_of(message[asked]))), ("assistant", parts_of(text_of(message[answered])))]
    return said


def _speaker(name: Any, number: int) -> Speaker:
    speaker = SPEAKERS.get(text_of(name).lower())
    if speaker is None:
        raise Unusable(
            trouble.BAD_TURNS, f"turn {number} is by “{text_of(name)[:40]}”, which is no side of a conversation"
        )
    return speaker


def _parts(message: dict[str, Any], find: Find) -> tuple[Part, ...]:
    """What a message says: its text, or its list of typed parts."""
    key = one_of(message, SAID_KEYS)
    content = message[key] if key else ""
    if not isinstance(content, (list, tuple)):
        return parts_of(text_of(content))
    parts: list[Part] = []
    for part in content:
        parts += _typed(part, find)
    return tuple(parts)


def _typed(part: Any, find: Find) -> tuple[Part, ...]:
    """One part of a message: text, or a picture with or without its name."""
    if not isinstance(part, dict):
        return parts_of(text_of(part))
    kind = part.get("type") or ("text" if part.get("text") else "image")
    if kind in ("text", "input_text", "output_text"):
        return parts_of(text_of(part.get("text")))
    if kind not in ("image", "image_url", "input_image"):
        raise Unusable(trouble.BAD_TURNS, f"a part is of the kind “{text_of(kind)[:40]}”; known are text and image")
    named = next((part[key] for key in ("image", "image_url", "url", "path", "bytes") if part.get(key)), None)
    if isinstance(named, dict) and named.get("url"):
        named = named["url"]
    index = part.get("index")
    if named is None:
        return (Slot(index + 1 if isinstance(index, int) else None),)
    return (find(named),)


def parts_of(text: str) -> tuple[Part, ...]:
    """A text with its tags as slots.

    >>> parts_of("<image> What is it?")
    (Slot(number=None), 'What is it?')
    """
    parts: list[Part] = []
    end = 0
    for tag in TAG.finditer(text):
        parts += [text[end : tag.start()].strip(), Slot(int(tag[1]) if tag[1] else None)]
        end = tag.end()
    parts.append(text[end:].strip())
    return tuple(part for part in parts if part != "")


def turns_of(said: Iterable[Said], pictures: Sequence[Picture], system: str = "") -> tuple[Turn, ...]:
    """The turns of a row with its pictures in place; those that no tag speaks of come before the first question.

    Args:
        said: who says what, in order.
        pictures: of the row, beside those that stand in the turns themselves.
        system: the system prompt, unless the row has one.

    Raises:
        Unusable: tags and pictures do not match, the sides do not take turns, or one says nothing.
    """
    turns = [(speaker, parts) for speaker, parts in said if parts or speaker != "system"]
    if system and not any(speaker == "system" for speaker, _ in turns):
        turns.insert(0, ("system", (system,)))
    _check_order(turns)
    slots = [part for _, parts in turns for part in parts if isinstance(part, Slot)]
    own = any(not isinstance(part, (str, Slot)) for _, parts in turns for part in parts)
    if not slots and not own and pictures:
        placed = _pictures_first(turns, pictures)
    else:
        if own and not slots:
            _check_own(turns, pictures)
        _check_count(slots, pictures)
        left = iter(pictures)
        placed = tuple(Turn(side, tuple(_filled(part, left, pictures) for part in parts)) for side, parts in turns)
    if not all(turn.parts for turn in placed):
        raise Unusable(trouble.EMPTY_QUESTION, "")
    return placed


def _pictures_first(turns: Sequence[Said], pictures: Sequence[Picture]) -> tuple[Turn, ...]:
    first = next(number for number, (speaker, _) in enumerate(turns) if speaker == "user")
    return tuple(
        Turn(speaker, tuple((*pictures, *parts) if number == first else parts))  # type: ignore[arg-type]
        for number, (speaker, parts) in enumerate(turns)
    )


def _filled(part: Part, left: Iterable[Picture], pictures: Sequence[Picture]) -> str | Picture:
    """A part with its picture instead of the slot."""
    if not isinstance(part, Slot):
        return part
    return pictures[part.number - 1] if part.number else next(iter(left))


def _check_count(slots: Sequence[Slot], pictures: Sequence[Picture]) -> None:
    """Raises Unusable: another number of tags than pictures."""
    numbers = {slot.number for slot in slots if slot.number}
    wanted = max(numbers) if numbers else 0
    plain = sum(1 for slot in slots if not slot.number)
    if plain and numbers:
        raise Unusable(trouble.IMAGE_COUNT, "some tags for pictures are numbered and some are not")
    if max(plain, wanted) != len(pictures) and (slots or not pictures):
        tags, there = max(plain, wanted), len(pictures)
        raise Unusable(trouble.IMAGE_COUNT, f"{tags} {'tag' if tags == 1 else 'tags'} for pictures, {there} in the row")
    unseen = next((number for number in range(1, wanted) if number not in numbers), None)
    if unseen is not None:
        raise Unusable(trouble.IMAGE_COUNT, f"no tag stands for picture {unseen}")


def _check_own(turns: Sequence[Said], pictures: Sequence[Picture]) -> None:
    """Raises Unusable: the turns name their own pictures, and the row has one that is none of them."""
    named = {part.name for _, parts in turns for part in parts if not isinstance(part, (str, Slot))}
    other = next((picture.name for picture in pictures if picture.name not in named), None)
    if other is not None:
        raise Unusable(trouble.IMAGE_COUNT, f"no turn names “{other[:60]}”, which is in the row")


def _check_order(turns: Sequence[Said]) -> None:
    """Raises Unusable: the sides do not take turns from the user to the assistant."""
    sides = [speaker for speaker, _ in turns]
    if sides[:1] == ["system"]:
        sides = sides[1:]
    if not sides:
        raise Unusable(trouble.BAD_TURNS, "there is no turn")
    if "system" in sides:
        raise Unusable(trouble.BAD_TURNS, "a system prompt stands behind other turns")
    if sides[-1] != "assistant":
        raise Unusable(trouble.BAD_TURNS, "the last turn is the user's, so there is no answer to learn")
    if sides[0] != "user":
        raise Unusable(trouble.BAD_TURNS, "the first turn is the assistant's")
    if any(one == two for one, two in pairwise(sides)):
        raise Unusable(trouble.BAD_TURNS, "one side speaks twice in a row")
    if not all(parts for speaker, parts in turns if speaker == "assistant"):
        raise Unusable(trouble.EMPTY_ANSWER, "an answer is empty")
    if any(not isinstance(part, str) for speaker, parts in turns if speaker != "user" for part in parts):
        raise Unusable(trouble.BAD_TURNS, "a picture stands in an answer or in the system prompt")
