"""The published table of what can be trained is of this code."""

from __future__ import annotations

from collections import Counter

import pytest

from core.models.zoo import architectures
from tests.matrix.families import EXPERTS, FAMILIES
from tests.matrix.table import FILE, read_verdicts
from tests.matrix.two_steps import Verdict, two_steps

PUBLISHED = read_verdicts(FILE.read_text(encoding="utf-8"))
ZOO = {architecture.name: architecture for architecture in architectures()}
SAMPLE = ("blip:BlipForQuestionAnswering", "clip", "git", "gemma3", "internvl", "smolvlm")


def test_the_table_names_the_whole_zoo_and_every_family() -> None:
    assert list(PUBLISHED) == list(ZOO), "run python -m tests.matrix.table"
    text = FILE.read_text(encoding="utf-8")
    number = Counter(verdict.outcome for verdict in PUBLISHED.values())
    assert f"{number['trained']} trained, {number['refused']} refused, {number['not run']} not run" in text
    assert all(name in text for name in (*FAMILIES, *EXPERTS))
    assert not number["not run"], "each is trained, or refused with a reason"


def test_what_is_trained_learns_and_most_of_it_everywhere() -> None:
    shares = [tuple(map(int, v.detail.split(" of "))) for v in PUBLISHED.values() if v.outcome == "trained"]
    assert all(0 < learned <= targets for learned, targets in shares)
    assert sum(learned for learned, _ in shares) > 0.9 * sum(targets for _, targets in shares)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_sample_of_the_table_is_of_this_code(name: str) -> None:
    assert two_steps(ZOO[name]) == PUBLISHED[name], "run python -m tests.matrix.table"


@pytest.mark.slow
def test_all_of_the_table_is_of_this_code() -> None:
    def outcome(verdict: Verdict) -> tuple[str, str]:
        """How many learn may differ by one where a step is rounded otherwise; why something fails may not."""
        return verdict.name, verdict.outcome

    now = [outcome(two_steps(architecture)) for architecture in ZOO.values()]
    assert now == [outcome(verdict) for verdict in PUBLISHED.values()], "run python -m tests.matrix.table"
