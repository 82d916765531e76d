"""When two answers count as the same, and how far guessing the most common one gets.

What it does not do: forgive a synonym, a spelling or a word order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def normal_form(answer: str) -> str:
    """The answer without outer spaces, upper case and a final full stop.

    >>> normal_form(" Red circle. ")
    'red circle'
    """
    return answer.strip().removesuffix(".").rstrip().casefold()


def majority_share(answers: Iterable[str]) -> float:
    """Share (0 to 1) of the most common answer: the score of always saying that one. 0 without answers."""
    counts = Counter(normal_form(answer) for answer in answers)
    return max(counts.values()) / counts.total() if counts else 0.0
