"""How data are understood, and what was found in them: the values between an upload and a data set to train on.

Reading says which files hold the rows and what stands in which column; a Report says what is wrong with them.
What it does not do: hold a row (see `core.data.rows`) or open a file.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from core.errors import SpecError
from core.spec.text import STRICT

Format = Literal["messages", "sharegpt", "prompt_completion", "vqa", "captions", "coco", "classes", "ocr", "pairs"]
"""What a row says, in the field's words: TRL's messages; ShareGPT / LLaVA conversations with `<image>`; prompt and
completion; picture, question and answer(s); picture and caption; COCO's caption JSON; one folder (or label) a class;
picture and its text; contrastive pairs, of which a `verdict` may say which belong together."""
Part = Literal[
    "image",
    "question",
    "answer",
    "prompt",
    "completion",
    "messages",
    "text",
    "label",
    "verdict",
    "system",
    "language",
    "split",
    "group",
    "choices",
]
"""What a column is for; `choices` are those that an answer's number or letter means, and the `verdict` of a pair says
whether its text belongs to its picture."""
SplitBy = Literal["share", "column", "folders"]
Severity = Literal["error", "warning"]
MAX_TEMPLATE = 4000
"""Characters of a template or a system prompt."""


@dataclass(frozen=True, config=STRICT)
class Split:
    """Which rows are held out. Rows that share a picture, or a group, are always on one side."""

    by: SplitBy = "share"
    """A share of the rows; a column that names the side; folders or files that are called train and held-out."""
    share: float = 0.1
    """Of the rows, when held out by share."""
    seed: int = 0
    group: bool = False
    """Whether rows with the same value of the column for `group` (a writer, a patient) stay together."""

    def __post_init__(self) -> None:
        if not 0.001 <= self.share <= 0.9:
            asked = f"Holding out {100 * self.share:g} percent of the rows was asked for"
            raise SpecError(asked, "it must be from 0.1 to 90 percent", "10 percent, a share of 0.1, are usual")


@dataclass(frozen=True, config=STRICT)
class Reading:
    """How files are read as rows. Guessed by `core.data.formats.recognition`, put right by the person."""

    format: Format
    tables: tuple[str, ...] = ()
    """Files that hold the rows, by their names in the tree; none where the folders are the labels."""
    columns: dict[Part, str] = Field(default_factory=dict)
    """Which column holds what."""
    template: str = ""
    """What is asked where rows hold no question of their own; `{column}` stands for a column's text."""
    answer_template: str = ""
    """How an answer is worded, such as `This is {label}.`; the text alone when empty."""
    system: str = ""
    """The system prompt of every row that has none of its own."""
    split: Split = Split()
    drop: tuple[str, ...] = ()
    """Kinds of findings whose rows are left out; each is written down in the data set."""
    drop_rows: tuple[int, ...] = ()
    """Single rows that are left out, counted from 0 over all tables."""
    max_side: int | None = None
    """Pixels: pictures with a longer side are made smaller when the data set is stored."""
    limit: int | None = None
    """At most so many rows are read; a stream of the Hub needs an end."""
    foreign_paths: bool = False
    """Whether a path of another machine is looked for by its end, among the files that were given."""

    def __post_init__(self) -> None:
        for text in (self.template, self.answer_template, self.system):
            if len(text) > MAX_TEMPLATE:
                raise SpecError(
                    "A template was given", f"it has {len(text):,} characters", f"Keep it under {MAX_TEMPLATE:,}"
                )
        for what, value, low, high in (
            ("The longest side of a picture", self.max_side, 16, 16_384),
            ("The number of rows to read", self.limit, 2, 10_000_000),
        ):
            if value is not None and not low <= value <= high:
                raise SpecError(f"{what} is {value:,}", f"it must be from {low:,} to {high:,}", "Leave it empty")


@dataclass(frozen=True, config=STRICT)
class Guess:
    """A reading with its reason, and the others that were possible."""

    reading: Reading
    reason: str
    """Why this one, in words that name what was seen."""
    columns: tuple[str, ...] = ()
    """All columns that the tables have."""
    column_reasons: dict[Part, str] = Field(default_factory=dict)
    """Why a column was taken for this."""
    others: tuple[tuple[Format, str], ...] = ()
    """Formats that would also do, with what speaks for them."""


@dataclass(frozen=True, config=STRICT)
class Place:
    """Where something was found."""

    file: str
    """Inside of what was given, never a path of this machine."""
    row: int | None = None
    """Line of a text table, from 1; element of a list or of a binary table, from 1."""
    detail: str = ""
    """What is special here: a name, a size, what it is the same as."""


@dataclass(frozen=True, config=STRICT)
class Finding:
    """One kind of trouble, with all its places counted."""

    kind: str
    """Names it in code and in `Reading.drop`, such as `missing_image`."""
    severity: Severity
    """Errors block; warnings explain."""
    title: str
    """What is wrong, with the number of rows."""
    reason: str
    """Why it matters."""
    remedy: str
    """What the person can do, in words."""
    action: str = ""
    """What the button beside it says; empty when nothing can be done here."""
    change: dict[str, object] = Field(default_factory=dict)
    """Fields of `Reading` that the button sets, such as {"drop": ["missing_image"]}; lists are added to."""
    count: int = 0
    """Rows (or files) concerned."""
    left_out: int = 0
    """How many of them are left out because the reading says so."""
    places: tuple[Place, ...] = ()
    """The first of them."""


@dataclass(frozen=True, config=STRICT)
class Histogram:
    """Counts between edges."""

    edges: tuple[float, ...]
    """One more than the counts."""
    counts: tuple[int, ...]
    unit: str = ""


@dataclass(frozen=True, config=STRICT)
class Report:
    """What was found in data."""

    rows: int
    """Read, the broken ones included."""
    usable: int
    """Left when what the reading drops is gone."""
    train: int
    heldout: int
    pictures: int
    """Different ones, by their bytes."""
    findings: tuple[Finding, ...] = ()
    """Errors first."""
    answers: tuple[tuple[str, int], ...] = ()
    """The most common answers with their rows."""
    majority: float = 0.0
    """Share of the most common held-out answer: what guessing would score."""
    sides: Histogram | None = None
    """Longer sides of the pictures."""
    lengths: Histogram | None = None
    """Lengths of the answers in characters."""
    languages: tuple[tuple[str, int], ...] = ()
    """Of the language column."""

    @property
    def blocked(self) -> bool:
        """Whether an error stands in the way of using the data."""
        return any(finding.severity == "error" for finding in self.findings)


@dataclass(frozen=True, config=STRICT)
class Imported:
    """What a stored data set says of itself: `dataset.json` in its folder."""

    name: str
    """Its hash: sha256 over rows, pictures and split, in hex."""
    title: str
    origin: str
    """What it was made of: the upload's or folder's name, or the Hub id with its commit; no path of this machine."""
    reading: Reading
    report: Report
    """Of what was read, with what was dropped and why."""
    train: int
    heldout: int
    pictures: int
    created: float
    """Seconds since 1970."""
    size: int = 0
    """Bytes on disk."""
    licence: str = ""
    attribution: str = ""
    question: str = ""
    """What the first row asks."""
