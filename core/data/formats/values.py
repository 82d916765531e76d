"""One value of a table's column, whatever form it has: text, number, list, JSON in a string, a picture of any kind.

What it does not do: look for a file (see `core.data.formats.records`), or decide what a column is for.
"""

from __future__ import annotations

import ast
import base64
import json
import re
from binascii import Error as NotBase64
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

from core.data.files.pictures import PICTURES

Kind = Literal[
    "empty", "number", "text", "name", "picture", "pictures", "turns", "texts", "answers", "pairs", "json", "other"
]
"""What a value is. `name`: of a picture file; `pictures`: several; `turns`: of a conversation; `texts`: several;
`answers`: as VQA writes them; `pairs`: questions with answers; `json`: an object."""
MAX_LITERAL = 1_000_000
"""Characters of a string that is looked at for JSON inside."""
SPEAKER_KEYS, SAID_KEYS = ("role", "from", "speaker"), ("content", "value", "text")
QUESTION_KEYS, ANSWER_KEYS = ("question", "user", "q", "instruction"), ("answer", "assistant", "a", "output")
SAID_IN = ("answer", "text", "value")
"""Of an object that stands for one answer."""
TEXT_KEYS = ("raw", "caption", "sentence", "text")
"""Of objects that stand for one of several captions."""
_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{64,}")
_ADDRESS = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)


def kind_of(value: Any) -> Kind:
    """What a value is, by its form alone.

    >>> kind_of("cats/1.jpg"), kind_of([{"from": "human", "value": "Hi"}]), kind_of(["a", "b"])
    ('name', 'turns', 'texts')
    """
    if value is None or value == "" or (isinstance(value, float) and value != value):
        return "empty"
    if isinstance(value, (bool, int, float)):
        return "number"
    if isinstance(value, (bytes, bytearray)):
        return "picture" if is_picture_bytes(bytes(value)) else "other"
    if isinstance(value, dict):
        return _kind_of_object(value)
    if isinstance(value, (list, tuple)):
        return _kind_of_list(value)
    return _kind_of_text(str(value))


def _kind_of_text(text: str) -> Kind:
    if not text.strip():
        return "empty"
    if embedded(text) is not None:
        return "picture"
    if is_picture_name(text):
        return "name"
    inside = parsed(text)
    if isinstance(inside, (dict, list)) and inside and not _are_numbers(inside):
        kind = kind_of(inside)
        return "text" if kind == "other" else kind
    return "number" if re.fullmatch(r"-?\d+(\.\d+)?", text.strip()) else "text"


def _kind_of_object(value: dict[str, Any]) -> Kind:
    if isinstance(value.get("bytes"), (bytes, bytearray)) or ("bytes" in value and value.get("path")):
        return "picture"
    name = value.get("path") or value.get("file_name") or value.get("url")
    return "name" if isinstance(name, str) and is_picture_name(name) else "json"


def _kind_of_list(value: Sequence[Any]) -> Kind:
    kinds = [kind_of(item) for item in value[:8]]
    objects = [item for item in value[:8] if isinstance(item, dict)]
    if not kinds or set(kinds) == {"empty"}:
        return "empty"
    if set(kinds) <= {"name", "picture"}:
        return "pictures"
    if objects and len(objects) == len(kinds):
        if all(one_of(item, SPEAKER_KEYS) and one_of(item, SAID_KEYS) is not None for item in objects):
            return "turns"
        if all(one_of(item, QUESTION_KEYS) and one_of(item, ANSWER_KEYS) for item in objects):
            return "pairs"
        if all(one_of(item, TEXT_KEYS) for item in objects):
            return "texts"
        return "answers" if all("answer" in item for item in objects) else "other"
    return "texts" if set(kinds) <= {"text", "number", "empty", "name"} else "other"


def one_of(value: dict[str, Any], keys: Sequence[str]) -> str | None:
    """The first of the keys that the object has with something under it."""
    return next((key for key in keys if value.get(key) is not None), None)


def is_picture_name(text: str) -> bool:
    """Whether a text has the form of a picture file's name.

    >>> is_picture_name("a/b.JPG#0"), is_picture_name("A picture named a.jpg lies there")
    (True, False)
    """
    text = without_number(text.strip())
    return (
        len(text) <= 500
        and "\n" not in text
        and text.lower().endswith(PICTURES)
        and (" " not in text or len(text.split()) <= 4 or "/" in text)
    )


def without_number(name: str) -> str:
    """A picture's name without the caption's number of Flickr8k, `1.jpg#0`."""
    return re.sub(r"#\d+$", "", name)


def is_picture_bytes(data: bytes) -> bool:
    """Whether bytes begin as a picture file does."""
    return data.startswith(_MAGIC) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP") or data[4:12] == b"ftypavif"


def embedded(text: str) -> bytes | None:
    """The bytes of a picture that is written as base64, with or without `data:image/...;base64,` before it."""
    found = _ADDRESS.match(text)
    body = text[found.end() :] if found else text
    if not found and not _BASE64.match(body):
        return None
    try:
        start = base64.b64decode(body[:64], validate=True)
        return base64.b64decode(body, validate=False) if found or is_picture_bytes(start) else None
    except (NotBase64, ValueError):
        return None


def parsed(text: str) -> Any:
    """What stands in a string as JSON, or as a Python literal, as tables made with pandas have it; else None."""
    text = text.strip()
    if not text or text[0] not in "[{" or text[-1] not in "]}" or len(text) > MAX_LITERAL:
        return None
    with suppress(ValueError, RecursionError):  # it may still be a literal of Python
        return json.loads(text)
    try:
        return ast.literal_eval(re.sub(r"'\s*\n\s*'", "', '", text))
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def unfolded(value: Any) -> Any:
    """A value with JSON in a string taken out of it; a list of numbers stays a text, as of a box or an interval.

    >>> unfolded('["a", "b"]'), unfolded("[0, 1]")
    (['a', 'b'], '[0, 1]')
    """
    if isinstance(value, str):
        inside = parsed(value)
        return value if inside is None or _are_numbers(inside) else inside
    return value


def _are_numbers(value: Any) -> bool:
    """Whether it is a list of numbers alone."""
    return isinstance(value, (list, tuple)) and bool(value) and all(type(item) in (int, float) for item in value)


def text_of(value: Any) -> str:
    """A value as text, trimmed; nothing for what holds none.

    >>> text_of(7), text_of(7.0), text_of(" a "), text_of(None), text_of({"a": [1]})
    ('7', '7', 'a', '', '{"a": [1]}')
    """
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False, default=str) if value else ""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace").strip()
    return str(value).strip()


def texts_of(value: Any) -> tuple[str, ...]:
    """All texts of a value: those of a list, or the one."""
    if kind_of(value) == "texts":
        texts = (
            text_of(item[one_of(item, TEXT_KEYS) or ""] if isinstance(item, dict) else item) for item in unfolded(value)
        )
        return tuple(text for text in texts if text)
    text = text_of(value)
    return (text,) if text else ()


def choices_of(value: Any) -> tuple[str, ...]:
    """What can be chosen from: a list, also of numbers, and also as it stands in a string.

    >>> choices_of(["a", "b"]), choices_of("[1, 2]"), choices_of("a")
    (('a', 'b'), ('1', '2'), ('a',))
    """
    inside = parsed(value) if isinstance(value, str) else value
    return tuple(map(text_of, inside)) if _are_numbers(inside) else texts_of(value)


def answer_of(value: Any) -> str:
    """The answer of a value: of several, the one given most often, and of those the first; a list of numbers is one.

    >>> answer_of(["net", "netting", "net"]), answer_of([{"answer": "a"}]), answer_of("b"), answer_of([0, 0, 9])
    ('net', 'a', 'b', '[0, 0, 9]')
    """
    kind = kind_of(value)
    if _are_numbers(value):
        return text_of(value if len(value) > 1 else value[0])
    if kind == "answers":
        said = [text_of(item["answer"]) for item in unfolded(value)]
    elif kind == "texts":
        said = list(texts_of(value))
    elif isinstance(value, dict) and one_of(value, SAID_IN):
        return answer_of(value[one_of(value, SAID_IN) or ""])
    else:
        return text_of(value)
    counts = Counter(text for text in said if text)
    return max(counts, key=lambda text: counts[text]) if counts else ""
