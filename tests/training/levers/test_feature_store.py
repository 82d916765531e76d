"""Features on disk: what is read is what was written, whole or not at all, and never more than the bound."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import torch

from core.training.levers import feature_store
from core.training.levers.feature_store import FeatureStore
from core.training.levers.features import Features, together

KEYS = [f"{number:02d}{'ab' * 31}" for number in range(10)]


def features(number: float = 1.0) -> Features:
    layers = [[torch.full((2, 3), number)], [torch.full((2, 3), number + 1)]]
    return {"pooler_output": [torch.full((4, 8), number, dtype=torch.bfloat16)], "deepstack_features": layers, "n": 3}


def same(one: Features, other: Features) -> bool:
    return str(one) == str(other) and one.keys() == other.keys()


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.put(KEYS[0], features(0.3))
    found = FeatureStore(tmp_path).get(KEYS[0])
    assert found is not None
    assert same(found, features(0.3))
    assert found["pooler_output"][0].dtype == torch.bfloat16
    assert store.get(KEYS[1]) is None


def test_no_folder_keeps_nothing() -> None:
    store = FeatureStore(None)
    store.put(KEYS[0], features())
    assert not store.has(KEYS[0])
    assert store.get(KEYS[0]) is None


def test_the_oldest_go_but_none_of_this_job(tmp_path: Path) -> None:
    earlier = FeatureStore(tmp_path)
    for age, key in enumerate(KEYS[:4]):
        earlier.put(key, features())
        path = next(tmp_path.rglob(f"{key}.safetensors"))
        os.utime(path, (1000 + age, 1000 + age))
    one = bytes_in(tmp_path) // 4
    now = FeatureStore(tmp_path, limit=5 * one)
    assert now.get(KEYS[0]) is not None  # used again: the youngest now
    for key in KEYS[4:7]:
        now.put(key, features())
    kept = [key for key in KEYS if now.has(key)]
    assert kept == [KEYS[0], KEYS[3], *KEYS[4:7]]
    for key in KEYS[7:]:
        now.put(key, features())
    assert bytes_in(tmp_path) <= 5 * one
    assert all(now.has(key) for key in KEYS[4:7])


def test_a_full_disk_takes_nothing_more_and_nothing_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    store = FeatureStore(tmp_path)
    monkeypatch.setattr(feature_store.os, "replace", full)
    store.put(KEYS[0], features())
    monkeypatch.undo()
    store.put(KEYS[1], features())
    assert bytes_in(tmp_path) == 0


def test_jobs_side_by_side_read_whole_entries(tmp_path: Path) -> None:
    wrong: list[str] = []

    def work() -> None:
        store = FeatureStore(tmp_path)
        for number in range(60):
            key = KEYS[number % 5]
            found = store.get(key)
            if found is not None and not same(found, features(int(key[:2]))):
                wrong.append(key)
            store.put(key, features(int(key[:2])))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not list(tmp_path.rglob("*.part"))


def test_halves_of_jobs_that_are_gone_are_taken_away(tmp_path: Path) -> None:
    folder = tmp_path / KEYS[0][:2]
    folder.mkdir()
    old, new = folder / "old.part", folder / "new.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1000, 1000))
    FeatureStore(tmp_path)
    assert not old.exists()
    assert new.exists()


def test_rows_become_a_batch_by_picture_and_by_layer() -> None:
    joined = together([features(1.0), features(5.0)])
    assert [float(value[0, 0]) for value in joined["pooler_output"]] == [1.0, 5.0]
    assert [[float(value[0, 0]) for value in layer] for layer in joined["deepstack_features"]] == [
        [1.0, 5.0],
        [2.0, 6.0],
    ]
