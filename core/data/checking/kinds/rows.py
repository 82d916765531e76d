"""Rows that cannot be used, or that hold something else than one would think.

What it does not do: say of rows that can be used whether they are any good (`quality`, `sameness`).
"""

from __future__ import annotations

from core.data import trouble
from core.data.checking.kinds.kind import FIX, LOST, NEW_SPLIT, Kind

ROWS: dict[str, Kind] = {
    trouble.BROKEN_ROW: Kind("error", "1 row cannot be read", "{count} rows cannot be read", LOST, FIX),
    trouble.MISSING_IMAGE: Kind(
        "error",
        "1 row names a picture that is not there",
        "{count} rows name pictures that are not there",
        "The answer would be learned without what it is about",
        "Bring the pictures along under the names that the rows give, or leave these rows out",
    ),
    trouble.UNSAFE_PATH: Kind(
        "error",
        "1 row names a picture outside of the data",
        "{count} rows name pictures outside of the data",
        "Only pictures that came with the data are opened; no address is fetched and no other file is read",
        "Put the pictures beside the rows and name them there, or leave these rows out",
    ),
    trouble.FOREIGN_PATH: Kind(
        "error",
        "1 row names a picture by a path of another machine",
        "{count} rows name pictures by paths of another machine",
        "Such a path is never opened; a picture of the same name came with the data",
        "Look at the rows first: the pictures are looked for by the ends of their paths, among those that came along",
        "Look for them by their names",
        {"foreign_paths": True},
        can_drop=True,
    ),
    trouble.UNREADABLE_IMAGE: Kind(
        "error",
        "1 row has a picture that cannot be opened",
        "{count} rows have pictures that cannot be opened",
        "A damaged picture would stop the training when its turn comes",
        "Save these pictures again as PNG or JPEG, or leave their rows out",
    ),
    trouble.IMAGE_COUNT: Kind(
        "error",
        "1 row has another number of pictures than its text says",
        "{count} rows have another number of pictures than their text says",
        "Each <image> in the text stands for one picture; otherwise the model would see the wrong ones",
        FIX,
    ),
    trouble.NO_IMAGE: Kind(
        "error",
        "1 row has no picture",
        "{count} rows have no picture",
        "Its question is about a picture, and the model would have to guess",
        "Name a picture in these rows, or leave them out",
    ),
    trouble.EMPTY_QUESTION: Kind(
        "error",
        "1 row asks nothing",
        "{count} rows ask nothing",
        "The model has to be told what is wanted",
        "Fill the questions in, give a question for all rows above, or leave these rows out",
    ),
    trouble.EMPTY_ANSWER: Kind(
        "error",
        "1 row has no answer",
        "{count} rows have no answer",
        "The model learns from answers; an empty one teaches it to say nothing",
        "Fill the answers in, or leave these rows out",
    ),
    trouble.BAD_TURNS: Kind(
        "error",
        "1 conversation has its turns in an order that cannot be trained",
        "{count} conversations have their turns in an order that cannot be trained",
        "User and assistant take turns, and the assistant has the last word, which is learned",
        FIX,
    ),
    trouble.BAD_VALUE: Kind(
        "error",
        "1 row holds something else than its column should",
        "{count} rows hold something else than their column should",
        "It cannot be read as what the column is for",
        "Choose another column above, correct the rows, or leave them out",
    ),
    trouble.UNKNOWN_SPLIT: Kind(
        "error",
        "1 row is said to be on a side that is not known",
        "{count} rows are said to be on sides that are not known",
        "Known are train, and test, validation, val, dev or held-out for rows that are only looked at",
        "Correct the column, or hold out a share instead",
        "Hold out a tenth instead",
        NEW_SPLIT,
        can_drop=True,
    ),
    trouble.STRUCTURE: Kind(
        "warning",
        "1 row has a list or an object as its answer",
        "{count} rows have lists or objects as their answers",
        "It is learned as it would be written in JSON, with all its braces and quotes",
        "Nothing has to be done where JSON is wanted; else choose another column above, or leave these rows out",
    ),
    trouble.NO_QUESTION: Kind(
        "warning",
        "Nothing is asked about the pictures",
        "Nothing is asked about the pictures",
        "The model learns to give these answers to a bare picture, and may give them to any other question, too",
        "Write above what is asked for all rows, unless a model that is never asked anything is to be trained",
        "Ask the usual question",
        {"template": "What is in the picture?"},  # or what is usual for the form, see `checks`
    ),
}
