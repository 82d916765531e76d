"""Background work: one after the other for an owner, in turns between owners, and never more threads than that."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from tests.ui.parts import wait_for
from ui import lanes
from ui.lanes import AT_ONCE, NICENESS, Gone, Lanes, awaited


@pytest.fixture
def gate():
    """Work that waits until it is let go."""
    opened = threading.Event()
    yield opened
    opened.set()


def run_apart(function, *arguments):
    """In a thread of its own: browser tests leave a loop running in this one."""
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(anyio.run, function, *arguments).result()


def test_an_owner_s_work_is_done_in_its_order():
    made, order = Lanes(), []
    futures = [made.submit("anna", lambda n=n: order.append(n)) for n in range(50)]
    for future in futures:
        future.result(60)
    assert order == list(range(50))


def test_owners_take_turns_and_nobody_waits_for_all_of_another_s_work(gate: threading.Event):
    made, order = Lanes(), []
    held = [made.submit(f"held {n}", lambda: gate.wait(60)) for n in range(AT_ONCE)]
    wait_for(lambda: all(future.running() for future in held))
    many = [made.submit("anna", lambda: order.append("anna")) for _ in range(20)]
    one = made.submit("ben", lambda: order.append("ben"))
    gate.set()
    one.result(60)
    many[-1].result(60)
    assert order.index("ben") <= AT_ONCE + 1


def test_many_owners_share_a_few_threads_that_give_way(gate: threading.Event):
    made = Lanes()
    before = set(threading.enumerate())
    niceness: list[int] = []

    def work() -> None:
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        gate.wait(60)

    futures = [made.submit(f"owner {n}", work) for n in range(200)]
    wait_for(lambda: len(niceness) == AT_ONCE)
    assert len(set(threading.enumerate()) - before) == AT_ONCE
    gate.set()
    for future in futures:
        future.result(60)
    if sys.platform == "linux":
        assert set(niceness) == {NICENESS}


def test_threads_end_when_there_is_nothing_to_do_and_begin_again(monkeypatch):
    monkeypatch.setattr(lanes, "IDLE", 0.01)
    made = Lanes()
    for _ in range(20):
        assert made.submit("anna", lambda: 7).result(60) == 7
        wait_for(lambda: made._threads == 0)
    assert not made._waiting


def test_work_that_fails_does_not_hold_up_what_comes_after_it():
    made = Lanes()

    def broken() -> None:
        raise ValueError("no")

    failed, after = made.submit("anna", broken), made.submit("anna", lambda: "done")
    assert after.result(60) == "done"
    with pytest.raises(ValueError, match="no"):
        failed.result(60)


def test_work_that_was_given_up_before_its_turn_is_never_begun(gate: threading.Event):
    made, begun = Lanes(), []
    made.submit("anna", lambda: gate.wait(60))
    waiting = made.submit("anna", lambda: begun.append(1))
    assert waiting.cancel()
    gate.set()
    assert made.submit("anna", lambda: "after").result(60) == "after"
    assert not begun
    with pytest.raises(CancelledError):
        waiting.result(0)


def page_that(has_gone: bool) -> Any:
    async def is_disconnected() -> bool:
        return has_gone

    return SimpleNamespace(is_disconnected=is_disconnected)


def test_a_page_that_has_gone_on_ends_what_listens_for_it():
    cancelled, running = threading.Event(), Future()
    running.set_running_or_notify_cancel()
    with pytest.raises(Gone):
        run_apart(awaited, page_that(has_gone=True), running, cancelled)
    assert cancelled.is_set()
    waiting: Future[int] = Future()
    with pytest.raises(Gone):
        run_apart(awaited, page_that(has_gone=True), waiting)
    assert waiting.cancelled()


def test_a_page_that_waits_gets_the_answer():
    future: Future[int] = Future()
    threading.Timer(0.15, future.set_result, [7]).start()
    assert run_apart(awaited, page_that(has_gone=False), future) == 7
