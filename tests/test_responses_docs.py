"""The page about threads and runs over responses is right: its tables are the code's."""

from typing import Any

import pytest
from doc_pages import code, tables

from aiorunstream import AsyncClient, RunCreateParams, UnsupportedParameterError
from aiorunstream.backends.responses import TABLE, ResponsesBackend
from aiorunstream.backends.responses._server import Server

PAGE = "reference/responses.md"
JSON = dict[str, Any]
SAMPLES: JSON = {
    "model": "other",
    "instructions": "Sing.",
    "additional_instructions": "And dance.",
    "additional_messages": [{"role": "user", "content": "More"}],
    "tools": [{"type": "code_interpreter"}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "response_format": {"type": "json_object"},
    "temperature": 0.5,
    "top_p": 0.5,
    "max_completion_tokens": 300,
    "reasoning_effort": "low",
    "metadata": {"a": "b"},
    "truncation_strategy": {"type": "auto"},
    "include": ["message.output_text.logprobs"],
    "max_prompt_tokens": 300,
}


class AskedError(Exception):
    """In place of a request."""


async def body_of(monkeypatch: pytest.MonkeyPatch, **parameters: Any) -> JSON:
    """What is sent for a run."""
    found: list[JSON] = []

    async def create_response(_: Server, body: JSON, options: object) -> None:
        found.append(body)
        raise AskedError(options)

    monkeypatch.setattr(Server, "create_response", create_response)
    backend = ResponsesBackend("http://127.0.0.1:1/v1", threads="replay", assistants={"asst_abc": {"model": "any"}})
    async with AsyncClient(backend=backend) as client:
        thread = await client.threads.create(messages=[{"role": "user", "content": "Hello"}])
        with pytest.raises(AskedError):
            await client.threads.runs.create_stream(thread.id, assistant_id="asst_abc", **parameters)
    return found[0]


def at(body: JSON, path: str) -> object:
    value: Any = body
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return value  # pyright: ignore[reportUnknownVariableType]


def test_the_table_of_parameters_has_each_of_them() -> None:
    rows = tables(PAGE)["Parameters of a run over responses"].rows
    names = [code(row[0])[0] for row in rows]
    assert sorted(names) == sorted({*RunCreateParams.__struct_fields__} - {"stream"})
    assert set(SAMPLES) == set(names) - {"assistant_id"}


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_parameter_goes_into_the_field_that_the_table_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = [row for row in tables(PAGE)["Parameters of a run over responses"].rows if code(row[0]) == [name]]
    if row[2] == "refused":
        with pytest.raises(UnsupportedParameterError) as caught:
            await body_of(monkeypatch, **{name: SAMPLES[name]})
        assert caught.value.argument == name
        return
    (field,) = code(row[1])
    without, having = await body_of(monkeypatch), await body_of(monkeypatch, **{name: SAMPLES[name]})
    assert at(having, field) is not None
    assert at(having, field) != at(without, field)
    # What comes of tools and thoughts is asked for with them.
    changed = {field.partition(".")[0]} | ({"include"} if name in ("tools", "reasoning_effort") else set[str]())
    assert {one for one in {*without, *having} if without.get(one) != having.get(one)} == changed


def test_the_table_of_events_is_the_code_s() -> None:
    rows = tables(PAGE)["Each of them"].rows
    assert [[code(name)[0], mark, becomes.replace("`", "")] for name, mark, becomes in rows] == [
        [name, mark, becomes] for name, (mark, becomes) in TABLE.items()
    ]
