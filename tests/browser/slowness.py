"""A slow machine made on purpose: what a browser test asks for is late, in another order each time, and drawn slowly.

With `SLOW_BROWSER=1` in the environment (see conftest.py) every request waits for up to `MOST_DELAY` before it reaches
the server, pages get a fraction of the processor, and the server gives way to everything else. A test that passes there
several times waits for what it asserts.
What it does not do: change the product, or what is sent.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import threading
from urllib.parse import urlsplit

from playwright.sync_api import Page

SLOW = os.environ.get("SLOW_BROWSER", "") not in ("", "0")
THROTTLED = 4
"""Times slower than the machine is: what a page may use of the processor."""
MOST_DELAY, MOST_DELAY_OF_FILES = 0.4, 0.03
"""Seconds that a request waits at most; Gradio's own files are hundreds a page, which would only take time."""
REQUEST = re.compile(rb"(GET|POST|PUT|DELETE|HEAD|OPTIONS) /(assets/|static/)?")
CHUNK = 2**16
NICE = ["nice", "-n", "19"]


def slowed(page: Page) -> None:
    """Gives a page a fraction of the processor, where slowness is asked for."""
    if SLOW:
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": THROTTLED})


def delayed(address: str) -> str:
    """An address that leads to the same server; every request to it waits for a while first."""
    server = urlsplit(address)
    assert server.hostname
    assert server.port
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name="delays").start()
    port = asyncio.run_coroutine_threadsafe(_listen(server.hostname, server.port), loop).result()
    return f"http://{server.hostname}:{port}"


async def _listen(host: str, port: int) -> int:
    """Listens on a free port -> the port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, away = await asyncio.open_connection(host, port)
        except OSError:  # the server was killed: so is the connection
            writer.close()
            return
        await asyncio.gather(_pass(reader, away, late=True), _pass(there, writer, late=False))

    listening = await asyncio.start_server(connected, host, 0)
    return int(listening.sockets[0].getsockname()[1])


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late: bool) -> None:
    """Hands on what comes, a request after a while, until one side is closed."""
    try:
        while chunk := await reader.read(CHUNK):
            if late and (request := REQUEST.match(chunk)):
                await asyncio.sleep(random.uniform(0, MOST_DELAY_OF_FILES if request[2] else MOST_DELAY))
            writer.write(chunk)
            await writer.drain()
    except OSError:  # a page that was closed, or a server that was killed
        return
    finally:
        writer.close()
