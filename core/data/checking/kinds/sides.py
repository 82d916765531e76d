"""Nothing to learn from, nothing held out, and what stands on both sides of the split.

What it does not do: split (`core.data.checking.splits`).
"""

from __future__ import annotations

from core.data import trouble
from core.data.checking.kinds.kind import NEW_SPLIT, Kind

SIDES: dict[str, Kind] = {
    trouble.NOTHING_TO_TRAIN: Kind(
        "error",
        "No row is left to learn from",
        "No row is left to learn from",
        "Everything that was read is broken, left out, or held out",
        "Bring more rows: at least two, about two pictures",
        action="",
        change={},
    ),
    trouble.NOTHING_HELD_OUT: Kind(
        "error",
        "No row is held out",
        "No row is held out",
        "Without rows that are only looked at, nobody can say what was learned",
        "Hold out a share of the rows, or bring rows about at least two pictures",
        "Hold out a tenth",
        NEW_SPLIT,
    ),
    trouble.ONE_GROUP: Kind(
        "error",
        "No row can be held out, for all belong together",
        "No row can be held out, for all belong together",
        "Rows that share a picture, look alike or are of one group are never on both sides, and there is no other",
        "Bring rows about other pictures; at least two that do not look alike",
        action="",
        change={},
    ),
    trouble.GROUPS_JOINED: Kind(
        "error",
        "No row can be held out while groups are kept together",
        "No row can be held out while groups are kept together",
        "There is one group, or pictures that are alike join the groups, and a group is never on both sides",
        "Do without groups, choose another column for them, or leave out the rows that are alike",
        "Do without groups",
        {"split": {"group": False}},
    ),
    trouble.NO_GROUP: Kind(
        "error",
        "Groups are to be kept together, and no column says them",
        "Groups are to be kept together, and no column says them",
        "A writer or a patient could be on both sides, and the result would flatter",
        "Choose the column of the groups, or do without",
        "Do without groups",
        {"split": {"group": False}},
    ),
    trouble.SHARED_GROUP: Kind(
        "warning",
        "1 row to learn from is of a group that is also held out",
        "{count} rows to learn from are of groups that are also held out",
        "A column says which rows belong together, such as those of one writer; the result would flatter",
        "Split anew by share, with each group on one side, unless the column means something else",
        "Split anew and keep groups together",
        {"split": {"by": "share", "group": True}},
    ),
    trouble.LEAK: Kind(
        "error",
        "1 row to learn from has a picture that is also held out",
        "{count} rows to learn from have pictures that are also held out",
        "The model would be tested on what it has been told, and the result would flatter",
        "Leave these rows out of the training, or split anew by share, where a picture is never on both sides",
        "Leave them out of the training",
    ),
    trouble.GROUP_LEAK: Kind(
        "error",
        "1 row to learn from is of a group that is also held out",
        "{count} rows to learn from are of groups that are also held out",
        "A group is to be on one side only, such as all rows of one writer; otherwise the result would flatter",
        "Leave these rows out of the training, or split anew by share, where a group is never on both sides",
        "Leave them out of the training",
    ),
    trouble.NEAR_LEAK: Kind(
        "warning",
        "1 row to learn from has a picture that looks like a held-out one",
        "{count} rows to learn from have pictures that look like held-out ones",
        "Copies, crops or shots of a series on both sides make the result flatter",
        "Look at them; leave them out of the training where they are the same thing",
        "Leave them out of the training",
    ),
}
