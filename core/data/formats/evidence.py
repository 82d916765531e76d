"""What speaks for each format in the columns of a table, as candidates with their mapping and their reasons.

What it does not do: open a file (`core.data.formats.recognition` hands it the columns).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from core.data.formats import roles
from core.data.formats.columns import Column
from core.data.formats.judging import judge
from core.data.formats.templates import AS_JSON, BELONGS, OF_BOTH
from core.data.formats.verdicts import class_of_both, verdict_column
from core.spec.data import Format, Part

Columns = Sequence[Column]


@dataclass(frozen=True)
class Candidate:
    """One way in which a table can be read."""

    format: Format
    columns: dict[Part, str]
    reason: str
    sure: int
    """0 to 100; among several the highest is taken."""
    template: str | None = None
    """Where the format's own does not fit."""
    reasons: dict[Part, str] = field(default_factory=dict)


def candidates(columns: Columns) -> list[Candidate]:
    """All ways in which a table with these columns can be read, the best first."""
    found = [one for look in _LOOKS for one in look(columns)]
    best: dict[Format, Candidate] = {}
    for one in sorted(found, key=lambda candidate: -candidate.sure):
        best.setdefault(one.format, one)
    return list(best.values())


def for_format(columns: Columns, format: Format) -> list[Candidate]:
    """The best way to read a table in one format, whatever its columns are called; none when parts are missing."""
    own = [one for one in candidates(columns) if one.format == format]
    if own:
        return own[:1]
    usable = list(roles.text_columns(columns))
    named: dict[Part, Column] = {}
    for part in roles.NEEDED[format]:
        if part == "image":
            continue
        fits = [one for one in columns if one.kind in ("turns", "pairs")] if part == "messages" else usable
        fits = [one for one in fits if one not in named.values()]
        if not fits:
            return []
        named[part] = roles.best(fits, part) or max(fits, key=lambda one: one.words[1])
    return [candidate(format, named, columns, 40)] if named else []


def candidate(format: Format, named: dict[Part, Column], columns: Columns, sure: int, why: str = "") -> Candidate:
    """A candidate with the parts that any format may have, and the reasons in words."""
    mapping: dict[Part, str] = {**roles.beside(columns), **{part: column.name for part, column in named.items()}}
    by_name = {column.name: column for column in columns}
    pictures = roles.picture_columns(columns)
    reasons: dict[Part, str] = {part: column.said(as_pictures=False) for part, column in named.items()}
    if pictures:
        reasons["image"] = pictures[0].said()
    for part, name in mapping.items():
        if part not in reasons and name in by_name:
            reasons[part] = f"is called so and {by_name[name].said(as_pictures=False)}"
    seen = [(mapping["image"], reasons["image"])] if pictures else []
    seen += [(column.name, reasons[part]) for part, column in named.items()]
    seen = list(dict.fromkeys(seen))
    text = ", ".join(
        f"the column “{name}” {said}" if not place else f"“{name}” {said}" for place, (name, said) in enumerate(seen)
    )
    if not pictures and format not in ("messages", "sharegpt"):
        sure //= 2
    return Candidate(format, mapping, f"{text}{'; ' if why else ''}{why}", sure, reasons=reasons)


def _conversations(columns: Columns) -> list[Candidate]:
    found = []
    for column in columns:
        place = roles.rank(column, roles.CALLED["messages"])
        if column.kind == "turns":
            sure = 98 if place is not None else 60
            if "role" in column.keys:
                why = "its turns have “role” and “content”"
                found.append(candidate("messages", {"messages": column}, columns, sure, why))
            elif "from" in column.keys or "value" in column.keys:
                why = "its turns have “from” and “value”, as ShareGPT and LLaVA write them"
                found.append(candidate("sharegpt", {"messages": column}, columns, sure, why))
        if column.kind == "pairs" and "user" in column.keys:
            why = "its turns have “user” and “assistant”"
            found.append(candidate("messages", {"messages": column}, columns, 96, why))
    return found


def _lists_of_questions(columns: Columns) -> list[Candidate]:
    return [
        candidate("vqa", {"question": column, "answer": column}, columns, 95, "each picture has several questions")
        for column in columns
        if (column.kind == "pairs" and "user" not in column.keys)
        or (column.kind == "json" and "gt_parses" in column.keys)
    ]


def _objects_to_read(columns: Columns) -> list[Candidate]:
    found = []
    for column in columns:
        if column.kind == "json" and ("gt_parse" in column.keys or roles.plain(column.name) in roles.READ_OFF):
            one = candidate("ocr", {"text": column}, columns, 94, "the answer is this object, as JSON")
            found.append(_with_template(one, AS_JSON))
    return found


def _with_template(one: Candidate, template: str) -> Candidate:
    return Candidate(one.format, one.columns, one.reason, one.sure, template, one.reasons)


def _prompt_completion(columns: Columns) -> list[Candidate]:
    usable = [*roles.text_columns(columns), *(column for column in columns if column.kind == "turns")]
    prompt = roles.best(usable, "prompt")
    completion = roles.best([column for column in usable if column is not prompt], "completion")
    if prompt is None or completion is None:
        return []
    asks = roles.plain(prompt.name) in ("prompt", "instruction", "query", "input")
    says = roles.plain(completion.name) in ("completion", "output", "response", "chosen")
    turns = prompt.kind == "turns" or completion.kind == "turns"
    sure = 99 if turns and asks and says else 94 if asks and says else 75 if asks or says else 50
    found = candidate("prompt_completion", {"prompt": prompt, "completion": completion}, columns, sure)
    more = next((column for column in usable if roles.plain(column.name) == "input" and column is not prompt), None)
    if roles.plain(prompt.name) == "instruction" and more and more.filled:
        return [_with_template(found, f"{{{prompt.name}}}\n{{{more.name}}}")]
    return [found]


_CALLED_QUESTION = ("question", "questions", "q", "query", "queries")


def _questions(columns: Columns) -> list[Candidate]:
    usable = [*roles.text_columns(columns), *(one for one in columns if one.kind == "json" and "answer" in one.keys)]
    question = roles.best([column for column in usable if _may_ask(column)], "question")
    question = question or next((column for column in usable if _asks(column)), None)
    answer = roles.best([column for column in usable if column is not question], "answer")
    if question is not None and answer is None and _asks(question):
        answer = _beside(question, usable)
    if question is None or answer is None:
        return []
    named = roles.plain(question.name) in _CALLED_QUESTION or roles.plain(answer.name) in ("answer", "answers")
    sure = 93 if named or _asks(question) else 74
    why = "of several answers the most common one is learned" if answer.kind in ("texts", "answers") else ""
    found = candidate("vqa", {"question": question, "answer": answer}, columns, sure, why)
    letters = [column for column in columns if column.name in ("A", "B", "C", "D", "E") and column.is_text]
    if len(letters) >= 2 and answer.words[2] == 1:
        options = "\n".join(f"{column.name}. {{{column.name}}}" for column in letters)
        return [_with_template(found, f"{{{question.name}}}\n{options}")]
    return [found]


def _beside(question: Column, usable: Columns) -> Column | None:
    """The column after the questions, or before them, whatever it is called; no captions and no completions."""
    if roles.best([column for column in usable if column is not question], "completion"):
        return None
    others = [column for column in usable if not set(roles.plain(column.name).split("_")) & roles.SAID_ABOUT]
    place = others.index(question) if question in others else -1
    return next((others[one] for one in (place + 1, place - 1) if 0 <= one < len(others) and place >= 0), None)


def _may_ask(column: Column) -> bool:
    """Whether it is called a question, or holds no short values that repeat, as labels do."""
    called = roles.plain(column.name) in ("question", "questions", "query")
    return called or not column.repeats or column.words[1] >= 3


def _asks(column: Column) -> bool:
    """Whether most of its texts are questions."""
    return sum(example.rstrip().endswith(("?", "？")) for example in column.examples) * 2 > len(column.examples)


def _texts(columns: Columns) -> list[Candidate]:
    """A picture and one text: captions, classes, text to read, or pairs."""
    pictures = roles.picture_columns(columns)
    if not pictures:
        return []
    usable = roles.text_columns(columns)
    label, text = roles.best(usable, "label"), roles.best(usable, "text")
    known = text is not None or label is not None
    if not known:
        text = label = _unnamed(usable, columns)
    one = text or label
    if one is None:
        return []
    label = label or next((column for column in usable if column.repeats and column.words[1] <= 4), None)
    judged = judge(one, pictures[0].wide)
    if any("writer" in roles.plain(column.name).split("_") for column in columns):
        judged = replace(judged, ocr=max(judged.ocr, 80), why=judged.why or "a column names who wrote it")
    sure = 100 if known or len(usable) == 1 else 60
    kind = judge(label, False).classes if label else judged.classes
    both = class_of_both(columns, one)
    if both is not None:
        why = f"“{both.name}” says yes or no of each picture with its “{one.name}”"
        found = candidate("classes", {"label": both}, columns, 90, why)
        return [_with_template(found, f"{OF_BOTH}\n{{{one.name}}}"), _pairs(one, columns)]
    return [
        candidate("captions", {"text": one}, columns, min(sure, judged.captions), judged.why),
        candidate("ocr", {"text": one}, columns, min(sure, judged.ocr), judged.why),
        _pairs(one, columns),
        candidate("classes", {"label": label or one}, columns, min(sure, kind)),
    ]


def _pairs(text: Column, columns: Columns) -> Candidate:
    """A picture and its text; sure where another column holds, or says, what does not belong to the picture."""
    verdict = verdict_column(columns, text)
    if verdict is not None:
        why = f"“{verdict.name}” says of each text whether it belongs to the picture"
        return _with_template(candidate("pairs", {"text": text, "verdict": verdict}, columns, 92, why), BELONGS)
    other = next((column for column in columns if "negative" in roles.plain(column.name).rstrip("s")), None)
    if other is None:
        return candidate("pairs", {"text": text}, columns, 10, "each picture has its text")
    why = f"“{other.name}” holds what does not belong together and is not learned"
    return candidate("pairs", {"text": text}, columns, 92, why)


def _unnamed(usable: Columns, columns: Columns) -> Column | None:
    """The column to learn, when none is called so: the longest text; numbers and ids only if nothing else is there."""
    texts = [column for column in usable if column.kind != "number"] or (usable if len(usable) == 1 else [])
    if texts:
        return max(texts, key=lambda column: (column.words[1], column.different))
    pictures = roles.picture_columns(columns)
    others = [column for column in columns if column not in pictures]
    return others[0] if len(others) == 1 and others[0].is_text and others[0].repeats else None


_LOOKS: tuple[Callable[[Columns], list[Candidate]], ...] = (
    _conversations,
    _lists_of_questions,
    _objects_to_read,
    _prompt_completion,
    _questions,
    _texts,
)
