"""What a model learns from, one row at a time: turns of a conversation that hold text and pictures.

A picture is anything that has a name in its data set and can be opened: a file, a stored one, one in memory.
What it does not do: read files, or turn a row into tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from core.data.wording import majority_share
from core.spec import Format

if TYPE_CHECKING:
    from PIL.Image import Image

Speaker = Literal["system", "user", "assistant"]


@runtime_checkable
class Picture(Protocol):
    """A picture of a row. Two are equal when they are the same place of the same data set."""

    @property
    def name(self) -> str:
        """Its name in the data set, such as `heldout/0003.png`; unique there, and never a path of this machine."""
        ...

    def open(self) -> Image:
        """As RGB, turned the way its EXIF data says. Raises DataError: damaged, no picture, too large."""
        ...

    def read(self) -> bytes:
        """The file's bytes. Raises DataError: it is no longer there."""
        ...


@dataclass(frozen=True)
class PictureInMemory:
    """A picture that lies in no file; each is only equal to itself."""

    image: Image = field(compare=False, hash=False)
    name: str = "picture"
    token: object = field(default_factory=object)

    def open(self) -> Image:
        """The picture itself."""
        return self.image

    def read(self) -> bytes:
        """As PNG."""
        from io import BytesIO

        file = BytesIO()
        self.image.save(file, "PNG")
        return file.getvalue()


@dataclass(frozen=True)
class Turn:
    """What one side says: texts and pictures in their order."""

    speaker: Speaker
    parts: tuple[str | Picture, ...]

    @property
    def text(self) -> str:
        """The texts alone, one after the other."""
        return "\n".join(part for part in self.parts if isinstance(part, str)).strip()

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures alone."""
        return tuple(part for part in self.parts if not isinstance(part, str))


@dataclass(frozen=True)
class Row:
    """A conversation whose last turn is the answer to learn; earlier answers are learned too."""

    turns: tuple[Turn, ...]
    language: str = ""
    """What a language column says of it, such as `de`."""
    origin: str = field(default="", compare=False)
    """Where it came from, to be named in a sentence: file and row, such as `vqa.csv, line 12`."""

    @property
    def prompt(self) -> tuple[Turn, ...]:
        """What comes before the answer."""
        return self.turns[:-1]

    @property
    def question(self) -> str:
        """The text of the turn before the answer."""
        return self.turns[-2].text if len(self.turns) > 1 else ""

    @property
    def answer(self) -> str:
        """The text of the last turn."""
        return self.turns[-1].text

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All of them, in the order in which the model sees them."""
        return tuple(picture for turn in self.turns for picture in turn.pictures)

    @property
    def picture(self) -> Picture | None:
        """The first one, to show."""
        return next(iter(self.pictures), None)

    @property
    def picture_name(self) -> str:
        """The first picture's name, or nothing."""
        return self.picture.name if self.picture else ""


def ask(
    pictures: Picture | Sequence[Picture], question: str, answer: str = "", system: str = "", origin: str = ""
) -> Row:
    """The row of one question about pictures, which come before it.

    >>> ask((), "What is 1 + 1?", "2").question
    'What is 1 + 1?'
    """
    shown = tuple(pictures) if isinstance(pictures, Sequence) else (pictures,)
    before = (Turn("system", (system,)),) if system else ()
    return Row((*before, Turn("user", (*shown, question)), Turn("assistant", (answer,))), origin=origin)


@dataclass(frozen=True)
class Dataset:
    """Rows to learn from and rows that are only looked at. They may lie on disk: take those that are needed."""

    name: str
    title: str
    story: str
    licence: str
    attribution: str
    """Who is to be named; shown wherever the data are."""
    train: Sequence[Row]
    heldout: Sequence[Row]
    pictures: Mapping[str, Picture]
    """All pictures, by their names."""
    format: Format | None = field(default=None, kw_only=True)
    """What the rows were read as; None where that says nothing of their answers."""

    @cached_property
    def majority(self) -> float:
        """Share (0 to 1) of the most common held-out answer: what guessing would score."""
        return majority_share(row.answer for row in self.heldout)
