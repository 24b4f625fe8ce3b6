"""The server's `/v1/responses` for tests: what it sent, read as a client reads it, and held against its description."""

import asyncio
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import aiohttp
import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
import msgspec
from server_client import JSON, PATIENCE, Http

from aiorunstream.server import Item, Say, Turn
from aiorunstream.sse import SSEDecoder

FUNCTION: JSON = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "default": "Kyiv"}}},
    "strict": True,
}


class Published:
    """The published description of responses and conversations, with nulls made real."""

    def __init__(self, path: Path) -> None:
        self.document: JSON = msgspec.json.decode(path.read_bytes())
        schemas = self.document["components"]["schemas"]
        # A message with its content in parts is two of these at once, whatever it says.
        schemas["InputItem"]["anyOf"] = schemas["InputItem"].pop("oneOf")
        self.events: dict[str, str] = {}
        for variant in schemas["ResponseStreamEvent"]["anyOf"]:
            name = variant["$ref"].rpartition("/")[2]
            self.events[schemas[name]["properties"]["type"]["enum"][0]] = name

    def check(self, value: object, schema: JSON) -> None:
        validator = jsonschema.Draft202012Validator({**schema, "components": self.document["components"]})
        errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(_as_described(value))]  # pyright: ignore[reportUnknownMemberType]
        assert not errors, (value, errors)

    def check_named(self, value: object, name: str) -> None:
        self.check(value, {"$ref": f"#/components/schemas/{name}"})

    def check_event(self, event: JSON) -> None:
        self.check_named(event, self.events[event["type"]])


def _as_described(value: object) -> Any:
    """The value without what OpenAI does otherwise than it describes: a response has spent null before it is over."""
    if not isinstance(value, dict):
        return value
    found = cast("JSON", value)
    if found.get("object") == "response" and found.get("usage", 0) is None:
        return {name: item for name, item in found.items() if name != "usage"}
    return {**found, "response": _as_described(found["response"])} if "response" in found else found


@cache
def published(shared: Path) -> Published:
    return Published(shared / "wire" / "openapi-responses.nullfix.json")


def read(wire: bytes) -> list[JSON]:
    """The events of a stream, without its end mark."""
    messages = SSEDecoder().feed(wire)
    return [msgspec.json.decode(message.data) for message in messages if message.data != b"[DONE]"]


async def streamed(http: Http, **body: Any) -> list[JSON]:
    """The events of a new response."""
    async with http.stream("/responses", {"model": "parrot", **body}) as response:
        return read(await response.read())


async def created(http: Http, **body: Any) -> JSON:
    """A new response that is not streamed."""
    return await http.post("/responses", {"model": "parrot", **body})


def types(events: list[JSON]) -> list[str]:
    return [event["type"] for event in events]


def text_of(response: JSON) -> str:
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return "".join(part["text"] for part in parts if part["type"] == "output_text")


def answers(response: JSON, output: str = "sunny") -> list[JSON]:
    """The outputs of all calls of functions in a response."""
    calls = [item for item in response["output"] if item["type"] == "function_call"]
    assert calls
    return [{"type": "function_call_output", "call_id": call["call_id"], "output": output} for call in calls]


class Slow:
    """Says one word, and the rest when it is let. Knows how it left."""

    def __init__(self) -> None:
        self.goes_on = asyncio.Event()
        self.has_left = False

    async def reply(self, turn: Turn, /) -> AsyncIterator[Item]:
        try:
            yield Say("one")
            await self.goes_on.wait()
            yield Say(" two")
        finally:
            self.has_left = True


async def first_word(response: aiohttp.ClientResponse) -> list[JSON]:
    """The events up to the first word."""
    wire = b""
    while b"output_text.delta" not in wire:
        wire += await asyncio.wait_for(response.content.readany(), PATIENCE)
    return read(wire)


async def resumed(http: Http, path: str, starting_after: int | None = None) -> list[JSON]:
    """The events of a response in the background after the one with that number."""
    query = "" if starting_after is None else f"&starting_after={starting_after}"
    async with http.session.get(f"{http.base_url}{path}?stream=true{query}") as response:
        assert response.status == 200, await response.read()
        return read(await response.read())
