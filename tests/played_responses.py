"""Servers of responses that are played: each sends the events that the server it is named after sends, in its way.

`playing` puts them behind a real socket; without one, their events go to a `Bridge`.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from bridge_client import ASSISTANTS
from bridged import JSON
from raw_server import LAST_CHUNK, NO_RETRY, STREAM_HEAD, Peer, RawServer, SeenRequest, answer, chunk
from response_events import SPENT

from aiorunstream import AsyncClient
from aiorunstream.backends.responses import ResponsesBackend, ThreadMode
from aiorunstream.sse import encode

BREAK: JSON = {"break": True}
"""In the place of an event: the connection is reset."""
SILENCE: JSON = {"silence": True}
"""In the place of an event: nothing more comes until the client leaves."""


# -- their events ------------------------------------------------------------------------------------------------------


def response(id: str, *output: JSON, status: str = "completed", **more: Any) -> JSON:
    """A response that has ended."""
    return {"id": id, "object": "response", "status": status, "output": list(output), "usage": SPENT, **more}


def beginning(id: str) -> list[JSON]:
    working: JSON = {"id": id, "object": "response", "status": "in_progress", "output": []}
    return [{"type": "response.created", "response": working}, {"type": "response.in_progress", "response": working}]


def end(id: str, *output: JSON, status: str = "completed", **more: Any) -> JSON:
    return {"type": f"response.{status}", "response": response(id, *output, status=status, **more)}


def short(id: str, *output: JSON, status: str = "completed", **more: Any) -> list[JSON]:
    """A response that is told whole, at its end."""
    return [*beginning(id), end(id, *output, status=status, **more)]


def thought(id: str = "rs_1", text: str = "Hm.", **more: Any) -> JSON:
    content = [{"type": "reasoning_text", "text": text}]
    return {"type": "reasoning", "id": id, "summary": [], "content": content, "status": "completed", **more}


def llama_cpp(*calls: str, thinks: bool = False, text: str = "") -> list[JSON]:
    """No places; a call without an id, whose events have its `call_id` for one; all ends last."""
    told, output = beginning("resp_1"), list[JSON]()
    if thinks:
        output.append(thought())
        told.append({"type": "response.output_item.added", "item": {**thought(), "content": []}})
        told.append({"type": "response.reasoning_text.delta", "item_id": "rs_1", "delta": "Hm."})
    if text:
        part: JSON = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        item: JSON = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
        output.append(item)
        told.append({"type": "response.output_item.added", "item": {**item, "content": []}})
        told += [
            {"type": "response.output_text.delta", "item_id": "msg_1", "delta": piece} for piece in (text[:2], text[2:])
        ]
    for number, arguments in enumerate(calls):
        call: JSON = {"type": "function_call", "call_id": f"fc_{number}", "name": "look_up", "arguments": arguments}
        output.append({**call, "status": "completed"})
        told.append({"type": "response.output_item.added", "item": {**call, "arguments": "", "status": "in_progress"}})
        told += [
            {"type": "response.function_call_arguments.delta", "item_id": f"fc_{number}", "delta": piece}
            for piece in (arguments[:3], arguments[3:])
        ]
    told += [{"type": "response.output_item.done", "item": item} for item in output]
    return [*told, end("resp_1", *output)]


def ogx_thinking(after: JSON) -> list[JSON]:
    """Thoughts are told as a part of the message that follows, or would; their item comes before the end, at one place."""
    part = {"item_id": "msg_1", "output_index": 0, "content_index": 1}
    whole = {"type": "reasoning_text", "text": "SECRET"}
    told = [
        *beginning("resp_1"),
        {"type": "response.content_part.added", **part, "part": {**whole, "text": ""}},
        {"type": "response.reasoning_text.delta", **part, "delta": "SECRET"},
        {"type": "response.output_item.added", "output_index": 0, "item": _empty(after)},
        *_pieces(after, 0),
        {"type": "response.reasoning_text.done", **part, "text": "SECRET"},
        {"type": "response.content_part.done", **part, "part": whole},
    ]
    ended = {"type": "response.output_item.done", "output_index": 0, "item": after}
    thinking = thought("rs_1", "SECRET")
    item = [{"type": f"response.output_item.{what}", "output_index": 0, "item": thinking} for what in ("added", "done")]
    last = [ended, *item] if after["type"] == "message" else [*item, {**ended, "output_index": 1}]
    return [*told, *last, end("resp_1", thinking, after)]


def ogx_calling(*items: JSON) -> list[JSON]:
    """Every item begins at the first place; the calls end at places of their own; the output has no message."""
    told = beginning("resp_1")
    for item in items:
        told += [
            {"type": "response.output_item.added", "output_index": 0, "item": _empty(item)},
            *_pieces(item, 0),
        ]
    calls = [item for item in items if item["type"] == "function_call"]
    told += [
        {
            "type": "response.function_call_arguments.done",
            "item_id": call["id"],
            "output_index": 0,
            "arguments": call["arguments"],
        }
        for call in calls
    ]
    told += [
        {"type": "response.output_item.done", "output_index": place, "item": call} for place, call in enumerate(calls)
    ]
    return [*told, end("resp_1", *calls)]


def litellm_thinking(*pieces: str) -> list[JSON]:
    """Version 1.90: the text comes at the place where the thoughts were, and nothing says that its item begins."""
    text, place = "".join(pieces), {"item_id": "c", "output_index": 0, "content_index": 0}
    thinking: JSON = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "SECRET"}]}
    item: JSON = {"type": "message", "id": "c", "role": "assistant", "status": "completed"}
    item["content"] = [{"type": "output_text", "text": text, "annotations": []}]
    of_thoughts = {"item_id": "rs_-207", "output_index": 0}
    return [
        *beginning("resp_1"),
        {"type": "response.output_item.added", "output_index": 0, "item": {"id": "rs_1", "type": "reasoning"}},
        {"type": "response.reasoning_summary_text.delta", **of_thoughts, "delta": "SECRET"},
        {"type": "response.output_item.done", "output_index": 0, "item": thinking},
        *({"type": "response.output_text.delta", **place, "delta": piece} for piece in pieces),
        {"type": "response.output_text.done", **place, "text": text},
        {
            "type": "response.content_part.done",
            **place,
            "part": {"type": "reasoning_text", "reasoning": "SECRET"},
        },
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        end("resp_1", {**thinking, "id": "rs_-489", "role": "assistant"}, item),
    ]


def ending_silently(*items: JSON) -> list[JSON]:
    """As gateways that only pass on pieces: no item is shown whole, not at its end and not in the response."""
    told = beginning("resp_1")
    for place, item in enumerate(items):
        told += [
            {"type": "response.output_item.added", "output_index": place, "item": _empty(item)},
            *_pieces(item, place),
        ]
    return [*told, end("resp_1")]


def _empty(item: JSON) -> JSON:
    rest: JSON = {"content": []} if item["type"] == "message" else {"arguments": ""}
    return {**item, **rest, "status": "in_progress"}


def _pieces(item: JSON, place: int) -> list[JSON]:
    kind, text = "function_call_arguments", item.get("arguments", "")
    if item["type"] == "message":
        kind, text = "output_text", item["content"][0]["text"]
    at = {"item_id": item["id"], "output_index": place, "content_index": 0}
    return [{"type": f"response.{kind}.delta", **at, "delta": piece} for piece in (text[:3], text[3:]) if piece]


# -- them behind a socket ----------------------------------------------------------------------------------------------


class Played:
    """A server that answers the first request for a response with the first script, and so on.

    Attributes:
        bodies: of those requests.
        kept: the responses that can be looked at later.
        items: of its one conversation, `conv_1`.
        deleted: the ids of items that were.
    """

    def __init__(self, *scripts: Sequence[JSON]) -> None:
        self._scripts = list(scripts)
        self.bodies: list[JSON] = []
        self.kept: dict[str, JSON] = {}
        self.items: list[JSON] = []
        self.deleted: list[str] = []

    async def __call__(self, peer: Peer) -> None:
        while (request := await peer.request()) is not None:
            if request.line.startswith("POST /v1/responses "):
                self.bodies.append(json.loads(request.body))
                await self.stream(peer, self._scripts.pop(0))
            else:
                await self.look(peer, request)

    async def stream(self, peer: Peer, events: Sequence[JSON]) -> None:
        """Answers with a stream of those events."""
        await peer.send(STREAM_HEAD)
        for event in events:
            if event is BREAK:
                peer.rst()
                return
            if event is SILENCE:
                await peer.closed()
                return
            await peer.send(chunk(encode(msgspec.json.encode(event))))
        await peer.send(LAST_CHUNK)

    async def look(self, peer: Peer, request: SeenRequest) -> None:
        """Answers any other request."""
        method, target, _ = request.line.split(" ")
        path = target.partition("?")[0].removeprefix("/v1/")
        if path.startswith("responses/"):
            kept = self.kept.get(path.removeprefix("responses/"))
            await peer.send(
                answer(404, {"error": {"message": "no such response"}}) if kept is None else answer(200, kept)
            )
        elif method == "DELETE":
            self.deleted.append(path.rpartition("/")[2])
            await peer.send(answer(200, {"id": "conv_1"}))
        elif path.endswith("/items"):
            await self.list_or_add(peer, request)
        else:
            await peer.send(answer(200, {"id": "conv_1", "object": "conversation", "created_at": 1, "metadata": {}}))

    async def list_or_add(self, peer: Peer, request: SeenRequest) -> None:
        """Answers with the items, or with those that were added."""
        found = self.items
        if request.body:
            given: list[JSON] = json.loads(request.body)["items"]
            found = [{**item, "id": f"msg_there_{len(self.items) + place}"} for place, item in enumerate(given)]
            self.items += found
        await peer.send(answer(200, {"object": "list", "data": found, "has_more": False}))


@asynccontextmanager
async def playing(
    server: Played, threads: ThreadMode = "replay", **settings: Any
) -> AsyncGenerator[tuple[AsyncClient, RawServer]]:
    """A client of that server."""
    async with RawServer(server) as raw, beside(raw, threads, **settings) as client:
        yield client, raw


def beside(server: RawServer, threads: ThreadMode = "replay", **settings: Any) -> AsyncClient:
    """Another client of a server that is there already, to be entered."""
    backend = ResponsesBackend(server.base_url, threads=threads, assistants=ASSISTANTS, **settings)
    return AsyncClient(backend=backend, retry=NO_RETRY)
