"""The table of the operations of `/responses` and `/conversations`, held against their published description."""

import json
from pathlib import Path
from typing import Any, cast

from aiorunstream import responses_operations
from aiorunstream.operations import Operation
from aiorunstream.responses_operations import CONVERSATIONS, RESPONSES
from aiorunstream.server.responses import response_operations, settings_of

TABLE = (*RESPONSES, *CONVERSATIONS)


def published(shared: Path) -> dict[tuple[str, str], dict[str, object]]:
    paths: dict[str, dict[str, dict[str, object]]] = json.loads(
        (shared / "wire" / "openapi-responses.nullfix.json").read_text()
    )["paths"]
    return {
        (method.upper(), path): item[method]
        for path, item in paths.items()
        for method in ("get", "post", "delete")
        if method in item
    }


def test_the_table_is_the_published_one(shared: Path) -> None:
    assert len(TABLE) == len({operation.name for operation in TABLE}) == 13
    assert {(operation.method, operation.path) for operation in TABLE} == set(published(shared))


def test_each_query_and_body_is_the_published_one(shared: Path) -> None:
    found = published(shared)
    for operation in TABLE:
        described = found[operation.method, operation.path]
        declared = cast("list[dict[str, object]]", described.get("parameters", []))
        names = {parameter["name"] for parameter in declared if parameter["in"] == "query"}
        assert set(operation.query) == names, operation.name
        assert (operation.body is not None) == ("requestBody" in described), operation.name


def test_each_constant_is_in_the_table_and_named_after_its_operation() -> None:
    constants: dict[str, Operation[Any]] = {
        name: value for name, value in vars(responses_operations).items() if isinstance(value, Operation)
    }
    assert set(constants.values()) == set(TABLE)
    assert all(name.lower() == value.name for name, value in constants.items())


def test_what_makes_something_and_what_streams_is_marked() -> None:
    creating = {operation.name for operation in TABLE if operation.creates}
    assert creating == {"create_response", "create_conversation", "create_conversation_items"}
    assert {operation.name for operation in TABLE if operation.streams} == {"create_response", "retrieve_response"}


def test_a_server_has_those_of_conversations_only_where_it_keeps_some() -> None:
    assert response_operations(settings_of("openai")) == TABLE
    assert response_operations(settings_of("litellm")) == RESPONSES
