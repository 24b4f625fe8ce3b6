"""What the embedded server does wrong when it is told to, byte by byte on a plain socket; and in which request it does so.

What the client makes of it, and what can be told, is in test_server_faults_client.py.
"""

import asyncio
import re
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest
from server_client import Http, serving, stopped, until

from aiorunstream.server import AssistantsServer, Fault, ScriptedEngine
from aiorunstream.server._faults import FaultKind

DONE = b"event: done\ndata: [DONE]\n\n"
LAST_CHUNK = b"0\r\n\r\n"
SOON = 0.15
"""Seconds without a byte after which, twice in a row, a connection is taken to be silent."""
PLACES = [0, 1, 120, 1200]


class Seen(NamedTuple):
    """What one connection brought until it ended, or until nothing more came."""

    head: bytes
    body: bytes
    end: str  # "fin", "rst" or "open"

    @property
    def events(self) -> bytes:
        """The body without its chunk sizes, as far as it is made of chunks."""
        found, rest = b"", self.body
        while size := re.match(rb"([0-9a-f]+)\r\n", rest):
            begin, length = size.end(), int(size[1], 16)
            found += rest[begin : begin + length]
            if not length or rest[begin + length : begin + length + 2] != b"\r\n":
                break
            rest = rest[begin + length + 2 :]
        return found

    @property
    def is_ended(self) -> bool:
        """Whether the body ended as HTTP says it should."""
        return self.body.endswith(LAST_CHUNK)


async def seen_by_a_socket(base_url: str, path: str, body: object, *, method: str = "POST") -> Seen:
    """Sends one request over a plain socket and takes what comes, until nothing more does or the body is whole."""
    url = urlsplit(base_url)
    payload = msgspec.json.encode(body)
    loop, got, end = asyncio.get_running_loop(), b"", "open"
    with socket.socket() as plain:
        plain.setblocking(False)
        await loop.sock_connect(plain, (url.hostname, url.port))
        lines = f"{method} {url.path}{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        await loop.sock_sendall(plain, f"{lines}Content-Length: {len(payload)}\r\n\r\n".encode() + payload)
        silences = 0
        while end == "open" and silences < 2 and not got.endswith(LAST_CHUNK):
            try:
                data = await asyncio.wait_for(loop.sock_recv(plain, 65536), SOON)
            except TimeoutError:
                silences += 1  # one alone may be a machine that had no time for the server either
            except ConnectionResetError:
                end = "rst"
            else:
                got += data
                silences = 0
                end = end if data else "fin"
    head, _, rest = got.partition(b"\r\n\r\n")
    return Seen(head, rest, end)


async def stream_seen(server: AssistantsServer, http: Http) -> Seen:
    """A run's stream over a plain socket."""
    path, body = await http.runs()
    return await seen_by_a_socket(server.base_url, path, {**body, "stream": True})


# -- byte by byte, on a plain socket ---------------------------------------------------------------------------------


@pytest.mark.parametrize("at_byte", PLACES)
@pytest.mark.parametrize(("kind", "end"), [("cut", "fin"), ("reset", "rst")])
async def test_a_connection_breaks_at_the_very_byte(kind: FaultKind, end: str, at_byte: int) -> None:
    async with serving() as (server, http):
        server.inject(Fault(kind, at_byte=at_byte))
        seen = await stream_seen(server, http)
        assert seen.head.startswith(b"HTTP/1.1 200 ")
        assert (len(seen.events), seen.end, seen.is_ended) == (at_byte, end, False)
        assert b"event: thread.run.created\n"[:at_byte] == seen.events[:26]
        await until(lambda: server.open_streams == 0)


async def test_what_comes_before_a_cut_all_arrives_however_much_it_is() -> None:
    async with serving(engine=ScriptedEngine(["x" * 8_000_000])) as (server, http):
        server.inject(Fault("cut", at_byte=7_000_000))
        seen = await stream_seen(server, http)
        assert (len(seen.events), seen.end) == (7_000_000, "fin")


@pytest.mark.parametrize("at_byte", PLACES)
async def test_a_body_ends_early_and_properly(at_byte: int) -> None:
    async with serving() as (server, http):
        server.inject(Fault("end", at_byte=at_byte))
        seen = await stream_seen(server, http)
        assert (len(seen.events), seen.end, seen.is_ended) == (at_byte, "open", True)


@pytest.mark.parametrize("at_byte", PLACES)
async def test_a_stream_stalls_with_its_connection_open(at_byte: int) -> None:
    async with serving() as (server, http):
        server.inject(Fault("stall", at_byte=at_byte))
        seen = await stream_seen(server, http)
        assert (len(seen.events), seen.end, seen.is_ended) == (at_byte, "open", False)
        await until(lambda: server.open_streams == 0)


async def test_a_stall_that_is_over_loses_nothing() -> None:
    async with serving() as (server, http):
        whole = (await stream_seen(server, http)).events
        server.inject(Fault("stall", at_byte=700, seconds=0.05))
        seen = await stream_seen(server, http)
        assert len(seen.events) == len(whole)
        assert seen.events.endswith(DONE)
        assert seen.is_ended


@pytest.mark.parametrize("at_byte", PLACES)
async def test_a_chunk_that_is_none_comes_behind_the_very_byte(at_byte: int) -> None:
    async with serving() as (server, http):
        server.inject(Fault("bad_chunk", at_byte=at_byte))
        seen = await stream_seen(server, http)
        assert (len(seen.events), seen.end) == (at_byte, "open")
        assert seen.body.endswith(b"zz\r\n")


@pytest.mark.parametrize("at_byte", PLACES)
async def test_an_error_event_stands_behind_the_event_that_is_under_way(at_byte: int) -> None:
    async with serving() as (server, http):
        server.inject(Fault("error_event", at_byte=at_byte))
        seen = await stream_seen(server, http)
        before, marker, error = seen.events.partition(b"event: error\n")
        assert marker
        assert len(before) >= at_byte
        boundaries = [0, *(found.end() for found in re.finditer(b"\n\n", before))]
        assert boundaries[-1] == len(before)
        assert len(boundaries) == 1 or boundaries[-2] < at_byte, "there was a boundary before"
        assert error.endswith(DONE)
        assert seen.is_ended


@pytest.mark.parametrize("beyond", [-1, 0, 1])
async def test_an_error_event_at_a_boundary_waits_for_no_further_event(beyond: int) -> None:
    async with serving() as (server, http):
        first = (await stream_seen(server, http)).events.index(b"\n\n") + 2
        server.inject(Fault("error_event", at_byte=first + beyond))
        before, _, _ = (await stream_seen(server, http)).events.partition(b"event: error\n")
        assert before.count(b"\n\n") == (2 if beyond > 0 else 1)


async def test_a_drip_sends_every_byte_in_a_chunk_of_its_own() -> None:
    async with serving() as (server, http):
        whole = (await stream_seen(server, http)).events
        server.inject(Fault("drip"))
        seen = await stream_seen(server, http)
        assert len(seen.events) == len(whole)
        assert seen.events.endswith(DONE)
        assert re.sub(rb"1\r\n(.)\r\n", rb"\1", seen.body, flags=re.DOTALL) == seen.events + LAST_CHUNK


async def test_a_drip_takes_its_time() -> None:
    async with serving() as (server, http):
        server.inject(Fault("drip", seconds=0.05))
        path, body = await http.runs()
        async with http.stream(path, body) as response:
            for expected in b"event":
                assert await response.content.readany() == bytes([expected])
            response.close()


async def test_the_last_chunk_never_comes_or_comes_late() -> None:
    async with serving() as (server, http):
        server.inject(Fault("late_end"))
        seen = await stream_seen(server, http)
        assert seen.events.endswith(DONE)
        assert (seen.end, seen.is_ended) == ("open", False)
        server.inject(Fault("late_end", seconds=0.05))
        assert (await stream_seen(server, http)).is_ended


@pytest.mark.parametrize("kind", ["cut", "reset", "stall", "bad_chunk"])
async def test_a_stream_that_is_shorter_is_broken_at_its_end(kind: FaultKind) -> None:
    async with serving() as (server, http):
        server.inject(Fault(kind, at_byte=1_000_000))
        seen = await stream_seen(server, http)
        assert seen.events.endswith(DONE)
        assert not seen.is_ended


@pytest.mark.parametrize("kind", ["hang_up", "silence"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
async def test_an_unanswered_request_was_carried_out(kind: FaultKind, *, stream: bool) -> None:
    async with serving() as (server, http):
        path, body = await http.runs()
        server.inject(Fault(kind, operation="create_run"))
        seen = await seen_by_a_socket(server.base_url, path, {**body, "stream": stream})
        assert (seen.head, seen.body, seen.end) == (b"", b"", "fin" if kind == "hang_up" else "open")
        (run,) = (await http.get(path))["data"]
        assert (await stopped(http, f"{path}/{run['id']}"))["status"] == "completed"
        await until(lambda: server.open_streams == 0)


async def test_a_silence_may_only_be_a_late_answer() -> None:
    async with serving() as (server, http):
        server.inject(Fault("silence", seconds=0.05, operation="create_thread"))
        assert (await http.post("/threads"))["object"] == "thread"
        server.inject(Fault("silence", seconds=0.05, operation="create_run"))
        seen = await stream_seen(server, http)
        assert seen.events.endswith(DONE)
        assert seen.is_ended


async def test_a_refused_request_does_nothing() -> None:
    async with serving() as (server, http):
        path, body = await http.runs()
        for stream in (True, False):
            server.inject(Fault("refuse", status=503, retry_after=0.25, operation="create_run"))
            async with http.session.post(server.base_url + path, json={**body, "stream": stream}) as response:
                assert response.status == 503
                assert (response.headers["Retry-After"], response.headers["retry-after-ms"]) == ("1", "250")
                assert (await response.json())["error"]["type"] == "server_error"
        assert (await http.get(path))["data"] == []
        server.inject(Fault("refuse", status=404, operation="list_runs"))
        status, error = await http.refused("GET", path)
        assert (status, error["type"]) == (404, "invalid_request_error")


# -- which request it happens in -------------------------------------------------------------------------------------


async def test_faults_happen_in_order_one_a_request_and_then_no_more() -> None:
    async with serving() as (server, http):
        for status in (500, 503, 429):
            server.inject(Fault("refuse", status=status))
        found = [(await http.ask("POST", "/threads", {}))[0] for _ in range(4)]
        assert found == [500, 503, 429, 200]


async def test_a_fault_happens_as_often_as_it_says() -> None:
    async with serving() as (server, http):
        twice = Fault("refuse", status=503, times=2)
        server.inject(twice)
        server.inject(Fault("refuse", status=429))
        server.inject(twice)
        found = [(await http.ask("GET", "/assistants"))[0] for _ in range(6)]
        assert found == [503, 503, 429, 503, 503, 200]
        server.inject(Fault("refuse", times=None))
        assert {(await http.ask("GET", "/assistants"))[0] for _ in range(20)} == {500}
        server.clear_faults()
        assert (await http.ask("GET", "/assistants"))[0] == 200


async def test_a_fault_waits_for_the_operation_it_is_about() -> None:
    async with serving() as (server, http):
        server.inject(Fault("refuse", operation="list_runs", status=403))
        server.inject(Fault("refuse", operation="retrieve_run", status=404))
        path, body = await http.runs()
        run = await http.post(path, body)
        assert (await http.refused("GET", f"{path}/{run['id']}"))[0] == 404
        assert (await http.get(f"{path}/{run['id']}"))["id"] == run["id"]
        assert (await http.refused("GET", path))[0] == 403
        assert len((await http.get(path))["data"]) == 1


async def test_a_fault_of_a_body_waits_for_a_stream() -> None:
    async with serving() as (server, http):
        server.inject(Fault("end", at_byte=10))
        path, body = await http.runs()
        run = await http.post(path, body)
        await stopped(http, f"{path}/{run['id']}")
        assert len((await stream_seen(server, http)).events) == 10
        assert (await stream_seen(server, http)).events.endswith(DONE)


async def test_a_request_that_is_wrong_itself_uses_up_no_fault() -> None:
    async with serving(api_keys="right") as (server, http):
        server.inject(Fault("hang_up"))
        assert (await http.refused("POST", "/threads", {}))[0] == 401
        key = {"Authorization": "Bearer right"}
        assert (await http.refused("GET", "/threads/none", **key))[0] == 404
        assert (await http.refused("POST", "/threads", ["no object"], **key))[0] == 400
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await http.ask("POST", "/threads", {}, **key)
        assert (await http.ask("POST", "/threads", {}, **key))[0] == 200
