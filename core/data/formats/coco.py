"""COCO's caption JSON: a list of pictures, and a list of annotations that name them by number.

What it does not do: read boxes or masks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from core.data.columns import Column
from core.data.formats.evidence import Candidate
from core.data.tables import Record
from core.data.tree import Entry
from core.errors import DataError
from core.spec.data import Place

IMAGE, TEXT = "file_name", "caption"
"""Columns of the joined rows."""
MAX_BYTES = 1_000_000_000
"""Largest file; the captions of COCO 2017 have 92 MB."""


def joined(entry: Entry) -> Iterator[Record]:
    """One record for each caption, with its picture's file; rows are counted over the annotations, from 1.

    Raises:
        DataError: the file is no JSON of this form, or too large.
    """
    pictures, annotations = parts(entry)
    for number, annotation in enumerate(annotations, 1):
        place = Place(entry.name, number)
        if not isinstance(annotation, dict) or TEXT not in annotation:
            yield Record(place, None, "it is no annotation with a caption")
            continue
        picture = pictures.get(annotation.get("image_id"))
        values = {**annotation, IMAGE: picture or f"(no picture has the id {annotation.get('image_id')})"}
        yield Record(place, values, "")


def is_coco(entry: Entry) -> bool:
    """Whether a JSON file holds pictures and captions as COCO has them."""
    try:
        _, annotations = parts(entry)
    except DataError:
        return False
    return any(isinstance(one, dict) and isinstance(one.get(TEXT), str) for one in annotations[:20])


def candidate(columns: Sequence[Column]) -> Candidate:
    """The one way to read it."""
    columns_of = {column.name: column for column in columns}
    pictures = columns_of[IMAGE].said()
    reason = f"it has the lists “images” and “annotations” of COCO, “{IMAGE}” {pictures}, “{TEXT}” "
    said = columns_of[TEXT].said()
    return Candidate("coco", {"image": IMAGE, "text": TEXT}, reason + said, 97, None, {"image": pictures, "text": said})


def parts(entry: Entry) -> tuple[dict[Any, str], list[Any]]:
    """File names by the pictures' ids, and the annotations. Raises DataError: see `joined`."""
    asked = f"“{entry.name}” was read"
    if entry.size > MAX_BYTES:
        raise DataError(asked, f"it has more than {MAX_BYTES // 10**6:,} MB", "Give the rows as JSON Lines")
    try:
        data = json.loads(entry.read(MAX_BYTES).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(asked, f"it is not JSON in UTF-8 ({error})", "Correct the file") from None
    images, annotations = (data.get("images"), data.get("annotations")) if isinstance(data, dict) else (None, None)
    if not isinstance(images, list) or not isinstance(annotations, list):
        raise DataError(asked, "it holds no lists “images” and “annotations”", "Choose another format")
    names = {
        one["id"]: str(one[IMAGE])
        for one in images
        if isinstance(one, dict) and isinstance(one.get("id"), (int, str)) and one.get(IMAGE)
    }
    return names, annotations
