"""Whatever a server sends, a browser sees that and nothing else: two readers of event streams are the judges."""

import inspect
import random
import re
from collections.abc import Iterable

import msgspec
import pytest
from conftest import LONG
from hypothesis import given
from hypothesis import strategies as st

from aiorunstream import AiorunstreamError, Frame, InvalidArgumentError, ThreadMessageDelta, errors
from aiorunstream.events import REGISTRY
from aiorunstream.protocol import RunProtocol
from aiorunstream.relay._problems import problem_of, problem_of_stop, retry_after
from aiorunstream.relay._response import refusal
from aiorunstream.relay._writing import DONE, PING, Only, Writer
from aiorunstream.sse import SSEDecoder, encode

Seen = tuple[str, str, str]
"""An event as a page sees it: its type, data and last event id."""

LINE_END = re.compile("\r\n|\r|\n")


def event_source(body: bytes) -> list[Seen]:
    """What an `EventSource` dispatches, by the letter of the HTML standard, and by nothing of ours."""
    found: list[Seen] = []
    name, last_id = "", ""
    data: list[str] = []
    *lines, _ = LINE_END.split(body.decode("utf-8", "replace").removeprefix("\ufeff"))
    for line in lines:
        if not line:
            if data:
                found.append((name or "message", "\n".join(data), last_id))
            name, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value[1:] if value[:1] == " " else value
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id" and "\0" not in value:
            last_id = value
    return found


def decoder(chunks: Iterable[bytes]) -> list[Seen]:
    """The same, by our decoder."""
    reader = SSEDecoder()
    found = [(item.event, item.text, item.id) for data in chunks for item in reader.feed(data)]
    reader.end()
    return found


def seen(frame: Frame, id: str) -> Seen:
    """A frame as it should be seen. Line ends lie between the tokens of JSON, so which ones they are does not matter."""
    return (frame.event or "message", "\n".join(LINE_END.split(frame.data.decode())), id)


hostile = st.text(st.sampled_from("a:\r\n\0 \u2028\x85\ufeffé") | st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.sampled_from(list(REGISTRY)) | hostile | st.just("done") | st.just("x\ndata: evil\n\n")
payloads = hostile | st.sampled_from(["{}", "\n\n", "\r", "data: x", "x\r\n\r\nevent: done\r\ndata: y\r\n\r\n"])
run_ids = st.none() | hostile | st.just("run_1")


@given(st.lists(st.tuples(names, payloads), max_size=8), run_ids, st.lists(st.integers(1, 200), max_size=6))
def test_each_event_goes_out_as_one_event_or_is_refused(
    events: list[tuple[str, str]], run_id: str | None, places: list[int]
) -> None:
    writer = Writer(Only(None))
    writer.run_id = run_id
    run = f"{run_id}:" if run_id is not None and re.fullmatch("[A-Za-z0-9_-]{1,128}", run_id) else ""
    body, expected = PING, list[Seen]()
    for number, (name, payload) in enumerate(events, 1):
        frame = Frame(name, payload.encode())
        try:
            data = writer.frame(frame)
        except InvalidArgumentError:
            assert re.search("[\r\n\0]", name)
            continue
        assert not re.search("[\r\n\0]", name)
        assert data is not None
        assert data == encode(frame.data, event=name, id=f"{run}{number}")
        body += data + PING
        expected.append(seen(frame, f"{run}{number}"))
    assert event_source(body) == expected
    cut = [body[start:end] for start, end in zip([0, *sorted(places)], [*sorted(places), None], strict=True)]
    assert decoder(cut) == expected


@given(hostile, run_ids)
def test_text_goes_out_as_one_json_string(text: str, run_id: str | None) -> None:
    protocol = RunProtocol()
    part = {"index": 0, "type": "text", "text": {"value": text}}
    payload = {"id": "msg_1", "object": "thread.message.delta", "delta": {"content": [part]}}
    protocol.receive_data(encode(msgspec.json.encode(payload), event="thread.message.delta"))
    event = protocol.next_event()
    assert isinstance(event, ThreadMessageDelta)
    writer = Writer(Only(None))
    writer.run_id = run_id
    data = writer.text(event)
    if not text:
        assert data is None
        return
    assert data is not None
    ((name, got, _),) = event_source(data)
    assert name == "text"
    assert msgspec.json.decode(got) == text
    assert decoder([data]) == event_source(data)


@pytest.mark.parametrize("half", [rb"\ud83d", rb"\ude00", rb"a\ud83db"])
def test_half_a_character_goes_out_as_text_all_the_same(half: bytes) -> None:
    protocol = RunProtocol()
    protocol.receive_data(
        b'event: thread.message.delta\ndata: {"id":"m","object":"thread.message.delta","delta":{"content":'
        b'[{"index":0,"type":"text","text":{"value":"' + half + b'"}}]}}\n\n'
    )
    event = protocol.next_event()
    assert event is not None
    frame = protocol.frame_of(event)
    writer = Writer(Only(None))
    for data in (writer.text(event), writer.frame(frame)):
        assert data is not None
        ((_, got, _),) = event_source(data)
        msgspec.json.decode(got)


@given(
    st.lists(names, max_size=12),
    st.sets(names.filter(lambda name: bool(name) and "*" not in name), min_size=1, max_size=4),
)
def test_only_lets_out_exactly_what_it_names(events: list[str], wanted: set[str]) -> None:
    starts = {f"{name[:3]}*" for name in sorted(wanted)[:1]}
    only = Only([*wanted, *starts])
    for name in events:
        assert only.takes(name) == (name in wanted or any(name.startswith(start[:-1]) for start in starts))


def test_an_event_that_is_filtered_out_counts() -> None:
    writer = Writer(Only(["thread.run.*"]))
    went_out: list[bool] = []

    def written(name: str) -> bytes | None:
        data = writer.frame(Frame(name, b"{}"))
        went_out.append(writer.last_went_out)
        return data

    assert written("thread.message.delta") is None
    assert written("thread.run.created") == b"event: thread.run.created\nid: 2\ndata: {}\n\n"
    writer.run_id = "run_1"
    assert written("thread.run.created") == b"event: thread.run.created\nid: run_1:3\ndata: {}\n\n"
    assert written("thread.message.delta") is None
    assert went_out == [False, True, True, False]


def test_names_that_a_server_makes_up_are_not_kept() -> None:
    writer = Writer(Only(None))
    for number in range(1000):
        writer.frame(Frame(f"name.{number}", b"{}"))
    assert len(writer._heads) <= len(REGISTRY)


# -- many ----------------------------------------------------------------------------------------------------------------

COUNT = 1_000_000 if LONG else 20_000
_BITS = [
    "a",
    "é",
    "\u2028",
    "\ufeff",
    ":",
    " ",
    "data: ",
    "event: done",
    '"',
    "{}",
    "\U0001f600",
    "[DONE]",
    "\x85",
    "\t",
]
_ENDS = ["\n", "\r", "\r\n", "\n\n", "\r\n\r\n"]


def _random_frame(choose: random.Random) -> Frame:
    name = (
        choose.choice(list(REGISTRY))
        if choose.random() < 0.7
        else "".join(choose.choices(_BITS, k=choose.randint(0, 4)))
    )
    bits = _BITS + _ENDS if choose.random() < 0.5 else _BITS
    return Frame(name, "".join(choose.choices(bits, k=choose.randint(1, 12))).encode())


@pytest.mark.timeout(3600)
def test_random_events_survive_the_way_out_and_in() -> None:
    """A million of them with AIORUNSTREAM_LONG=1; the cuts are random, too."""
    choose = random.Random() if LONG else random.Random(7)
    writer, reader = Writer(Only(None)), SSEDecoder()
    writer.run_id = "run_1"
    done = 0
    while done < COUNT:
        frames = [_random_frame(choose) for _ in range(500)]
        pieces = [writer.frame(frame) or b"" for frame in frames]
        body = b"".join(piece + PING if choose.random() < 0.1 else piece for piece in pieces)
        expected = [seen(frame, f"run_1:{number}") for number, frame in enumerate(frames, done + 1)]
        found: list[Seen] = []
        while body:
            size = choose.choice([1, 7, 100, 5_000, 100_000])
            found += [(item.event, item.text, item.id) for item in reader.feed(body[:size])]
            body = body[size:]
        assert found == expected
        assert event_source(b"".join(pieces)) == expected
        done += len(frames)


# -- errors --------------------------------------------------------------------------------------------------------------

KEY = "sk-planted-0123456789abcdef"


def _planted(cls: type[AiorunstreamError]) -> AiorunstreamError:
    """An error of that class with a key in every word it holds."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    numbers = {"status_code": 400, "errno": 5, "seconds": 1.0, "limit": 3, "retry_after": 2.5, "clock": None}
    given = {
        item.name: numbers.get(
            item.name, {KEY: KEY} if item.name == "headers" else False if item.annotation is bool else KEY
        )
        for item in parameters
        if item.kind is item.KEYWORD_ONLY
    }
    return cls(KEY, **given)


CLASSES = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, AiorunstreamError)]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_no_error_s_own_words_go_out(cls: type[AiorunstreamError]) -> None:
    error = _planted(cls)
    assert KEY in str(error)
    problem = problem_of(error)
    assert 400 <= problem.status < 600
    answer = refusal(error)
    told = [problem.data(), problem.body(), bytes(answer.body), repr(answer.raw_headers).encode()]
    assert not any(KEY.encode() in words for words in told)
    ((name, data, _),) = event_source(encode(problem.data(), event="error"))
    assert (name, msgspec.json.decode(data)["code"]) == ("error", problem.code)


def _of_status(status: int) -> errors.APIStatusError:
    cls = {
        401: errors.AuthenticationError,
        403: errors.PermissionDeniedError,
        404: errors.NotFoundError,
        429: errors.RateLimitError,
    }.get(status, errors.APIStatusError)
    return cls("no", status_code=status)


@pytest.mark.parametrize("status", range(300, 600))
def test_only_statuses_about_what_was_asked_for_are_passed_on(status: int) -> None:
    problem = problem_of(_of_status(status))
    own = (400, 401, 403, 404, 409, 413, 422, 429)
    assert problem.status == status if status in own else problem.status in (502, 504)


@pytest.mark.parametrize(("seconds", "told"), [(None, {}), (0.2, "1"), (7.0, "7"), (-1.0, "0"), (float("inf"), {})])
def test_when_to_come_again_is_told_in_whole_seconds(seconds: float | None, told: object) -> None:
    found = retry_after(errors.RateLimitError("slow", status_code=429, retry_after=seconds))
    assert found == (told if told == {} else {"Retry-After": told})
    assert retry_after(errors.InternalServerError("no", status_code=500, retry_after=seconds)) == {}


def test_a_run_that_is_done_is_no_problem_and_every_other_stop_is() -> None:
    assert problem_of_stop("completed") is None
    codes = {
        getattr(problem_of_stop(stop), "code", None) for stop in ("failed", "cancelled", "expired", "incomplete", None)
    }
    assert len(codes) == 5


def test_the_end_is_one_event_and_the_ping_none() -> None:
    assert event_source(PING + DONE) == [("done", "[DONE]", "")]
    assert event_source(PING) == []
