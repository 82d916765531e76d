"""Which side of the split a name stands for: train, or held out. Test, val, dev and eval are all held out.

What it does not do: divide rows by share (see `core.data.checking.splits`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Literal

Side = Literal["train", "heldout", ""]
TRAIN = frozenset(("train", "training", "trn", "trainval", "restval"))
HELD_OUT = frozenset(("test", "testing", "tst", "val", "valid", "validation", "dev", "eval", "evaluation", "heldout"))
_BESIDE = frozenset(("set", "data", "split", "images", "image", "imgs", "img", "pictures", "files", "a", "b", "the"))
"""Words that may stand beside the side in a folder's name: `train_images`, `val set`."""


def side_of_value(text: str) -> Side:
    """What a cell of a split column says.

    >>> side_of_value("Training"), side_of_value("val"), side_of_value("cat")
    ('train', 'heldout', '')
    """
    return _only(_words(text))


@lru_cache(maxsize=1024)
def side_of_table(name: str) -> Side:
    """What a table's name says, or the nearest folder that says something.

    >>> side_of_table("my_test/train-00000-of-00002.parquet"), side_of_table("val/rows.csv"), side_of_table("a.csv")
    ('train', 'heldout', '')
    """
    path = PurePosixPath(name)
    words = _words(path.name.split(".", 1)[0])
    sides: set[Side] = {side for word in words if (side := _side(word))}
    return sides.pop() if len(sides) == 1 else side_of_folder(name)


def side_of_folder(name: str) -> Side:
    """What the folders above a file say, the nearest first.

    >>> side_of_folder("train2017/cats/1.jpg"), side_of_folder("contest/1.jpg"), side_of_folder("train.jpg")
    ('train', '', '')
    """
    return _side_of_path(name.rpartition("/")[0])


@lru_cache(maxsize=4096)
def _side_of_path(folder: str) -> Side:
    return next((side for part in reversed(folder.split("/")) if (side := _only(_words(part)))), "")


def _words(text: str) -> list[str]:
    """Words in lower case: `heldOut`, `held-out` and `held_out` are one."""
    words = re.findall(r"[a-z]+", text.lower())
    return " ".join(words).replace("held out", "heldout").split()


def _side(word: str) -> Side:
    return "train" if word in TRAIN else "heldout" if word in HELD_OUT else ""


def _only(words: list[str]) -> Side:
    """The side that words stand for, when they say nothing else."""
    sides = {side for word in words if (side := _side(word))}
    return sides.pop() if len(sides) == 1 and all(_side(word) or word in _BESIDE for word in words) else ""
