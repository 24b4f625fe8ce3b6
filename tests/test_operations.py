"""The table of operations: all 23, as published, and calls made of them."""

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from aiorunstream import checks, operations
from aiorunstream.errors import InvalidArgumentError
from aiorunstream.models import Message, Page, Run
from aiorunstream.operations import CREATE_RUN, OPERATIONS, RETRIEVE_RUN_STEP, Operation, make_call
from aiorunstream.options import RequestOptions
from aiorunstream.params import Params

METHODS = ("get", "post", "delete", "put", "patch")


def published(shared: Path) -> dict[tuple[str, str], dict[str, object]]:
    paths: dict[str, dict[str, dict[str, object]]] = json.loads(
        (shared / "wire" / "openapi-assistants.json").read_text()
    )["paths"]
    return {
        (method.upper(), path): item[method] for path, item in paths.items() for method in METHODS if method in item
    }


def test_the_23_operations_are_the_published_ones(shared: Path) -> None:
    assert [(operation.method, operation.path) for operation in OPERATIONS] != []
    assert len(OPERATIONS) == len({operation.name for operation in OPERATIONS}) == 23
    assert {(operation.method, operation.path) for operation in OPERATIONS} == set(published(shared))


def test_each_query_is_the_published_one(shared: Path) -> None:
    found = published(shared)
    for operation in OPERATIONS:
        declared = cast("list[dict[str, object]]", found[operation.method, operation.path].get("parameters", []))
        names = {parameter["name"] for parameter in declared if parameter["in"] == "query"}
        assert set(operation.query) == names, operation.name


def test_each_has_a_body_where_one_is_published(shared: Path) -> None:
    found = published(shared)
    for operation in OPERATIONS:
        assert (operation.body is not None) == ("requestBody" in found[operation.method, operation.path]), (
            operation.name
        )


def test_each_constant_is_in_the_table_and_named_after_its_operation() -> None:
    constants: dict[str, Operation[Any]] = {
        name: value for name, value in vars(operations).items() if name.isupper() and isinstance(value, Operation)
    }
    assert {name.lower() for name in constants} == {operation.name for operation in OPERATIONS}
    assert all(name.lower() == value.name for name, value in constants.items())


def test_three_operations_stream_and_say_so_in_their_parameters() -> None:
    streaming = [operation for operation in OPERATIONS if operation.streams]
    assert [operation.name for operation in streaming] == ["create_thread_and_run", "create_run", "submit_tool_outputs"]
    assert all(operation.result is Run for operation in streaming)
    for operation in OPERATIONS:
        body: type[Params] | None = operation.body
        assert (body is not None and "stream" in body.__struct_fields__) == operation.streams


def test_what_makes_something_is_marked_so_that_it_is_not_sent_twice() -> None:
    creating = {operation.name for operation in OPERATIONS if operation.creates}
    assert creating == {
        "create_assistant", "create_thread", "create_thread_and_run", "create_message", "create_run", "submit_tool_outputs",
    }  # fmt: skip
    assert all(operation.method == "POST" for operation in OPERATIONS if operation.creates)


def test_a_route_with_fixed_words_stands_before_one_with_an_id_in_their_place() -> None:
    for place, operation in enumerate(OPERATIONS):
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/{}]+", operation.path))
        later = [other.path for other in OPERATIONS[place + 1 :] if other.method == operation.method]
        assert not any(pattern.fullmatch(path) for path in later), operation.name


def test_a_path_has_its_ids_in_order_checked_and_quoted() -> None:
    assert RETRIEVE_RUN_STEP.path_ids == ("thread_id", "run_id", "step_id")
    ids = {"step_id": "s:1", "thread_id": "thread_1", "run_id": "run_1", "other": "/../"}
    assert RETRIEVE_RUN_STEP.url_path(ids) == "/threads/thread_1/runs/run_1/steps/s%3A1"


@pytest.mark.parametrize("ids", [{"thread_id": "t/../x"}, {"thread_id": ""}, {}, {"thread_id": ".."}])
def test_a_bad_or_missing_id_is_named(ids: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        make_call(CREATE_RUN, ids)
    assert caught.value.argument == "thread_id"


def test_an_id_that_looks_like_a_placeholder_is_not_filled_in() -> None:
    path = RETRIEVE_RUN_STEP.url_path({"thread_id": "{run_id}", "run_id": "run_1", "step_id": "<0>"})
    assert path == "/threads/%7Brun_id%7D/runs/run_1/steps/%3C0%3E"


def test_a_call_holds_what_a_backend_needs() -> None:
    options = RequestOptions(idempotency_key="k")
    call = make_call(
        CREATE_RUN, {"thread_id": "thread_1"}, query=[("include[]", "a")], body={"assistant_id": "a"}, options=options
    )
    assert (call.operation, call.path, call.ids) == (CREATE_RUN, "/threads/thread_1/runs", {"thread_id": "thread_1"})
    assert (list(call.query), call.body, call.options) == ([("include[]", "a")], {"assistant_id": "a"}, options)
    bare = make_call(operations.LIST_ASSISTANTS)
    assert (bare.path, bare.body, list(bare.query), bare.options) == ("/assistants", None, [], RequestOptions())


def test_results_are_what_a_plain_answer_holds() -> None:
    assert operations.RETRIEVE_MESSAGE.result is Message
    assert operations.LIST_RUNS.result == Page[Run]


def test_a_call_shows_its_operation_and_nothing_of_what_is_in_it() -> None:
    call = make_call(CREATE_RUN, {"thread_id": "thread_planted"}, options=RequestOptions(extra_body={"a": "planted"}))
    assert repr(call) == "<Call create_run>"


def test_a_header_that_is_none_is_left_out_and_only_its_name_is_checked() -> None:
    checks.header("X-Trace", None)
    with pytest.raises(InvalidArgumentError):
        checks.header("X Trace", None)


def test_one_word_of_several_is_asked_for() -> None:
    check = checks.one_of("asc", "desc")
    check("order", "asc")
    with pytest.raises(InvalidArgumentError, match=r"^order must be one of asc, desc, not 'up'"):
        check("order", "up")
