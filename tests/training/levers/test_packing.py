"""Rows in one packed row: every token once, nothing seen of another row, and never more to compute than before."""

from __future__ import annotations

import random

import pytest
import torch

from core.training.levers.layout import LINEAR, Group, best_layout, in_one_row, laid_out
from core.training.levers.packed import packed
from tests.training.levers.same_work import LANGUAGE, adapted, assert_alike, encoder_of, loss_and_gradients
from tests.training.levers.test_shared_pictures import ALL, both_ways, decided, rows

HIDDEN = 64


def some(seed: int) -> tuple[list[int], list[Group]]:
    """Lengths of rows and groups of them, by chance."""
    dice = random.Random(seed)
    lengths = [dice.randint(4, 200) for _ in range(dice.randint(2, 24))]
    places = dice.sample(range(len(lengths)), k=len(lengths) // 2)
    groups = []
    while len(places) > 1:
        taken = sorted(places.pop() for _ in range(min(len(places), dice.randint(2, 5))))
        prefix = dice.randint(1, min(lengths[at] for at in taken) - 2)
        groups.append(Group(tuple(taken), prefix))
    return lengths, groups


def cost(count: int, width: int) -> float:
    return count * width * (1 + width / (LINEAR * HIDDEN))


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_every_token_of_a_row_is_seen_by_it_once(seed: int, pack: bool) -> None:
    lengths, groups = some(seed)
    found = best_layout(lengths, groups, pack, HIDDEN)
    for packed_rows in (in_one_row(lengths, groups), *([found] if found else [])):
        layout = laid_out(packed_rows, lengths, [True] * len(lengths), {}, 0)
        for row, length in enumerate(lengths):
            own = layout.rows == row
            (piece,) = layout.pieces[own & ~layout.shared].unique().tolist()
            seen = (layout.pieces == piece) & (own | layout.shared)
            assert sorted(layout.places[seen].tolist()) == list(range(length))


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_a_layout_costs_less_than_the_batch_as_it_is(seed: int, pack: bool) -> None:
    lengths, groups = some(seed)
    found = best_layout(lengths, groups, pack, HIDDEN)
    if found is not None:
        layout = laid_out(found, lengths, [True] * len(lengths), {}, 0)
        assert cost(*layout.rows.shape) < cost(len(lengths), max(lengths))
        assert layout.rows.shape[1] <= sum(lengths)


def test_rows_of_one_length_that_share_nothing_stay_as_they_are() -> None:
    assert best_layout([50] * 8, [], True, HIDDEN) is None


def test_short_rows_fill_up_what_would_be_padding() -> None:
    found = best_layout([100, 20, 30, 40], [], True, HIDDEN)
    assert found is not None
    assert len(found) == 2
    assert best_layout([100, 20, 30, 40], [], False, HIDDEN) is None


def test_a_prefix_that_makes_a_row_far_too_long_is_given_more_than_once() -> None:
    """Attention over all of it would cost more than the prefix does."""
    lengths = [400] * 12
    found = best_layout(lengths, [Group(tuple(range(12)), 20)], False, 8)
    assert found is None or max(len(piece.rows) for row in found for piece in row) < 12


@pytest.mark.parametrize("name", ALL)
def test_unrelated_rows_in_one_row_lose_and_learn_the_same(name: str) -> None:
    family = ALL[name]()
    model, encoder = adapted(family.model, LANGUAGE), encoder_of(family)
    learned = rows()
    learned[3:3] = rows()[4:5] * 3  # short ones
    plain, joined = both_ways(encoder, learned, decided(model, encoder, learned), share=False)
    made = packed(model, joined)
    assert made["input_ids"].shape[0] < plain["input_ids"].shape[0]
    assert_alike(loss_and_gradients(model, plain), loss_and_gradients(model, made))


def test_padding_sees_itself_alone_and_is_seen_by_none() -> None:
    family = ALL["llava"]()
    model, encoder = adapted(family.model), encoder_of(family)
    _, joined = both_ways(encoder, rows(), decided(model, encoder, rows()))
    mask, padding = packed(model, joined)["attention_mask"][:, 0], joined["layout"].rows < 0  # [B', T', T'], [B', T']
    assert padding.any()
    assert (mask.sum(dim=2)[padding] == 1).all()
    assert torch.equal(mask.sum(dim=1)[padding], torch.ones(int(padding.sum()), dtype=torch.long))
