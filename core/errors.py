"""Every error that a person can cause, as one tree.

StudioError                 asked: what was wanted; reason: why not; remedy: what to do instead
├── SourceError             a model or a data set cannot be used
│   ├── SourceNotFound      nothing is there: unknown id, no network, no such folder, no config
│   └── SourceRefused       something is there and is not safe: pickled weights, code of its own, outside its root
├── InspectionError         the config cannot be built, or is not of a vision-language model
├── PlanError               a selection that matches nothing, a rank or alpha that makes no sense
├── SpecError               a value of the spec is missing, unknown, of the wrong type or out of range
├── DataError               rows or pictures that cannot be used
├── TrainingError           a job cannot go on
│   ├── CountMismatch       PEFT wrapped other parameters than the spec promised
│   ├── Diverged            the loss is no number any more, or far above what it was
│   └── OutOfMemory         the memory of the device or of the machine did not suffice
├── JobError                a job is unknown, another's, or in the wrong state for what was asked
└── AdapterError            an adapter is missing or does not fit its model

What it does not do: carry a traceback, a path outside the person's own folders, or a token.
"""

from __future__ import annotations


class StudioError(Exception):
    """A plain sentence for a person: what was asked, why it cannot be, and what to do instead."""

    def __init__(self, asked: str, reason: str, remedy: str) -> None:
        self.asked, self.reason, self.remedy = asked.rstrip("."), reason.rstrip("."), remedy.rstrip(".")
        super().__init__(asked, reason, remedy)

    def __str__(self) -> str:
        return f"{self.asked}: {self.reason}. {self.remedy}."


class SourceError(StudioError):
    """A model or a data set cannot be used."""


class SourceNotFound(SourceError):
    """Nothing is there: an unknown id, no network, no such folder, a folder without a config."""


class SourceRefused(SourceError):
    """Something is there and is not safe: pickled weights, code of its own, a path outside its root."""


class InspectionError(StudioError):
    """The config cannot be built, or does not describe a vision-language model."""


class PlanError(StudioError):
    """A selection that matches nothing, or a rank, alpha or dropout that makes no sense."""


class SpecError(StudioError):
    """A value of the spec is missing, unknown, of the wrong type or out of range."""


class DataError(StudioError):
    """Rows or pictures that cannot be used."""


class TrainingError(StudioError):
    """A job cannot go on."""


class CountMismatch(TrainingError):
    """PEFT wrapped other parameters than the spec promised."""


class Diverged(TrainingError):
    """The loss or its gradient is no number any more, or far above what it was."""


class OutOfMemory(TrainingError):
    """The memory of the device or of the machine did not suffice."""


class JobError(StudioError):
    """A job is unknown, belongs to another, or is in the wrong state for what was asked."""


class AdapterError(StudioError):
    """An adapter is missing or does not fit its model."""
