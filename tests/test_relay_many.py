"""Hundreds of browsers at once."""

import asyncio
import json
import resource

import aiohttp
import pytest
from relay_site import (
    Backend,
    site,
)

from aiorunstream import AsyncClient
from aiorunstream.relay import RunStreamResponse
from aiorunstream.server import Pause, ScriptedEngine
from aiorunstream.sse import SSEDecoder
from aiorunstream.testing import ThreadedServer

MANY = 500


async def test_five_hundred_browsers_at_once_get_every_event_in_order(anyio_backend: Backend) -> None:
    words = [f"word{number} " for number in range(10)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 5 * MANY:
        pytest.skip(f"needs {5 * MANY} descriptors, and may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 5 * MANY), hard))
    all_there = asyncio.Barrier(MANY)
    decoders = [SSEDecoder() for _ in range(MANY)]

    with ThreadedServer(engine=ScriptedEngine([[Pause(0.5), *words]], repeat=True)) as upstream:
        async with AsyncClient(base_url=upstream.base_url) as client:
            assistant = await client.assistants.create(model="any")

        def made(client: AsyncClient) -> RunStreamResponse:
            return RunStreamResponse(client.threads.create_and_run_stream(assistant_id=assistant.id))

        async with (
            site(made, upstream.base_url, anyio_backend) as at,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        ):

            async def browse(number: int) -> None:
                async with session.get(at.base_url) as got:
                    assert got.status == 200
                    await all_there.wait()
                    messages = [
                        message async for data in got.content.iter_any() for message in decoders[number].feed(data)
                    ]
                assert messages[-1].event == "done"
                assert messages[-2].event == "thread.run.completed"
                numbers = [int(message.id.rpartition(":")[2]) for message in messages[:-1]]
                assert numbers == list(range(1, len(messages)))
                assert len({message.id.rpartition(":")[0] for message in messages[2:]}) == 1
                deltas = [message for message in messages if message.event == "thread.message.delta"]
                assert [json.loads(delta.data)["delta"]["content"][0]["text"]["value"] for delta in deltas] == words

            async with asyncio.timeout(50):
                await asyncio.gather(*map(browse, range(MANY)))
            await at.quiet()
        assert upstream.open_streams == 0
