"""What can be asked about a scene, by question type, and the right answers. Words only: no pictures, no tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.demo.scenes import PLACES, Scene, Thing
from core.demo.shapes import SHAPES


@dataclass(frozen=True)
class Question:
    """A question about one scene and its one right answer."""

    type: str
    text: str
    answer: str


Maker = Callable[[Scene, np.random.Generator], Question | None]


def sample_questions(scene: Scene, rng: np.random.Generator, count: int, weights: dict[str, float]) -> list[Question]:
    """Up to `count` different questions that have one answer in this scene, types drawn by weight."""
    found: dict[str, Question] = {}
    types = [t for t in TYPES if weights.get(t, 0) > 0]
    odds = np.array([weights[t] for t in types])
    for pick in rng.choice(len(types), size=3 * count, p=odds / odds.sum()):
        question = TYPES[types[pick]](scene, rng)
        if question is not None:
            found.setdefault(question.text, question)
        if len(found) == count:
            break
    return list(found.values())


def ask(type_: str, scene: Scene, rng: np.random.Generator) -> Question | None:
    """A question of one type, or None where the scene has no single answer to it."""
    return TYPES[type_](scene, rng)


def name(thing: Thing) -> str:
    """A thing in words.

    >>> name(Thing("star", "red", 4)), name(Thing("star", "red", None)), name(Thing("7", "red", None))
    ('red star', 'big red star', 'red digit 7')
    """
    if thing.is_digit:
        return f"{thing.colour} digit {thing.kind}"
    return f"{'big ' if thing.place is None else ''}{thing.colour} {thing.kind}"


def with_article(words: str) -> str:
    """`a` or `an` before the words."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def caption(scene: Scene) -> str:
    """The whole scene in one sentence."""
    parts = [
        with_article(name(t)) + (f" at the {PLACES[t.place]}" if t.place is not None else "") for t in scene.things
    ]
    sentence = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"{sentence[0].upper()}{sentence[1:]}."


def _one_of(rng: np.random.Generator, *texts: str) -> str:
    return texts[int(rng.integers(len(texts)))]


def _pick(scene: Scene, rng: np.random.Generator) -> Thing:
    return scene.things[int(rng.integers(len(scene.things)))]


def _is_grid(scene: Scene) -> bool:
    return scene.things[0].place is not None


def _has_unique_kind(scene: Scene, thing: Thing) -> bool:
    return sum(t.kind == thing.kind for t in scene.things) == 1


def _shape(scene: Scene, rng: np.random.Generator) -> Question | None:
    if len(scene.things) > 1 or scene.things[0].is_digit:
        return None
    return Question("shape", _one_of(rng, "What shape is this?", "Which shape is it?"), scene.things[0].kind)


def _colour(scene: Scene, rng: np.random.Generator) -> Question | None:
    if len(scene.things) > 1:
        return None
    return Question("colour", _one_of(rng, "What colour is this?", "What color is it?"), scene.things[0].colour)


def _digit(scene: Scene, rng: np.random.Generator) -> Question | None:
    if not scene.things[0].is_digit:
        return None
    return Question("digit", _one_of(rng, "What digit is this?", "Which number is it?"), scene.things[0].kind)


def _colour_of(scene: Scene, rng: np.random.Generator) -> Question | None:
    thing = _pick(scene, rng)
    if not _is_grid(scene) or not _has_unique_kind(scene, thing):
        return None
    text = _one_of(rng, f"What colour is the {thing.kind}?", f"What color is the {thing.kind}?")
    return Question("colour of a named shape", text, thing.colour)


def _which(scene: Scene, rng: np.random.Generator) -> Question | None:
    thing = _pick(scene, rng)
    if not _is_grid(scene) or sum(t.colour == thing.colour for t in scene.things) > 1:
        return None
    return Question("shape of a named colour", f"Which shape is {thing.colour}?", thing.kind)


def _where(scene: Scene, rng: np.random.Generator) -> Question | None:
    thing = _pick(scene, rng)
    if thing.place is None or not _has_unique_kind(scene, thing):
        return None
    text = _one_of(rng, f"Where is the {thing.kind}?", f"Where is the {thing.colour} {thing.kind}?")
    return Question("where", text, PLACES[thing.place])


def _what_at(scene: Scene, rng: np.random.Generator) -> Question | None:
    if not _is_grid(scene):
        return None
    # Half of the questions point at a thing: a random cell is mostly empty.
    place = _pick(scene, rng).place if rng.random() < 0.7 else int(rng.integers(9))
    here = [t for t in scene.things if t.place == place]
    answer = with_article(name(here[0])) if here else "nothing"
    return Question("what is at a place", f"What is at the {PLACES[place or 0]}?", answer)


def _count(scene: Scene, rng: np.random.Generator) -> Question | None:
    if not _is_grid(scene):
        return None
    text = _one_of(rng, "How many shapes are there?", "How many shapes do you see?")
    return Question("count", text, str(len(scene.things)))


def _exists(scene: Scene, rng: np.random.Generator) -> Question | None:
    if not _is_grid(scene):
        return None
    kinds = {t.kind for t in scene.things}
    absent = [s for s in SHAPES if s not in kinds]
    asked = _pick(scene, rng).kind if rng.random() < 0.5 else absent[int(rng.integers(len(absent)))]
    return Question("is there", f"Is there a {asked}?", "yes" if asked in kinds else "no")


def _list(scene: Scene, rng: np.random.Generator) -> Question | None:
    if not _is_grid(scene):
        return None
    return Question("list", "List the shapes.", ", ".join(name(t) for t in scene.things))


def _caption(scene: Scene, rng: np.random.Generator) -> Question | None:
    return Question("caption", _one_of(rng, "Describe the picture.", "What do you see?"), caption(scene))


TYPES: dict[str, Maker] = {
    "shape": _shape,
    "colour": _colour,
    "digit": _digit,
    "colour of a named shape": _colour_of,
    "shape of a named colour": _which,
    "where": _where,
    "what is at a place": _what_at,
    "count": _count,
    "is there": _exists,
    "list": _list,
    "caption": _caption,
}

WEIGHTS: dict[str, float] = {
    "shape": 2.0,
    "colour": 1.0,
    "digit": 3.0,
    "colour of a named shape": 2.5,
    "shape of a named colour": 2.0,
    "where": 2.5,
    "what is at a place": 2.5,
    "count": 1.0,
    "is there": 2.0,
    "list": 1.0,
    "caption": 1.5,
}
