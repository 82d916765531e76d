"""Work that takes its time, in threads of the server that give way to everything else: one at a time for each owner.

What it does not do: outlive the server, or know what the work is.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request

AT_ONCE = 2
"""Owners whose work goes on at the same time; the others wait."""
LOOK = 0.1
"""Seconds between two looks whether somebody still waits for the answer."""
NICENESS = 5

Found = TypeVar("Found")


class Gone(Exception):
    """Nobody waits for the answer any more."""


@dataclass
class Lanes:
    """A queue of work for each owner; a thread is there for as long as an owner has work."""

    _waiting: dict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE))

    def submit(self, owner: str, work: Callable[[], Found]) -> Future[Found]:
        """Has the work done when all that the owner asked for before is done."""
        future: Future[Found] = Future()
        with self._lock:
            lane = self._waiting.get(owner)
            if lane is None:
                lane = self._waiting[owner] = deque()
                threading.Thread(target=self._run, args=(owner,), daemon=True, name="data").start()
            lane.append((future, work))
        return future

    def _run(self, owner: str) -> None:
        give_way()
        while (task := self._next(owner)) is not None:
            future, work = task
            with self._room:
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)

    def _next(self, owner: str) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._lock:
            lane = self._waiting[owner]
            if not lane:
                del self._waiting[owner]
                return None
            return lane.popleft()


def give_way() -> None:
    """Lets everything else that the server does go before this thread."""
    if sys.platform == "linux":  # elsewhere this is of the process, not of the thread
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


async def awaited(request: Request, answer: Future[Found], cancelled: threading.Event | None = None) -> Found:
    """The answer when it is there.

    Raises:
        Gone: its page has gone on before it was begun, or in the middle where `cancelled` is listened to.
    """
    waiting = asyncio.wrap_future(answer)
    while not waiting.done():
        await asyncio.wait([waiting], timeout=LOOK)
        if not waiting.done() and await request.is_disconnected():
            if cancelled is not None:
                cancelled.set()
            if answer.cancel() or cancelled is not None:
                raise Gone
    return waiting.result()
