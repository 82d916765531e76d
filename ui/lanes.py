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
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from starlette.requests import Request

AT_ONCE = 2
"""Owners whose work goes on at the same time; the others wait for their turns."""
IDLE = 10.0
"""Seconds after which a thread without work ends."""
LOOK = 0.1
"""Seconds between two looks whether somebody still waits for the answer."""
NICENESS = 5

Found = TypeVar("Found")


class Gone(Exception):
    """Nobody waits for the answer any more."""


@dataclass
class Lanes:
    """A queue of work for each owner, who take turns; a few threads do it, and end when there is nothing to do."""

    _waiting: dict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = field(default_factory=dict)
    """The first of each is being done, or is the owner's next turn."""
    _turns: SimpleQueue[str] = field(default_factory=SimpleQueue)
    _threads: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def submit(self, owner: str, work: Callable[[], Found]) -> Future[Found]:
        """Has the work done when all that the owner asked for before is done."""
        future: Future[Found] = Future()
        with self._lock:
            lane = self._waiting.setdefault(owner, deque())
            lane.append((future, work))
            if len(lane) == 1:
                self._turns.put(owner)
            if self._threads < AT_ONCE:
                self._threads += 1
                threading.Thread(target=self._run, daemon=True, name="data").start()
        return future

    def _run(self) -> None:
        give_way()
        while True:
            try:
                self._turn(self._turns.get(timeout=IDLE))
            except Empty:
                with self._lock:
                    if self._turns.empty():
                        self._threads -= 1
                        return

    def _turn(self, owner: str) -> None:
        future, work = self._waiting[owner][0]
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
        with self._lock:
            lane = self._waiting[owner]
            lane.popleft()
            if lane:
                self._turns.put(owner)
            else:
                del self._waiting[owner]


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
