"""What a row asks and answers: its own words, or those of a template around them.

A template holds `{column}` where a column's text goes; `{label}`, `{answer}` and the like stand for the column of that
part. What it does not do: put pictures in their places (see `turns`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from core.data import trouble
from core.data.formats.turns import Find, Said, Unusable, parts_of, said_in
from core.data.formats.values import (
    ANSWER_KEYS,
    QUESTION_KEYS,
    SAID_IN,
    answer_of,
    choices_of,
    kind_of,
    one_of,
    text_of,
    texts_of,
    unfolded,
)
from core.data.formats.verdicts import verdict_of
from core.spec.data import Format, Part, Reading

Conversation = Sequence[Said]
ABOUT_A_PICTURE: frozenset[Format] = frozenset(("captions", "coco", "classes", "ocr", "pairs"))
"""Formats whose question makes no sense without a picture."""
DEFAULT_TEMPLATES: dict[Format, str] = {
    "captions": "Describe the picture.",
    "coco": "Describe the picture.",
    "pairs": "Describe the picture.",
    "classes": "What is in the picture?",
    "ocr": "Read the text in the picture.",
}
BELONGS = "Does this text belong to the picture?"
"""Asked of a pair with a verdict; its text stands below."""
OF_BOTH = "Of which class is this picture with its text?"
"""Asked of a class that hangs on a picture and a text together; the text stands below."""
AS_JSON = "Read the picture and write what it says as JSON."
"""Asked where the text of a picture is an object, as of receipts and forms."""
ANSWERS: dict[Format, Part] = {
    "captions": "text",
    "coco": "text",
    "pairs": "text",
    "ocr": "text",
    "classes": "label",
    "vqa": "answer",
    "prompt_completion": "completion",
    "messages": "messages",
    "sharegpt": "messages",
}
"""The part that holds what is learned."""
_FIELD = re.compile(r"\{([^{}\n]{1,100})\}")


def conversations(reading: Reading, values: dict[str, Any], find: Find) -> list[Conversation]:
    """What a record says, once for each caption or question that it holds.

    Raises:
        Unusable: a question or an answer is missing, or turns have no known form.
    """
    if reading.format in ("messages", "sharegpt"):
        return [_turns(_value(reading, values, "messages"), find)]
    if reading.format == "prompt_completion":
        return [_prompt_completion(reading, values, find)]
    if reading.format == "vqa":
        return _questions(reading, values)
    if reading.format == "pairs" and "verdict" in reading.columns:
        return [_judged(reading, values)]
    question = filled(reading.template, values, reading)
    if reading.template.strip() and not question:
        raise Unusable(trouble.EMPTY_QUESTION, "all that is asked comes from columns that are empty here")
    answers = _answers(reading, values)
    if not answers:
        raise Unusable(trouble.EMPTY_ANSWER, "")
    return [_asked(question, _worded(reading, values, answer)) for answer in answers]


def asks_nothing(reading: Reading) -> bool:
    """Whether a form whose rows hold no question of their own is read without one."""
    own = reading.format not in ABOUT_A_PICTURE or "verdict" in reading.columns
    return not own and not reading.template.strip()


def is_structure(reading: Reading, values: dict[str, Any]) -> bool:
    """Whether a row's answer is a list or an object that no form takes apart, so that it is learned as JSON.

    A string that holds JSON is a text as it stands; an object to read off a picture is meant to be one.
    """
    part = ANSWERS[reading.format]
    value = values.get(reading.columns.get(part, ""))
    if part == "messages" or reading.format == "ocr" or not value or not isinstance(value, (dict, list, tuple)):
        return False
    if reading.format == "vqa" and reading.columns.get("question") == reading.columns["answer"]:
        return False
    kind = kind_of(value)
    if reading.format == "prompt_completion":
        return kind != "turns"
    if reading.format == "vqa":
        value = unfolded(value)
        return one_of(value, SAID_IN) is None if isinstance(value, dict) else kind not in ("answers", "texts")
    return kind != "texts"


def _judged(reading: Reading, values: dict[str, Any]) -> Conversation:
    """Whether a text belongs to its picture: asked with the text, which stands below a question without fields."""
    texts, said = texts_of(_value(reading, values, "text")), _value(reading, values, "verdict")
    if not texts:
        raise Unusable(trouble.EMPTY_QUESTION, "")
    if kind_of(said) == "empty":
        raise Unusable(trouble.EMPTY_ANSWER, "")
    verdict = verdict_of(said)
    if not verdict:
        raise Unusable(trouble.BAD_VALUE, f"“{text_of(said)[:40]}” says neither yes nor no")
    question = filled(reading.template, values, reading)
    if not _FIELD.search(reading.template):
        question = "\n".join(part for part in (question, *texts) if part)
    return _asked(question, _worded(reading, values, verdict))


def filled(template: str, values: dict[str, Any], reading: Reading, **own: str) -> str:
    """A template with texts in it; a field that names no column and no part stays as it is.

    >>> filled("Is it {a}? {b}", {"a": 1}, Reading("captions"))
    'Is it 1? {b}'
    """

    def text(found: re.Match[str]) -> str:
        name = found[1]
        if name in own:
            return own[name]
        column = name if name in values else dict[str, str](reading.columns).get(name)  # type: ignore[arg-type]
        return text_of(values[column]) if column in values else found[0]

    return _FIELD.sub(text, template).strip()


def _asked(question: str, answer: str) -> Conversation:
    return (("user", parts_of(question)), ("assistant", (answer,) if answer else ()))


def _worded(reading: Reading, values: dict[str, Any], answer: str) -> str:
    """The answer in the words of its template."""
    if not reading.answer_template:
        return answer
    return filled(reading.answer_template, values, reading, answer=answer, text=answer, label=answer)


def _value(reading: Reading, values: dict[str, Any], part: Part) -> Any:
    """What the column of a part holds, JSON in a string taken out. Raises Unusable: no column is given for it."""
    column = reading.columns.get(part)
    if column is None:
        raise Unusable(trouble.BAD_VALUE, f"no column is chosen for “{part}”")
    if column not in values:
        raise Unusable(trouble.BAD_VALUE, f"there is no “{column}”")
    return unfolded(values[column])


def _turns(value: Any, find: Find) -> Conversation:
    if kind_of(value) == "empty":
        raise Unusable(trouble.BAD_TURNS, "there is no turn")
    if isinstance(value, dict):
        value = next((inside for inside in value.values() if kind_of(inside) in ("turns", "pairs")), [value])
    if not isinstance(value, (list, tuple)):
        raise Unusable(trouble.BAD_TURNS, "it is no list of turns")
    return said_in(value, find)


def _prompt_completion(reading: Reading, values: dict[str, Any], find: Find) -> Conversation:
    """Both sides, each a text or, as TRL has it, a list of messages."""
    prompt, completion = _value(reading, values, "prompt"), _value(reading, values, "completion")
    if kind_of(completion) == "empty":
        raise Unusable(trouble.EMPTY_ANSWER, "")
    if kind_of(prompt) == "turns":
        answered = said_in(completion, find) if kind_of(completion) == "turns" else _asked("", text_of(completion))[1:]
        return [*said_in(prompt, find), *answered]
    question = (
        filled(reading.template, values, reading) if reading.template else text_of(values[reading.columns["prompt"]])
    )
    if not question:
        raise Unusable(trouble.EMPTY_QUESTION, "")
    if kind_of(completion) == "turns":
        return [("user", parts_of(question)), *said_in(completion, find)]
    return _asked(question, _worded(reading, values, text_of(values[reading.columns["completion"]])))


def _questions(reading: Reading, values: dict[str, Any]) -> list[Conversation]:
    """Question and answer; several where the columns hold lists of both, or of pairs."""
    asked, answered = _value(reading, values, "question"), _value(reading, values, "answer")
    if reading.columns["question"] == reading.columns["answer"]:
        pairs = _pairs(asked)
    elif kind_of(asked) == "texts" and isinstance(answered, (list, tuple)) and len(answered) == len(asked):
        pairs = [(text_of(one), answer_of(two)) for one, two in zip(asked, answered, strict=True)]
    else:
        pairs = [(text_of(values[reading.columns["question"]]), _chosen(reading, values, answered))]
    return [_question(reading, values, *pair) for pair in pairs]


def _question(reading: Reading, values: dict[str, Any], question: str, answer: str) -> Conversation:
    if reading.template:
        question = filled(reading.template, values, reading, question=question) if question else ""
    if not question:
        raise Unusable(trouble.EMPTY_QUESTION, "")
    if not answer:
        raise Unusable(trouble.EMPTY_ANSWER, "")
    return _asked(question, _worded(reading, values, answer))


def _pairs(value: Any) -> list[tuple[str, str]]:
    """Questions with their answers from a list of objects; as Donut has it also under `gt_parses` or `gt_parse`."""
    if isinstance(value, dict):
        value = value.get("gt_parses") or value.get("gt_parse") or value
    found: dict[str, str] = {}
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(item, dict) and (asked := one_of(item, QUESTION_KEYS)) and (said := one_of(item, ANSWER_KEYS)):
            found.setdefault(text_of(item[asked]), answer_of(item[said]))  # of several answers the first
    if not found:
        raise Unusable(trouble.BAD_VALUE, "it holds no question with an answer")
    return list(found.items())


def _chosen(reading: Reading, values: dict[str, Any], answer: Any) -> str:
    """The answer; where it is a place in the list of choices, the choice."""
    column = reading.columns.get("choices")
    choices = choices_of(values.get(column)) if column else ()
    said = answer_of(answer)
    if not choices or said in choices:
        return said
    number = int(said) if said.isdecimal() else ord(said.upper()) - ord("A") if len(said) == 1 else -1
    if not 0 <= number < len(choices):
        raise Unusable(trouble.BAD_VALUE, f"“{said[:40]}” is none of the {len(choices)} choices")
    return choices[number]


def _answers(reading: Reading, values: dict[str, Any]) -> tuple[str, ...]:
    """What is learned of a picture: every caption, all labels together, or the text as it is."""
    value = _value(reading, values, ANSWERS[reading.format])
    if reading.format == "classes":
        labels = ", ".join(texts_of(value))
        return (labels,) if labels else ()
    if reading.format == "ocr":
        text = read_text(value)
        return (text,) if text else ()
    return texts_of(value)


def read_text(value: Any) -> str:
    """The text of a picture: lines of a list one below the other, an object as JSON without Donut's wrapping.

    >>> read_text(["a", "b"]), read_text({"gt_parse": {"total": 5}})
    ('a\\nb', '{"total": 5}')
    """
    value = unfolded(value)
    if isinstance(value, dict):
        return json.dumps(value.get("gt_parse", value), ensure_ascii=False, default=str)
    return "\n".join(texts_of(value))
