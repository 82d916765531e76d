"""Questions in one JSON file and their answers in another, as VQA, OK-VQA and others of their kind are published.

What it does not do: read rows that have both (`core.data.formats.records`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

from core.data.files.tree import Entry
from core.data.formats.sides import side_of_table
from core.data.tables import Record, read_table

QUESTIONS, ANSWERS, KEY = "questions", "annotations", "question_id"
"""Keys of the lists in the two files, and what joins their rows."""
SAID = ("multiple_choice_answer", "answers", "answer")
"""Columns of the answers that are joined, the first that is there."""


def is_questions(entry: Entry, lists: Collection[str]) -> bool:
    """Whether a file with these lists holds questions with numbers. Raises DataError: it cannot be read."""
    return QUESTIONS in lists and {KEY, "question"} <= _first(entry, QUESTIONS).keys()


def is_answers(entry: Entry, lists: Collection[str]) -> bool:
    """Whether a file with these lists holds answers to numbered questions. Raises DataError: it cannot be read."""
    if ANSWERS not in lists:
        return False
    first = _first(entry, ANSWERS)
    return KEY in first and "question" not in first and any(name in first for name in SAID)


def joined(questions: Entry, answers: Sequence[Entry]) -> Iterator[Record]:
    """One record for each question, with its answer; files of the same side are joined, or all where none is.

    Raises:
        DataError: a file cannot be read.
    """
    side = side_of_table(questions.name)
    near = [entry for entry in answers if side_of_table(entry.name) == side] or answers
    said = {number: value for entry in near for number, value in _answers(entry)}
    column = next((_column(entry) for entry in near), SAID[0])
    for record in read_table(questions, part=QUESTIONS):
        if record.values is None:
            yield record
        else:
            number = record.values.get(KEY)
            answer = said.get(number) if isinstance(number, (int, str)) else None
            yield replace(record, values={**record.values, column: answer})


def _answers(entry: Entry) -> Iterator[tuple[int | str, Any]]:
    """Numbers of questions with their answers."""
    column = _column(entry)
    for record in read_table(entry, part=ANSWERS):
        values = record.values or {}
        if isinstance(values.get(KEY), (int, str)):
            yield values[KEY], values.get(column)


def _column(entry: Entry) -> str:
    first = _first(entry, ANSWERS)
    return next((name for name in SAID if name in first), SAID[0])


def _first(entry: Entry, part: str) -> dict[str, Any]:
    """The first row of a list that can be read."""
    return next((record.values for record in read_table(entry, 5, part=part) if record.values), {})
