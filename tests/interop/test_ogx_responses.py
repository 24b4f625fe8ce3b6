"""OGX through the Responses bridge, further: talks with tools over several turns, other processes, the background."""

from collections.abc import AsyncGenerator

import pytest
from bridged import check_legal

from aiorunstream import AsyncClient, BadRequestError, ResponsesBackend, RetryPolicy, ToolSet
from aiorunstream.backends.responses import ThreadMode
from interop.chat_model import JSON, ChatModel, chat_model
from interop.conftest import variable

pytestmark = [pytest.mark.interop, pytest.mark.timeout(120)]

MODES: tuple[ThreadMode, ...] = ("conversation", "previous_response_id", "replay")
EACH_MODE = pytest.mark.parametrize("mode", MODES)


def get_weather(city: str) -> str:
    """Tells the weather in a city."""
    return f"{city}: 21 degrees"


TOOLS = ToolSet([get_weather])


@pytest.fixture
async def model() -> AsyncGenerator[ChatModel]:
    async with chat_model(int(variable("INTEROP_UPSTREAM_PORT"))) as found:
        yield found


def client_of(mode: ThreadMode, **settings: object) -> AsyncClient:
    backend = ResponsesBackend(
        f"{variable('INTEROP_OGX_URL')}/v1",
        threads=mode,
        assistants={"asst_1": {"model": "openai/gpt-4o", "instructions": "Be brief.", "tools": TOOLS.definitions}},
        **settings,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    )
    return AsyncClient(backend=backend, api_key=variable("INTEROP_OGX_KEY"), retry=RetryPolicy(attempts=1))


async def say(client: AsyncClient, thread_id: str, text: str) -> str:
    await client.threads.messages.create(thread_id, role="user", content=text)
    async with client.threads.runs.stream(thread_id, assistant_id="asst_1", tools=TOOLS) as stream:
        await stream.until_done()
    assert stream.outcome == "completed"
    return stream.text.strip()


def roles(asked: JSON) -> list[str]:
    return [message["role"] for message in asked["messages"]]


@EACH_MODE
async def test_a_talk_with_a_call_in_the_middle_is_remembered(mode: ThreadMode, model: ChatModel) -> None:
    async with client_of(mode) as client:
        thread = await client.threads.create()
        assert await say(client, thread.id, "one") == "1: one"
        assert "21 degrees" in await say(client, thread.id, "get_weather")
        assert await say(client, thread.id, "three") == "4: three"
        runs = [run async for run in client.threads.runs.list(thread.id)]
        steps = [step async for step in client.threads.runs.steps.list(runs[1].id, thread_id=thread.id, order="asc")]

    assert [run.status for run in runs] == ["completed"] * 3
    assert [step.type for step in steps] == ["tool_calls", "message_creation"]
    talk = ["user", "assistant", "user", "assistant", "tool", "assistant", "user"]
    assert [role for role in roles(model.asked[-1]) if role != "system"] == talk


@EACH_MODE
async def test_instructions_are_heard(mode: ThreadMode, model: ChatModel) -> None:
    async with client_of(mode) as client:
        thread = await client.threads.create(messages=[{"role": "user", "content": "one"}])
        async with client.threads.runs.create_stream(
            thread.id, assistant_id="asst_1", additional_instructions="And kind."
        ) as stream:
            check_legal([event async for event in stream])

    assert model.asked[-1]["messages"][0] == {"role": "system", "content": "Be brief.\nAnd kind."}


async def test_another_process_goes_on_with_a_conversation(model: ChatModel) -> None:
    async with client_of("conversation") as client:
        thread = await client.threads.create()
        await say(client, thread.id, "one")
    async with client_of("conversation") as other:
        assert await say(other, thread.id, "two") == "2: two"
        listed = other.threads.messages.list(thread.id, order="asc")
        assert [message.text.strip() async for message in listed] == ["one", "1: one", "two", "2: two"]


async def test_messages_that_were_put_into_a_conversation_are_overlooked(model: ChatModel) -> None:
    """The reason why a message waits for the next run. Where this fails, OGX has learned it."""
    async with client_of("conversation", add_messages="at_once") as client:
        thread = await client.threads.create()
        await say(client, thread.id, "one")
        await say(client, thread.id, "two")

    assert "two" not in str(model.asked[-1]["messages"])


async def test_it_says_that_a_background_is_not_streamed(model: ChatModel) -> None:
    async with client_of("conversation", background=True) as client:
        thread = await client.threads.create(messages=[{"role": "user", "content": "one"}])
        with pytest.raises(BadRequestError, match="'stream' and 'background'"):
            await client.threads.runs.create_stream(thread.id, assistant_id="asst_1")
        assert (await client.threads.runs.list(thread.id)).data == ()
