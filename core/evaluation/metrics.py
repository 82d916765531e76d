"""How good one answer is, by the measures of the field; each as a count and what it is a share of, so that rows add up.

exact match    equal but for outer spaces, case and a final full stop
accuracy       the same, of classes
token F1       overlap of words, as SQuAD counts it (arXiv:1606.05250, section 6.1)
ANLS           1 - normalized edit distance, 0 below one half (arXiv:1905.13648, equation 1)
CER, WER       edits for each character, or word, of the text; they may exceed 1, and lower is better

What it does not do: choose among them (see `measures`), or know what a synonym is.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Literal

from core.data.wording import normal_form

Name = Literal["exact_match", "accuracy", "token_f1", "anls", "cer", "wer"]
LOWER_IS_BETTER: frozenset[str] = frozenset({"cer", "wer"})
ANLS_THRESHOLD = 0.5
"""As in the official script of DocVQA's challenge, in which exactly one half still counts; the paper gives 0 for it."""
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def is_match(answer: str, expected: str) -> bool:
    """Whether they are equal but for outer spaces, case and a final full stop."""
    return normal_form(answer) == normal_form(expected)


def part(name: Name, answer: str, accepted: Sequence[str]) -> tuple[float, float]:
    """What one answer adds to the measure's numerator and denominator.

    Args:
        name: of the measure.
        answer: the model's.
        accepted: the row's own answer, then others to the same question. F1 and ANLS take the best of them, as SQuAD
            and DocVQA do; the others go by the row's own.
    """
    own = accepted[0]
    if name in ("exact_match", "accuracy"):
        return float(is_match(answer, own)), 1.0
    if name == "token_f1":
        return max(token_f1(answer, one) for one in accepted), 1.0
    if name == "anls":
        return max(anls(answer, one) for one in accepted), 1.0
    return edits(answer, own, words=name == "wer")


def token_f1(answer: str, expected: str) -> float:
    """Harmonic mean of precision and recall of the words, without articles and punctuation.

    Words are what spaces part: in scripts without spaces the whole answer is one word.

    >>> token_f1("The small red circle.", "a red circle")
    0.8
    """
    said, wanted = _words(answer), _words(expected)
    if not said or not wanted:
        return float(said == wanted)
    same = (Counter(said) & Counter(wanted)).total()
    return 2 * same / (len(said) + len(wanted))


def anls(answer: str, expected: str) -> float:
    """Likeness of two answers, whatever their case; 0 where fewer than half of the characters agree.

    >>> anls("Parris", "Paris") == 1 - 1 / 6, anls("Rome", "Paris")
    (True, 0.0)
    """
    from rapidfuzz.distance import Levenshtein

    said, wanted = (" ".join(text.lower().split()) for text in (answer, expected))
    likeness = Levenshtein.normalized_similarity(said, wanted)
    return likeness if likeness >= ANLS_THRESHOLD else 0.0


def edits(answer: str, expected: str, words: bool = False) -> tuple[float, float]:
    """Characters, or words, to put in, take out or replace, and how many the expected text has. Case counts.

    >>> edits("he1lo wrld", "hello world"), edits("he1lo wrld", "hello world", words=True)
    ((2.0, 11.0), (2.0, 2.0))
    """
    if not expected.strip():  # no error rate is defined; what was said is all too much
        return float(len(answer.split() if words else answer.strip())), 0.0
    import jiwer

    made = (jiwer.process_words if words else jiwer.process_characters)(expected, answer)
    there = made.substitutions + made.deletions  # of what the expected text has
    return float(there + made.insertions), float(there + made.hits)


def _words(text: str) -> list[str]:
    """Lower case, without ASCII punctuation, then without articles: in the order of SQuAD's script."""
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()
