"""Splits: the share is kept, groups stay together, and the same data are split the same way."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.data.checking.splits import Groups, hold_out
from core.data.files.tree import tree_of_folder
from core.data.storing.importing import store
from core.data.storing.stored import StoredDataset, stored
from core.spec import Reading, Split
from tests.data.made_data import VQA, line, make, picture


def some(rows: int, groups: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of groups and hashes of rows."""
    dice = np.random.default_rng(seed)
    return dice.integers(0, groups, rows), dice.integers(0, 2**64, rows, dtype=np.uint64)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("rows", [2, 10, 999])
def test_the_share_is_kept_and_neither_side_is_empty(rows: int, share: float) -> None:
    held = hold_out(np.arange(rows), some(rows, 1)[1], share, 0)
    assert held.sum() == min(rows - 1, max(1, round(share * rows)))


@pytest.mark.parametrize("seed", range(5))
def test_every_answer_is_held_out_about_as_often_as_it_occurs(seed: int) -> None:
    answers = np.array([0] * 300 + [1] * 100 + [2] * 20 + list(range(3, 203)))
    keys = some(len(answers), 1)[1]
    held = hold_out(np.arange(len(answers)), keys, 0.1, seed, answers)
    assert held.sum() == round(0.1 * len(answers))
    assert abs(held[answers == 0].sum() - 30) <= 3
    assert abs(held[answers == 1].sum() - 10) <= 2
    assert 1 <= held[answers == 2].sum() <= 3
    assert 8 <= held[answers >= 3].sum() <= 32, "answers that occur once are held out like all others"


@pytest.mark.parametrize("seed", range(5))
def test_equal_classes_stay_about_equal(seed: int) -> None:
    answers = np.repeat(np.arange(3), 14)
    held = hold_out(np.arange(42), some(42, 1)[1], 0.25, seed, answers)
    assert sorted(np.bincount(answers[held])) in ([2, 4, 4], [3, 3, 4])


def test_groups_stay_together_where_answers_are_known() -> None:
    labels, keys = some(1000, 60)
    held = hold_out(labels, keys, 0.1, 3, labels % 4)
    assert not set(labels[held]) & set(labels[~held])
    assert 80 <= held.sum() <= 100


def test_groups_stay_together() -> None:
    labels, keys = some(1000, 60)
    held = hold_out(labels, keys, 0.1, 3)
    assert not set(labels[held]) & set(labels[~held])
    assert 80 <= held.sum() <= 100


def test_one_group_cannot_be_split() -> None:
    assert not hold_out(np.zeros(5, int), some(5, 1)[1], 0.5, 0).any()


def test_groups_larger_than_the_share_give_the_smallest_one() -> None:
    labels = np.array([0] * 50 + [1] * 30 + [2] * 20)
    assert set(labels[hold_out(labels, some(100, 1)[1], 0.01, 0)]) == {2}


def test_the_seed_alone_decides_and_not_the_order() -> None:
    labels, keys = np.arange(500), some(500, 1)[1]
    held = hold_out(labels, keys, 0.1, 7)
    assert (held == hold_out(labels, keys, 0.1, 7)).all()
    order = np.random.default_rng(1).permutation(500)
    assert set(keys[held]) == set(keys[order][hold_out(labels, keys[order], 0.1, 7)])
    others = set(keys[hold_out(labels, keys, 0.1, 8)])
    assert len(others & set(keys[held])) < 20


def test_most_rows_stay_on_their_side_when_some_are_taken_out() -> None:
    keys = some(1000, 1)[1]
    before = set(keys[hold_out(np.arange(1000), keys, 0.1, 0)])
    after = set(keys[30:][hold_out(np.arange(970), keys[30:], 0.1, 0)])
    assert len(after - before) <= 5


def test_rows_are_held_out_evenly() -> None:
    keys = some(20_000, 1)[1]
    counts = sum(hold_out(np.arange(20_000), keys, 0.1, seed).astype(int) for seed in range(20))
    assert abs(np.corrcoef(counts, keys.astype(float))[0, 1]) < 0.05
    assert counts.max() < 12, "no row is always held out"


def test_joined_things_have_one_label() -> None:
    dice, groups = np.random.default_rng(0), Groups(300)
    graph = defaultdict(set)
    for left, right in dice.integers(0, 300, (150, 2)).tolist():
        groups.join(left, right)
        graph[left].add(right)
        graph[right].add(left)
    labels = groups.labels()
    for start in range(300):
        reached, waiting = {start}, [start]
        while waiting:
            waiting += [new for new in graph[waiting.pop()] - reached if not reached.add(new)]
        assert {labels[one] for one in reached} == {min(reached)}


def split(folder: Path, reading: Reading) -> StoredDataset:
    made = store(tree_of_folder(folder), reading, None, folder.parent / "sets", "t", "o")
    return stored(folder.parent / "sets", made.name)


@pytest.mark.parametrize("seed", range(4))
def test_a_picture_its_copy_and_its_scaled_likeness_are_never_on_both_sides(tmp_path: Path, seed: int) -> None:
    lines = [line(number % 30, question=f"Question {number // 30}?") for number in range(90)]
    folder = make(tmp_path / "data", [*lines, *(line(number) for number in range(30, 50))], pictures=50)
    for number in range(10):
        picture(number, (200, 160)).save(folder / f"{number}.png")
        (folder / f"{number + 30}.png").write_bytes((folder / f"{number}.png").read_bytes())
        picture(number, (200, 160)).resize((100, 80)).save(folder / "x.jpg", quality=80)
        (folder / "x.jpg").rename(folder / f"{number + 40}.png")
    data = split(folder, replace(VQA, split=Split(share=0.3, seed=seed)))
    shown = [{what_is_shown(row.origin) for row in rows} for rows in (data.train, data.heldout)]
    assert not shown[0] & shown[1]
    assert 0.2 <= len(data.heldout) / 110 <= 0.3


def what_is_shown(origin: str) -> int:
    """30 to 39 are copies of 0 to 9, and 40 to 49 are likenesses of them."""
    row = int(origin.rpartition(" ")[2]) - 1
    number = row % 30 if row < 90 else row - 60
    return number % 10 if number >= 30 else number


def test_a_writer_is_never_on_both_sides(tmp_path: Path) -> None:
    folder = make(tmp_path / "data", [line(number, writer=f"w{number % 12}") for number in range(60)])
    reading = replace(VQA, columns={**VQA.columns, "group": "writer"}, split=Split(share=0.2, group=True))
    data = split(folder, reading)
    writers = [{int(row.origin.rpartition(" ")[2]) % 12 for row in rows} for rows in (data.train, data.heldout)]
    assert not writers[0] & writers[1]
    assert len(writers[1]) == 2


def test_a_column_and_a_folder_name_the_sides(tmp_path: Path) -> None:
    rows = [line(number, side="test" if number % 5 == 0 else "train") for number in range(50)]
    folder = make(tmp_path / "data", rows)
    reading = replace(VQA, columns={**VQA.columns, "split": "side"}, split=Split("column"))
    data = split(folder, reading)
    assert {int(row.origin.rpartition(" ")[2]) % 5 for row in data.heldout} == {1}
    assert (len(data.train), len(data.heldout)) == (40, 10)
