"""Which measures suit the data, and which of them comes first: by what kind of answers the rows have.

classes                 accuracy, beside the share of the most common answer
captions                token F1: a rough measure, since a caption can be right in other words
text to read            CER, WER, ANLS
questions and answers   exact match, token F1, ANLS; conversations likewise

What it does not do: compute them (see `metrics`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from core.data.batches.trial import sampled
from core.data.rows import Dataset, Row
from core.data.wording import normal_form
from core.evaluation.metrics import Name
from core.spec import Format, Metric

Kind = Literal["classes", "captions", "reading", "questions"]
MEASURES: dict[Kind, tuple[Name, ...]] = {
    "classes": ("accuracy",),
    "captions": ("token_f1",),
    "reading": ("cer", "wer", "anls"),
    "questions": ("exact_match", "token_f1", "anls"),
}
"""The first is the main one, unless answers are long; see `LONG`."""
LABELS: dict[str, str] = {
    "exact_match": "exact match",
    "accuracy": "accuracy",
    "token_f1": "token F1",
    "anls": "ANLS",
    "cer": "character error rate",
    "wer": "word error rate",
    "majority": "always the most common answer",
}
WHOLE_ANSWERS = ("exact_match", "accuracy")
"""Measures by which the most common answer can be told beside: what guessing would score."""
LOOKED_AT = 1000
"""Rows whose answers say what kind they are: held-out ones, and where those are few, others of the training."""
MOST_CLASSES, LEAST_OF_EACH = 50, 4
"""So many different answers at most, each this often on average, are classes."""
LONG = 5
"""Words: of longer answers hardly one is met word by word, so that token F1 comes first."""
_KINDS: dict[Format, Kind] = {"classes": "classes", "captions": "captions", "coco": "captions", "ocr": "reading"}
_REASONS: dict[Kind, str] = {
    "classes": "the rows are classes; the share of the most common one stands beside it",
    "captions": "the answers are captions; it is a rough measure, since a caption can be right in other words",
    "reading": "the answers are text to read",
    "questions": "the rows are questions with answers",
}


@dataclass(frozen=True)
class Measures:
    """What answers are judged by."""

    kind: Kind
    names: tuple[Name, ...]
    main: Name
    reason: str
    """Why this is the main one, in words."""
    asked: bool = False
    """Whether the person chose it."""


def measures_for(data: Dataset, metric: Metric = "auto") -> Measures:
    """The measures of these data; `metric` overrules the main one."""
    judged = sampled(data.heldout, LOOKED_AT)
    answers = [row.answer for row in (*judged, *sampled(data.train, LOOKED_AT - len(judged)))]
    kind, reason = _kind(data.format, answers)
    names = MEASURES[kind]
    if metric != "auto":
        return Measures(kind, tuple(dict.fromkeys((metric, *names))), metric, "it was asked for", asked=True)
    if kind == "questions" and answers and median(len(answer.split()) for answer in answers) > LONG:
        return Measures(kind, names, "token_f1", "the answers are long, and hardly one would be met word by word")
    return Measures(kind, names, names[0], reason)


def main_value(metrics: Mapping[str, float], metric: str, exact_match: float | None) -> float | None:
    """The main measure of a score or of a point; files of older releases hold exact match alone."""
    return metrics.get(metric, exact_match if metric in WHOLE_ANSWERS else None)


def accepted_answers(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """For each row its own answer, then the different ones that other rows give to the same question."""
    said: dict[object, dict[str, None]] = {}
    for row in rows:
        said.setdefault(row.prompt, {}).setdefault(row.answer)
    return [(row.answer, *(each for each in said[row.prompt] if each != row.answer)) for row in rows]


def _kind(form: Format | None, answers: Sequence[str]) -> tuple[Kind, str]:
    """What the format says; tables of questions may hold classes as well, which only the answers tell."""
    known = _KINDS.get(form) if form else None
    if known is None and form in (None, "vqa", "pairs"):
        different = len({normal_form(answer) for answer in answers})
        if 2 <= different <= MOST_CLASSES and len(answers) >= LEAST_OF_EACH * different:
            return (
                "classes",
                f"there are only {different:,} different answers; the share of the most common one stands beside",
            )
    kind: Kind = known or "questions"
    return kind, _REASONS[kind]
