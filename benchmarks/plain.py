"""aiohttp and `json`, without a library for the protocol, as a careful person would write it."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp

Words = list[str] | None


def noted(name: str, data: str | bytes, words: Words) -> tuple[int, str | None]:
    """Reads one message: whether it is an event, and the tool call that the run waits for."""
    if name == "done":
        return 0, None
    payload = json.loads(data)
    if name == "thread.message.delta":
        if words is not None:
            for part in payload["delta"]["content"]:
                words.append(part["text"]["value"])  # one by one: each may be timed
    elif name == "thread.run.requires_action":
        return 1, payload["required_action"]["submit_tool_outputs"]["tool_calls"][0]["id"]
    return 1, None


def outputs(call: str) -> dict[str, object]:
    """The body that gives a run its tool outputs."""
    return {"stream": True, "tool_outputs": [{"tool_call_id": call, "output": "3"}]}


@asynccontextmanager
async def aiohttp_json(base_url: str) -> AsyncGenerator[Callable[[str, Words], Awaitable[int]]]:
    """aiohttp's chunks, split at blank lines by hand, and `json.loads`."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:

        async def one(url: str, body: dict[str, object], words: Words) -> tuple[int, str | None]:
            events, call = 0, None
            async with session.post(url, json=body) as response:
                response.raise_for_status()
                held = bytearray()
                async for data in response.content.iter_any():
                    start = max(0, len(held) - 1)
                    held += data
                    if held.find(b"\n\n", start) < 0:
                        continue
                    *blocks, rest = held.split(b"\n\n")
                    held = rest
                    for block in map(bytes, blocks):
                        name, lines = "message", list[bytes]()
                        for line in block.splitlines():
                            field, _, value = line.partition(b":")
                            if field == b"event":
                                name = value.strip().decode()
                            elif field == b"data":
                                lines.append(value.removeprefix(b" "))
                        if lines:
                            event, asked = noted(name, b"\n".join(lines), words)
                            events += event
                            call = asked or call
            return events, call

        async def read(thread: str, words: Words) -> int:
            url = f"{base_url}/threads/{thread}/runs"
            events, call = await one(url, {"assistant_id": "asst_b", "stream": True}, words)
            if call is not None:
                events += (await one(f"{url}/run_b/submit_tool_outputs", outputs(call), words))[0]
            return events

        yield read
