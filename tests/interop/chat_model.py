"""A stand-in for a model behind a server under test: chat completions that stream, and always the same ones.

It says the last message of its user back, word by word. A user who writes the name of a function has it called once.
"""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

JSON = dict[str, Any]
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}


class ChatModel:
    """What it was asked is in `asked`, oldest first."""

    def __init__(self) -> None:
        self.asked: list[JSON] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body: JSON = await request.json()
        self.asked.append(body)
        if not body.get("stream"):
            return web.json_response(_completion(body, "".join(_words(body))))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for choice in [*_choices(body), None]:
            chunk = {**_about(body), "object": "chat.completion.chunk", "choices": [] if choice is None else [choice]}
            await response.write(
                b"data: " + json.dumps({**chunk, "usage": None if choice else USAGE}).encode() + b"\n\n"
            )
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def models(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {"object": "list", "data": [{"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "us"}]}
        )


def _about(body: JSON) -> JSON:
    return {"id": "chatcmpl-1", "created": 1710330640, "model": body["model"]}


def _completion(body: JSON, text: str) -> JSON:
    message = {"role": "assistant", "content": text}
    return {
        **_about(body),
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": USAGE,
    }


def _choices(body: JSON) -> Iterator[JSON]:
    name = _wanted(body)
    if name is None:
        for word in _words(body):
            yield {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}
        yield {"index": 0, "delta": {}, "finish_reason": "stop"}
        return
    for piece in ("", '{"city": ', '"Tromsø"}'):
        function: JSON = {"arguments": piece} if piece else {"name": name, "arguments": ""}
        call = {"index": 0, "function": function, **({} if piece else {"id": "call_1", "type": "function"})}
        yield {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}
    yield {"index": 0, "delta": {}, "finish_reason": "tool_calls"}


def _wanted(body: JSON) -> str | None:
    """The function that is named in the last message, unless that is the output of one."""
    last = body["messages"][-1]
    names = [tool["function"]["name"] for tool in body.get("tools") or ()]
    return next((name for name in names if last["role"] == "user" and name in _text(last)), None)


def _words(body: JSON) -> list[str]:
    said = [_text(message) for message in body["messages"] if message["role"] in ("user", "tool")]
    return [f"{len(said)}: ", *(f"{word} " for word in said[-1].split(" "))]


def _text(message: JSON) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


@asynccontextmanager
async def chat_model(port: int) -> AsyncGenerator[ChatModel]:
    """Serves one on this machine."""
    model = ChatModel()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.answer)
    app.router.add_get("/v1/models", model.models)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield model
    finally:
        await runner.cleanup()
