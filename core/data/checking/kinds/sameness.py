"""Rows that say the same or contradict each other, and answers of which there are too many or too few.

What it does not do: compare rows (`core.data.checking.sameness`, `core.data.checking.near`).
"""

from __future__ import annotations

from core.data import trouble
from core.data.checking.kinds.kind import Kind

SAMENESS: dict[str, Kind] = {
    trouble.DUPLICATE_ROW: Kind(
        "warning",
        "1 row says the same as an earlier one",
        "{count} rows say the same as earlier ones",
        "Same pictures, question and answer: it counts twice without teaching anything new",
        "Leave the repetitions out; the first of each stays",
        "Leave the repetitions out",
    ),
    trouble.NEAR_DUPLICATE: Kind(
        "warning",
        "1 row has a picture that looks like an earlier one",
        "{count} rows have pictures that look like earlier ones",
        "Almost the same picture with the same answer teaches little and counts twice",
        "Look at them; leave the later ones out where they are copies",
        "Leave the later ones out",
    ),
    trouble.NEAR_OTHER: Kind(
        "warning",
        "1 row has a picture that looks like an earlier one, and another answer",
        "{count} rows have pictures that look like earlier ones, and other answers",
        "Copies with different answers contradict each other; pictures that differ in small things look alike, too",
        "Look at them; leave the later ones out where they are copies",
        "Leave the later ones out",
    ),
    trouble.CONFLICT: Kind(
        "warning",
        "1 row answers the same question about the same picture in another way",
        "{count} rows answer the same question about the same picture in another way",
        "Where answers contradict each other the model learns to guess between them",
        "Correct the answers, or leave all but the first of each out",
        "Keep the first of each",
    ),
    trouble.IMBALANCE: Kind(
        "warning",
        "1 row too many has the most common answer",
        "{count} rows too many have the most common answers",
        "A model that always gives the most common answer scores well and has learned nothing",
        "Keep fewer of these rows, drawn at random; held-out rows stay as they are",
        "Keep fewer of them",
    ),
    trouble.UNSEEN_ANSWER: Kind(
        "warning",
        "1 held-out row has an answer that no row to learn from has",
        "{count} held-out rows have answers that no row to learn from has",
        "The model cannot give a class that it was never shown",
        "Bring more rows with these answers, or leave these rows out",
    ),
    trouble.FEW_ROWS: Kind(
        "warning",
        "There is only 1 row to learn from",
        "There are only {count} rows to learn from",
        "So few are learned by heart; what was learned seldom carries over to other pictures",
        "Bring more rows where you can; some tens are a start, some hundreds are usual",
        action="",
        change={},
    ),
}
