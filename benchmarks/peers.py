"""Other clients, each as a careful person would use it. What they count and give is what `sides` says."""

import warnings
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from typing import Protocol, cast

import httpx
from openai import AsyncOpenAI
from openai.types.beta import AssistantStreamEvent

from .plain import noted, outputs
from .sides import Read, Side, Words

warnings.simplefilter("ignore", DeprecationWarning)  # the official client says that its own way is going


# -- openai ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def openai_raw(base_url: str) -> AsyncGenerator[Read]:
    """`runs.create(stream=True)`."""
    async with AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:

        async def read(thread: str, words: Words) -> int:
            stream = await client.beta.threads.runs.create(thread, assistant_id="asst_b", stream=True)  # pyright: ignore[reportDeprecated]
            events, call = await _openai_events(stream, words)
            if call is not None:
                more = await client.beta.threads.runs.submit_tool_outputs(  # pyright: ignore[reportDeprecated]
                    "run_b",
                    thread_id=thread,
                    tool_outputs=[{"tool_call_id": call, "output": "3"}],
                    stream=True,
                )
                after, _ = await _openai_events(more, words)
                events += after
            return events

        yield read


async def _openai_events(stream: AsyncIterator[AssistantStreamEvent], words: Words) -> tuple[int, str | None]:
    """How many events there were, and the tool call that the run waits for."""
    events, call = 0, None
    async for event in stream:
        events += 1
        if event.event == "thread.message.delta":
            if words is not None:
                for part in event.data.delta.content or ():
                    if part.type == "text" and part.text is not None:
                        words.append(part.text.value or "")
        elif event.event == "thread.run.requires_action" and event.data.required_action is not None:
            call = event.data.required_action.submit_tool_outputs.tool_calls[0].id
    return events, call


@asynccontextmanager
async def openai_helper(base_url: str) -> AsyncGenerator[Read]:
    """`runs.stream(...)`, which keeps the message as it grows."""
    async with AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:

        async def read(thread: str, words: Words) -> int:
            events = 0
            async with client.beta.threads.runs.stream(thread_id=thread, assistant_id="asst_b") as stream:  # pyright: ignore[reportDeprecated]
                async for _ in stream:
                    events += 1
                messages = await stream.get_final_messages()
            if words is not None:
                words.extend(part.text.value for part in messages[0].content if part.type == "text")
            return events

        yield read


# -- httpx-sse ---------------------------------------------------------------------------------------------------------


class _Message(Protocol):
    event: str
    data: str


class _Source(Protocol):
    def aiter_sse(self) -> AsyncIterator[_Message]: ...


class _HttpxSSE(Protocol):
    def aconnect_sse(
        self, client: httpx.AsyncClient, method: str, url: str, *, json: object
    ) -> AbstractAsyncContextManager[_Source]: ...


@asynccontextmanager
async def httpx_sse(base_url: str) -> AsyncGenerator[Read]:
    """`httpx-sse`, and `json.loads`."""
    library = cast("_HttpxSSE", import_module("httpx_sse"))
    async with httpx.AsyncClient(timeout=300) as client:

        async def one(url: str, body: dict[str, object], words: Words) -> tuple[int, str | None]:
            events, call = 0, None
            async with library.aconnect_sse(client, "POST", url, json=body) as source:
                async for message in source.aiter_sse():
                    event, asked = noted(message.event, message.data, words)
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


PEERS: dict[str, Side] = {
    "openai": openai_raw,
    "openai helper": openai_helper,
    "httpx-sse + json": httpx_sse,
}
