"""A planted key is looked for wherever a key could show: messages, logs, tracebacks with their variables, pickles."""

import asyncio
import gc
import json
import logging
import pickle
import traceback
import types
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import pytest
from raw_server import (
    CREATED,
    NO_RETRY,
    QUICK,
    STREAM_HEAD,
    Peer,
    RawServer,
    answer,
    answering,
    chunk,
    event,
    events_of,
    start,
    stream_answer,
)

from aiorunstream import AiorunstreamError, AsyncClient, RequestOptions, Timeouts
from aiorunstream.backends._credentials import Secret

KEY = "sk-Planted/Secret+0451"
"""With characters that JSON writers and URLs like to escape."""
SPELLINGS = [KEY, KEY.replace("/", "\\/"), "Planted/Secret", "Secret+0451", "Planted%2FSecret"]


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("asyncio").setLevel(logging.DEBUG)
    logging.getLogger("aiohttp").setLevel(logging.DEBUG)


def assert_unseen(where: str, text: str) -> None:
    for spelling in SPELLINGS:
        assert spelling not in text, (
            f"the key shows in {where}: ...{text[max(0, text.find(spelling) - 200) :][:300]}..."
        )


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it came from, and what those came from."""
    waiting, seen = [error], set[int]()
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        waiting += [other for other in (item.__cause__, item.__context__) if other is not None]
        if isinstance(item, BaseExceptionGroup):
            waiting += item.exceptions  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def frames_with_locals(error: BaseException) -> str:
    """The variables of every frame but those of the tests, as a reporter of crashes would print them."""
    shown: list[str] = []
    for item in chain(error):
        summary = traceback.TracebackException.from_exception(item, capture_locals=True)
        ours = ("test_client_secrets.py", "raw_server.py")
        for frame in summary.stack:
            if not frame.filename.endswith(ours):
                shown.append(f"{frame.filename}:{frame.lineno} {frame.name} {frame.locals}")
    return "\n".join(shown)


def values_inside(value: object, depth: int = 4) -> Iterator[object]:
    """What `vars` shows, and what is inside that."""
    yield value
    if depth == 0 or isinstance(value, (str, bytes, int, float, types.ModuleType, type)):
        return
    inner: list[object] = []
    if isinstance(value, Mapping):
        inner += [*value.keys(), *value.values()]  # pyright: ignore[reportUnknownMemberType]
    elif isinstance(value, (list, tuple, set, frozenset)):
        inner += list(value)  # pyright: ignore[reportUnknownArgumentType]
    elif hasattr(value, "__dict__"):
        inner += vars(value).values()
    for item in inner:
        yield from values_inside(item, depth - 1)


def assert_nothing_shows(error: BaseException, *, in_variables: bool = True) -> None:
    for item in chain(error):
        assert_unseen("str", str(item))
        assert_unseen("repr", repr(item))
        assert_unseen("args", repr(item.args))
        assert_unseen("notes", repr(getattr(item, "__notes__", [])))
        assert_unseen("the traceback", "".join(traceback.format_exception(item)))
        for value in values_inside(vars(item)):
            assert_unseen("vars", repr(value))
        if isinstance(item, AiorunstreamError):
            assert_unseen("a pickle", pickle.dumps(item, protocol=0).decode("latin-1"))
            assert_unseen("a pickle", pickle.dumps(item).decode("latin-1"))
    if in_variables:
        assert_unseen("a traceback with locals", frames_with_locals(error))


async def failure_of(work: Awaitable[object]) -> BaseException:
    try:
        await work
    except BaseException as error:
        return error
    raise AssertionError("nothing failed")


async def read(client: AsyncClient, options: RequestOptions | None = None) -> None:
    async with start(client, options) as stream:
        await events_of(stream)


async def hang_up(peer: Peer) -> None:
    await peer.request()


async def hang_up_early(peer: Peer) -> None:
    peer.rst()


async def silence(peer: Peer) -> None:
    await peer.request()
    await peer.closed()


async def cut(peer: Peer) -> None:
    await peer.request()
    await peer.send(STREAM_HEAD + chunk(CREATED))


def says(body: object, status: int = 401) -> Callable[[Peer], Awaitable[None]]:
    return answering(answer(status, body))


def stream_says(*events: bytes) -> Callable[[Peer], Awaitable[None]]:
    return answering(stream_answer(CREATED, *events))


ECHO = {"error": {"message": f"Incorrect key provided: {KEY}.", "code": KEY, "type": KEY, "param": f"Bearer {KEY}"}}
ESCAPED = json.dumps(ECHO).replace("/", "\\/").encode()

FAILURES: dict[str, Callable[[Peer], Awaitable[None]]] = {
    "a status": says({"error": {"message": "no"}}),
    "a status of 500": says(b"<html>", 500),
    "a hang-up": hang_up,
    "a reset": hang_up_early,
    "silence": silence,
    "a cut stream": cut,
    "a stream that stalls": answering(STREAM_HEAD + chunk(CREATED)),
    "an error in the stream": stream_says(event("error", {"message": "broken"})),
    "broken JSON in the stream": stream_says(event("thread.run.queued", b"{")),
    "no stream": says({"id": "run_1"}, 200),
    "a key echoed in an error": says(ECHO),
    "a key echoed in plain text": says(f"who is {KEY}?".encode()),
    "a key echoed with escaped slashes": says(ESCAPED),
    "a key echoed in a 200": says(ECHO, 200),
    "a key echoed in a run": says({"id": "run_1", "instructions": KEY}, 200),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_a_failure_shows_no_key(name: str, caplog: pytest.LogCaptureFixture) -> None:
    asyncio.get_running_loop().set_debug(enabled=True)
    clocks = Timeouts(connect=1, first_event=0.25, idle=0.25)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        async with (
            RawServer(FAILURES[name]) as server,
            AsyncClient(base_url=server.base_url, api_key=KEY, timeouts=clocks, retry=NO_RETRY) as client,
        ):
            error = await failure_of(read(client))
            assert isinstance(error, AiorunstreamError)
            assert_nothing_shows(error)
        gc.collect()
    assert_unseen("a warning", repr([str(warning.message) for warning in said]))
    assert_unseen("a log record", caplog.text + repr([vars(record) for record in caplog.records]))


async def test_a_key_echoed_by_an_error_event_is_taken_out_of_the_error() -> None:
    async with (
        RawServer(stream_says(event("error", ECHO))) as server,
        AsyncClient(base_url=server.base_url, api_key=KEY, retry=NO_RETRY) as client,
    ):
        # The payload itself is a variable of the decoder while it raises; it is no business of the error.
        assert_nothing_shows(await failure_of(read(client)), in_variables=False)


async def test_a_refused_connection_shows_no_key() -> None:
    async with RawServer(hang_up) as server:
        url = server.base_url
    async with AsyncClient(base_url=url, api_key=KEY, retry=NO_RETRY) as client:
        assert_nothing_shows(await failure_of(read(client)))


@pytest.mark.parametrize("how", ["opening", "reading", "error body", "plain"])
async def test_a_cancelled_call_shows_no_key(how: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if how == "reading":
            await peer.send(STREAM_HEAD + chunk(CREATED))
        elif how == "error body":
            await peer.send(answer(401, {"error": {"message": "no"}})[:-5])
        await peer.closed()

    async with (
        RawServer(script) as server,
        AsyncClient(base_url=server.base_url, api_key=KEY, retry=NO_RETRY) as client,
    ):
        task = asyncio.create_task(
            failure_of(client.threads.retrieve("t") if how == "plain" else read(client)),
        )
        await asyncio.sleep(0.1)
        assert server.peers[0].closed_at is None
        task.cancel()
        error = await task
        assert isinstance(error, asyncio.CancelledError)
        assert_nothing_shows(error)


@pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}", f"{KEY}\r\nX: 1", f"{KEY}é", KEY.encode()])
def test_a_key_that_is_refused_is_not_shown(key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        AsyncClient(base_url="http://127.0.0.1:9", api_key=key)
    except AiorunstreamError as error:
        assert_nothing_shows(error)
    else:
        pytest.fail("the key was taken")
    if isinstance(key, str):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(AiorunstreamError) as caught:
            AsyncClient(base_url="http://127.0.0.1:9")
        assert_nothing_shows(caught.value)


async def test_a_bad_key_from_a_callable_is_not_shown() -> None:
    async def key() -> str:
        return f"{KEY}\n"

    async with AsyncClient(base_url="http://127.0.0.1:9", api_key=key, retry=NO_RETRY) as client:
        error = await failure_of(read(client))
        assert isinstance(error, AiorunstreamError)
        assert_nothing_shows(error)


async def test_a_key_in_a_header_of_the_caller_is_not_shown() -> None:
    for value in (f"Bearer {KEY}", f"Bearer {KEY}\n"):
        async with RawServer(hang_up) as server, AsyncClient(base_url=server.base_url, retry=NO_RETRY) as client:
            options = RequestOptions(extra_headers={"Authorization": value})
            assert_unseen("repr", repr(options))
            error = await failure_of(read(client, options))
            assert isinstance(error, AiorunstreamError)
            assert_nothing_shows(error)


def test_a_key_in_a_refused_default_header_is_not_shown() -> None:
    with pytest.raises(AiorunstreamError) as caught:
        AsyncClient(base_url="http://127.0.0.1:9", default_headers={"Authorization": f"Bearer {KEY}\n"})
    assert_nothing_shows(caught.value)


async def test_a_client_and_a_stream_show_no_key_and_are_not_pickled() -> None:
    async with RawServer(answering(stream_answer())) as server:
        async with AsyncClient(base_url=server.base_url, api_key=KEY, retry=NO_RETRY, timeouts=QUICK) as client:
            call = start(client)
            for thing in (client, call, client.threads.runs):
                assert_unseen("repr", repr(thing) + str(thing))
                for value in values_inside(thing, 6):
                    assert_unseen(f"vars of {thing!r}", repr(value))
            async with call as stream:
                await events_of(stream)
                for value in values_inside(stream, 3):
                    assert_unseen("vars of the stream", repr(value))
            for kept in (client, client._backend, client.threads):
                with pytest.raises(TypeError):
                    pickle.dumps(kept)
        assert server.requests[0].header("authorization") == f"Bearer {KEY}"


def test_a_key_as_it_is_kept_is_not_pickled() -> None:
    for kept in (Secret(KEY), Secret(KEY).bearer()):
        assert_unseen("repr", repr(kept))
        with pytest.raises(TypeError, match="a secret is not pickled") as caught:
            pickle.dumps(kept)
        assert_nothing_shows(caught.value, in_variables=False)


def test_a_password_in_a_base_url_or_proxy_is_not_quoted() -> None:
    with pytest.raises(AiorunstreamError) as caught:
        AsyncClient(base_url=f"http://user:{KEY.replace('/', '')}@127.0.0.1/v1")
    assert "Secret" not in str(caught.value)
    client = AsyncClient(base_url="http://127.0.0.1:9", proxy="http://user:Secret+0451@127.0.0.1:9")
    assert_unseen("repr", repr(client))
