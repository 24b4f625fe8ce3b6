"""The same talk in every dialect comes to the same, whichever way it is read."""

import pytest
from dialects import COUNTED, DIALECTS, TALKS, WAYS, Heard, Way, at, by_helper, by_raw_stream, calls_of, client_of

from aiorunstream import NotFoundError, RunSnapshot, StreamInterruptedError, StreamTruncatedError, Usage
from aiorunstream.server._dialects import DialectName

CALLS = (("call_1", "look", '{"where": "Tromsø\u2028"}'), ("call_2", "listen", '{"how": "gently"}'))
COMES_TO = {
    "text": Heard("Grüße, 一二三 🙂 \u2028 and\u2029 no more.", (), "completed", Usage(7, 5, 12)),
    "tools": Heard("It is dark in Tromsø\u2028, and quiet.", CALLS, "completed", Usage(14, 24, 38)),
    "failure": Heard("I was about to say ü", (), "failed", Usage(2, 3, 5)),
}


def needs_recovery(dialect: DialectName, talk: str) -> bool:
    """Whether its bytes do not say how the run ended."""
    return dialect == "astra" or (dialect, talk) == ("open-assistant-api", "failure")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("talk", TALKS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_talk_comes_to_the_same_in_every_dialect(dialect: DialectName, talk: str, way: Way) -> None:
    passed_on = (dialect, talk) == ("litellm", "tools")  # its own route takes no outputs
    async with at(dialect, talk, passed_on=passed_on, recover=needs_recovery(dialect, talk)) as here:
        assert await way(here) == COMES_TO[talk]


# -- what a dialect's bytes do not say ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS[:2], ids=lambda way: way.__name__)
@pytest.mark.parametrize("talk", ["text", "failure"])
async def test_astra_never_says_how_a_run_ended(talk: str, way: Way) -> None:
    async with at("astra", talk) as here:
        with pytest.raises(StreamTruncatedError) as caught:
            await way(here)
        assert (caught.value.run_status, caught.value.outcome) == ("in_progress", None)
        assert caught.value.last_event == "thread.message.delta"


async def test_astra_says_which_functions_to_call_and_nothing_of_what_comes_after_them() -> None:
    async with at("astra", "tools") as here:
        with pytest.raises(StreamTruncatedError):
            await by_helper(here)


async def test_open_assistant_api_breaks_off_where_its_model_fails() -> None:
    async with at("open-assistant-api", "failure") as here:
        with pytest.raises(StreamInterruptedError) as caught:
            await by_raw_stream(here)
        assert caught.value.run_status == "in_progress"


async def test_open_assistant_api_tells_of_usage_only_where_that_is_asked_for() -> None:
    async with at("open-assistant-api", "text") as here:
        found = await by_raw_stream(here._replace(options=None))
    assert found == COMES_TO["text"]._replace(usage=None)
    assert COUNTED.extra_body == {"stream_options": {"include_usage": True}}


async def test_litellm_takes_no_tool_outputs_on_its_own_route() -> None:
    async with at("litellm", "tools") as here:
        async with await here.call() as stream:
            async for _ in stream:
                pass
        assert stream.outcome == "requires_action"
        assert calls_of(stream.run) == CALLS
        with pytest.raises(NotFoundError):
            await stream.submit_tool_outputs([{"tool_call_id": id, "output": "o"} for id, _, _ in CALLS])


# -- the one flag ------------------------------------------------------------------------------------------------------


async def texts_after_outputs(*, flag: bool) -> list[str]:
    """The parts of the last message of a talk with Astra, as its deltas alone make them."""
    async with at("astra", "tools") as here:
        client = here.client if flag else client_of(here.server, "openai", timeouts=None)
        async with client:
            snapshot = RunSnapshot()
            call = client.threads.runs.create_stream(here.thread_id, assistant_id=here.assistant_id)
            async with call as stream:
                async for _ in stream:
                    pass
            outputs = [{"tool_call_id": id, "output": "o"} for id, _, _ in CALLS]
            with pytest.raises(StreamTruncatedError):
                async with stream.submit_tool_outputs(outputs) as stream:
                    async for event in stream:
                        snapshot.add(event)
    (message,) = snapshot.messages
    return [part.text.value for part in message.content if part.type == "text"]


async def test_the_pieces_of_astras_text_are_one_text_where_the_client_is_told_of_astra() -> None:
    whole = COMES_TO["tools"].text
    assert await texts_after_outputs(flag=True) == [whole]
    assert await texts_after_outputs(flag=False) == ["It is dark ", "in Tromsø\u2028", ", and quiet."]
