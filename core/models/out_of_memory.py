"""Whether an error says that memory ran out: of the machine or of a device, by whatever library.

What it does not do: estimate how much is needed.
"""

from __future__ import annotations

import errno

_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "alloc_cpu", "status_alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this very error says so; its cause is not looked at.

    >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    True
    >>> is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    True
    """
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)
