"""A server that streams a run and takes its cancel, and a client whose streams cancel their runs where they are left."""

import asyncio

from raw_server import STREAM_HEAD, Peer, RawServer, answer, chunk, run_json, start

from aiorunstream import AsyncClient, RetryPolicy, RunStream, Timeouts

CANCELLED = answer(200, run_json("cancelling"))


def streaming(*events: bytes, cancel: bytes = CANCELLED, wait: float = 0.0, end: str = "open") -> RawServer:
    """A server that streams these events, `wait` seconds after the head, and answers a cancel on any connection."""

    async def script(peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if "/cancel " in request.line:
                await peer.send(cancel)
                continue
            await peer.send(STREAM_HEAD)
            await asyncio.sleep(wait)
            await peer.send(*map(chunk, events))
            if end == "rst":
                await asyncio.sleep(0.05)
                peer.rst()
                return

    return RawServer(script)


def cancels(server: RawServer) -> int:
    return sum("/threads/thread_raw/runs/run_raw/cancel " in request.line for request in server.requests)


def a_client(server: RawServer, *, cancel_on_exit: bool = True, attempts: int = 1) -> AsyncClient:
    return AsyncClient(
        base_url=server.base_url,
        timeouts=Timeouts(connect=2, first_event=2, idle=1),
        retry=RetryPolicy(attempts=attempts),
        cancel_on_exit=cancel_on_exit,
    )


async def left_after_one(client: AsyncClient) -> RunStream:
    async with start(client) as stream:
        await anext(stream)
    return stream
