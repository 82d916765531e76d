"""What went wrong, as a sentence for the person; the traceback stays in the log.

What it does not do: catch anything by itself.
"""

from __future__ import annotations

import errno

from core.errors import StudioError, TrainingError
from core.models.out_of_memory import is_out_of_memory

ASKED = "The job was run"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def in_words(error: BaseException) -> StudioError:
    """The sentence for an error that ended a job.

    >>> str(in_words(MemoryError()))
    'The job was run: the memory did not suffice. Take a smaller batch size or model, or switch checkpointing on.'
    """
    for cause in _chain(error):
        if isinstance(cause, StudioError):
            return cause
        if is_out_of_memory(cause):
            return TrainingError(
                ASKED,
                "the memory did not suffice",
                "Take a smaller batch size or model, or switch checkpointing on",
            )
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return TrainingError(ASKED, "the disk is full", "Free some space and start it again")
        if isinstance(cause, PermissionError):
            return TrainingError(ASKED, "a file could not be written or read", "Check the rights of the data folder")
    return TrainingError(
        ASKED, f"something unexpected happened ({type(error).__name__})", "The job's log has the details"
    )


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what caused it, in that order."""
    chain: list[BaseException] = []
    step: BaseException | None = error
    while step is not None and step not in chain:
        chain.append(step)
        step = step.__cause__
    return chain
