"""COCO's caption JSON: a list of pictures, and a list of annotations that name them by number.

What it does not do: read boxes or masks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from core.data.files.tree import Entry
from core.data.formats.columns import Column
from core.data.formats.evidence import Candidate
from core.data.tables import Record, read_table

IMAGE, TEXT = "file_name", "caption"
"""Columns of the joined rows."""


def joined(entry: Entry) -> Iterator[Record]:
    """One record for each caption, with its picture's file; rows are counted over the annotations, from 1.

    Raises:
        DataError: the file cannot be read.
    """
    pictures = {
        record.values["id"]: record.values[IMAGE]
        for record in read_table(entry, part="images")
        if record.values and isinstance(record.values.get("id"), (int, str)) and record.values.get(IMAGE)
    }
    for record in read_table(entry, part="annotations"):
        if record.values is None:
            yield record
        elif TEXT not in record.values:
            yield replace(record, values=None, trouble="it is no annotation with a caption")
        else:
            number = record.values.get("image_id")
            picture = pictures.get(number) if isinstance(number, (int, str)) else None
            yield replace(record, values={**record.values, IMAGE: picture or f"the picture with the id {number}"})


def is_coco(entry: Entry, lists: Collection[str]) -> bool:
    """Whether a file with these lists holds captions as COCO has them. Raises DataError: it cannot be read."""
    if not {"images", "annotations"} <= set(lists):
        return False
    first = [record.values or {} for record in read_table(entry, 20, part="annotations")]
    return any(isinstance(values.get(TEXT), str) for values in first)


def candidate(columns: Sequence[Column]) -> Candidate:
    """The one way to read it."""
    columns_of = {column.name: column for column in columns}
    pictures = columns_of[IMAGE].said()
    reason = f"it has the lists “images” and “annotations” of COCO, “{IMAGE}” {pictures}, “{TEXT}” "
    said = columns_of[TEXT].said()
    return Candidate("coco", {"image": IMAGE, "text": TEXT}, reason + said, 97, None, {"image": pictures, "text": said})
