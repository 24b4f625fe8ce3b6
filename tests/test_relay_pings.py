"""Pings of a relay beside what it sends: they are for a connection on which nothing happens."""

import asyncio

from starlette.types import Message

from aiorunstream.relay._browser import Browser


class Slow:
    """An ASGI server whose browser takes nothing until it is let, after the head."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.takes = asyncio.Event()

    async def receive(self) -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            await self.takes.wait()
            self.sent.append(message["body"])


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_no_ping_queues_up_behind_what_a_browser_is_slow_to_take() -> None:
    server = Slow()
    browser = Browser(server.receive, server.send, lambda: None)
    browser._last_sent = asyncio.get_running_loop().time() - 60  # a ping is due at once
    writing = asyncio.create_task(browser.write(b"data: 1\n\n"))
    await turns(3)
    browser.ping_every(30)
    await turns(3)
    server.takes.set()
    await writing
    await turns(5)
    assert server.sent == [b"data: 1\n\n"]
    browser.stop_watching()
    await browser.stopped()


async def test_a_ping_is_sent_where_nothing_else_was() -> None:
    server = Slow()
    server.takes.set()
    browser = Browser(server.receive, server.send, lambda: None)
    browser._last_sent = asyncio.get_running_loop().time() - 60
    browser.ping_every(30)
    await turns(3)
    assert [sent.startswith(b":") for sent in server.sent] == [True]
    browser.stop_watching()
    await browser.stopped()
