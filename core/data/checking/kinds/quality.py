"""Files, texts and pictures that deserve a look before anything is learned from them; most can be used as they are.

What it does not do: look at them (`core.data.checking.survey`, `core.data.checking.looks`).
"""

from __future__ import annotations

from core.data import trouble
from core.data.checking.kinds.kind import Kind

LONG_SIDE, SHORT_SIDE, THIN = 2048, 28, 10
"""Pixels from which a picture is called large or small, and how many times longer than wide one is called thin.
Processors of the field scale pictures to between 224 and about 1,536 pixels; a patch has 14 to 28."""
QUALITY: dict[str, Kind] = {
    trouble.ENCODING: Kind(
        "warning",
        "1 file is not in UTF-8 and was read as Latin-1",
        "{count} files are not in UTF-8 and were read as Latin-1",
        "Signs beyond plain letters may be wrong",
        "Look at the preview; save the file again as UTF-8 where signs are wrong",
        action="",
        change={},
    ),
    trouble.TABLE_FORM: Kind(
        "warning",
        "1 table has two columns of one name",
        "{count} tables have two columns of one name",
        "The later one got a number behind its name, and one of them may be read for the other",
        "Look at which column is read as what; rename them in the file where that is wrong",
        action="",
        change={},
    ),
    trouble.BROKEN_TEXT: Kind(
        "warning",
        "1 row holds signs that were damaged on their way",
        "{count} rows hold signs that were damaged on their way",
        "Signs such as � or Ã© are left when text is saved in one encoding and read in another",
        "Save the text again as UTF-8, or leave these rows out",
    ),
    trouble.MIXED_SCRIPT: Kind(
        "warning",
        "1 answer is written in another script than the others",
        "{count} answers are written in another script than the others",
        "A few answers in another script are often a mistake, and too few to learn the script from",
        "Look at them; leave them out where they do not belong here",
    ),
    trouble.ODD_LANGUAGE: Kind(
        "warning",
        "1 row has a language that hardly any other has",
        "{count} rows have a language that hardly any other has",
        "So few rows of a language are a typing error or too few to learn from",
        "Correct the column, or leave these rows out",
    ),
    trouble.LARGE_IMAGE: Kind(
        "warning",
        "1 row has a picture that is larger than models see",
        "{count} rows have pictures that are larger than models see",
        f"Beyond {LONG_SIDE:,} pixels a picture only costs time and disk: the model's processor makes it smaller",
        "Make them smaller when the data are stored; shapes stay as they are",
        f"Make them {LONG_SIDE // 2:,} pixels at most",
        {"max_side": LONG_SIDE // 2},
    ),
    trouble.SMALL_IMAGE: Kind(
        "warning",
        "1 row has a picture that is very small",
        "{count} rows have pictures that are very small",
        f"With a side below {SHORT_SIDE} pixels hardly a patch of the model is filled, and some models refuse it",
        "Look at them; leave them out where there is nothing to see",
    ),
    trouble.THIN_IMAGE: Kind(
        "warning",
        "1 row has a picture that is far longer than wide",
        "{count} rows have pictures that are far longer than wide",
        f"More than {THIN} times longer than wide: models squeeze such pictures or refuse them",
        "Cut them into pieces, or leave these rows out",
    ),
    trouble.SEVERAL_FRAMES: Kind(
        "warning",
        "1 row has a picture of several frames or pages",
        "{count} rows have pictures of several frames or pages",
        "The model sees the first one only",
        "Save the other ones as pictures of their own where they matter",
        action="",
        change={},
    ),
    trouble.TEXT_ONLY: Kind(
        "warning",
        "1 row has no picture and is text alone",
        "{count} rows have no picture and are text alone",
        "They are learned like the others; a model that sees may answer them worse for it",
        "Nothing has to be done when they are meant to be there",
    ),
    trouble.CHOSEN: Kind(
        "warning",
        "1 row was left out by hand",
        "{count} rows were left out by hand",
        "They are in the files and not in the data set",
        "Nothing has to be done",
        action="",
        change={},
    ),
    trouble.REFUSED_FILE: Kind(
        "warning",
        "1 file was not taken in",
        "{count} files were not taken in",
        "Links, hidden files, and files with unsafe names or damage stay outside; each is named below",
        "Nothing has to be done when no row needs them",
        action="",
        change={},
    ),
}
