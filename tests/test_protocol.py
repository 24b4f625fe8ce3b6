"""The run stream without its connection: what comes out, in which order, and how it ends. Limits are in test_protocol_limits.py, dialects in test_protocol_dialects.py."""

import json
from typing import cast

import pytest

from aiorunstream.errors import (
    RunStreamError,
    StreamError,
    StreamInterruptedError,
    StreamProtocolError,
    StreamTruncatedError,
)
from aiorunstream.events import (
    ErrorEvent,
    RunEvent,
    ThreadCreated,
    ThreadRunCompleted,
    ThreadRunCreated,
    ThreadRunRequiresAction,
    UnknownEvent,
)
from aiorunstream.protocol import OnErrorEvent, RunProtocol

STOPPING = ["completed", "incomplete", "failed", "cancelled", "expired", "requires_action"]


def frame(name: str | None, payload: object) -> bytes:
    """One event on the wire; a payload of bytes goes as it is."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return (b"" if name is None else b"event: " + name.encode() + b"\n") + b"data: " + data + b"\n\n"


CREATED = frame("thread.run.created", {"id": "run_1", "thread_id": "thread_1", "status": "queued"})
COMPLETED = frame("thread.run.completed", {"id": "run_1", "thread_id": "thread_1", "status": "completed"})
DONE = frame("done", b"[DONE]")


def reading(*wire: bytes, on_error_event: OnErrorEvent = "raise") -> RunProtocol:
    protocol = RunProtocol(on_error_event=on_error_event)
    for chunk in wire:
        protocol.receive_data(chunk)
    return protocol


def events(protocol: RunProtocol) -> list[RunEvent]:
    found: list[RunEvent] = []
    while (event := protocol.next_event()) is not None:
        found.append(event)
    return found


def only(name: str | None, payload: object) -> RunEvent:
    (event,) = events(reading(frame(name, payload)))
    return event


def error_of(protocol: RunProtocol) -> StreamError:
    with pytest.raises(StreamError) as caught:
        events(protocol)
    return caught.value


# -- the plain way -----------------------------------------------------------------------------------------------------


def test_events_come_one_by_one_and_none_means_more_bytes_are_needed() -> None:
    protocol = reading(CREATED[:20])
    assert protocol.next_event() is None
    protocol.receive_data(CREATED[20:] + COMPLETED[:-1])
    assert isinstance(protocol.next_event(), ThreadRunCreated)
    assert protocol.next_event() is None
    protocol.receive_data(COMPLETED[-1:])
    assert isinstance(protocol.next_event(), ThreadRunCompleted)
    assert protocol.next_event() is None


def test_reads_may_pile_up_before_the_first_event_is_asked_for() -> None:
    assert len(events(reading(CREATED, CREATED, COMPLETED))) == 3


def test_what_is_known_grows_with_the_events() -> None:
    protocol = reading(CREATED + frame("thread.message.delta", {"id": "msg_1"}) + COMPLETED)
    assert (protocol.run, protocol.run_id, protocol.thread_id, protocol.outcome) == (None, None, None, None)
    protocol.next_event()
    assert (protocol.run_id, protocol.thread_id, protocol.last_event) == ("run_1", "thread_1", "thread.run.created")
    protocol.next_event()
    assert (protocol.last_event, protocol.events_seen, protocol.outcome) == ("thread.message.delta", 2, None)
    protocol.next_event()
    assert protocol.run is not None
    assert (protocol.run.status, protocol.outcome, protocol.events_seen) == ("completed", "completed", 3)


@pytest.mark.parametrize("extra", [{}, {"created_at": 1.5}], ids=["plain", "repaired"])
def test_a_thread_that_was_made_tells_its_id(extra: dict[str, object]) -> None:
    protocol = reading(frame("thread.created", {"id": "thread_9", **extra}))
    assert isinstance(protocol.next_event(), ThreadCreated)
    assert protocol.thread_id == "thread_9"


# -- the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", STOPPING)
@pytest.mark.parametrize("envelope", [False, True], ids=["named", "envelope"])
def test_nothing_after_a_stopping_event_is_delivered(status: str, *, envelope: bool) -> None:
    run, name = {"id": "run_1", "status": status}, f"thread.run.{status}"
    stop = frame(None, {"event": name, "data": run}) if envelope else frame(name, run)
    protocol = reading(CREATED + stop + CREATED + frame("error", {"message": "late"}), b"data: {broken\n\n", b"")
    names = [event.event for event in events(protocol)]
    assert names == ["thread.run.created", name]
    protocol.receive_data(frame("error", {"message": "later"}))
    protocol.receive_data(b"")
    assert protocol.next_event() is None
    assert (protocol.outcome, protocol.events_seen, protocol.done_seen) == (status, 2, False)


def test_bytes_that_come_after_a_stop_are_never_delivered() -> None:
    protocol = reading(COMPLETED)
    assert isinstance(protocol.next_event(), ThreadRunCompleted)
    for chunk in (CREATED, frame("error", {"message": "late"}), b"data: {\n\n", b""):
        protocol.receive_data(chunk)
        assert protocol.next_event() is None
    assert protocol.events_seen == 1


@pytest.mark.parametrize("status", ["queued", "in_progress", "cancelling", "created"])
def test_no_other_run_event_stops_the_stream(status: str) -> None:
    protocol = reading(frame(f"thread.run.{status}", {"id": "run_1", "status": "completed"}), b"")
    assert isinstance(error_of(protocol), StreamTruncatedError)
    assert protocol.outcome is None


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "expired"])
def test_a_step_that_stops_does_not_stop_the_stream(status: str) -> None:
    step = frame(f"thread.run.step.{status}", {"id": "step_1", "status": status})
    assert len(events(reading(step + COMPLETED))) == 2


def test_the_run_is_believed_before_the_name_of_its_event() -> None:
    """open-assistant-api names an event `completed` whose run waits for tool outputs."""
    protocol = reading(frame("thread.run.completed", {"id": "run_1", "status": "requires_action"}))
    assert isinstance(protocol.next_event(), ThreadRunCompleted)
    assert protocol.outcome == "requires_action"


def test_the_first_of_two_stopping_events_wins() -> None:
    """The same server sends `requires_action` and `completed` one after the other."""
    action = frame("thread.run.requires_action", {"id": "run_1", "status": "requires_action"})
    protocol = reading(action + frame("thread.run.completed", {"id": "run_1", "status": "requires_action"}))
    assert [type(event) for event in events(protocol)] == [ThreadRunRequiresAction]


@pytest.mark.parametrize("status", ["in_progress", "queued", "paused", "", None, 7])
def test_a_status_that_is_no_stop_leaves_the_outcome_to_the_name(status: object) -> None:
    protocol = reading(frame("thread.run.failed", {"id": "run_1", "status": status}))
    assert protocol.next_event() is not None
    assert protocol.outcome == "failed"


@pytest.mark.parametrize(
    "payload", [[], {"status": "requires_action", "id": "run_2", "usage": 5}, {"id": 5, "tools": 7}, "x"]
)
def test_a_stopping_event_that_cannot_be_typed_still_stops(payload: object) -> None:
    protocol = reading(CREATED + frame("thread.run.completed", payload) + CREATED)
    assert isinstance(events(protocol)[-1], UnknownEvent)
    known: dict[str, object] = cast("dict[str, object]", payload) if isinstance(payload, dict) else {}
    assert protocol.outcome == known.get("status", "completed")
    assert protocol.run_id == ("run_2" if "status" in known else "run_1")
    assert protocol.events_seen == 2


@pytest.mark.parametrize("wire", [b"", CREATED, CREATED + COMPLETED[:-1], CREATED + b": ping\n\n"])
def test_an_end_without_a_stopping_event_is_truncated(wire: bytes) -> None:
    error = error_of(reading(wire, b"") if wire else reading(b""))
    assert isinstance(error, StreamTruncatedError)
    assert isinstance(error, StreamInterruptedError)
    assert not error.done_seen


@pytest.mark.parametrize(
    "mark",
    [
        DONE,
        frame(None, b"[DONE]"),
        frame("done", b"done"),
        frame("done", b'{"status": "ok"}'),
        frame(None, b" [DONE] "),
        frame("message", b"[DONE]"),
        frame("thread.run.completed", b"[DONE]"),
        frame("error", b"[DONE]"),
        frame(None, {"event": "done", "data": "[DONE]"}),
        frame(None, {"data": "[DONE]", "event": "done"}),
    ],
)
def test_the_end_mark_without_a_stopping_event_is_truncated_too(mark: bytes) -> None:
    protocol = reading(CREATED + mark + COMPLETED)
    assert isinstance(protocol.next_event(), ThreadRunCreated)
    error = error_of(protocol)
    assert isinstance(error, StreamTruncatedError)
    assert error.done_seen
    assert protocol.done_seen
    assert protocol.outcome is None


def test_text_that_only_begins_like_the_end_mark_is_not_it() -> None:
    protocol = reading(frame("note", b"[DONE] nearly"))
    assert isinstance(protocol.next_event(), UnknownEvent)


def test_bytes_after_the_end_of_the_body_mean_nothing() -> None:
    protocol = reading(CREATED, b"", COMPLETED)
    assert isinstance(protocol.next_event(), ThreadRunCreated)
    assert isinstance(error_of(protocol), StreamTruncatedError)


# -- failures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        pytest.param(frame("thread.run.queued", b'{"id": "sk-planted'), StreamProtocolError, id="broken-json"),
        pytest.param(frame("error", {"message": "no"}), RunStreamError, id="error-event"),
        pytest.param(DONE, StreamTruncatedError, id="end-mark"),
    ],
)
def test_good_events_come_before_the_error_and_the_error_stays(broken: bytes, kind: type[StreamError]) -> None:
    protocol = reading(CREATED + CREATED + broken + COMPLETED)
    assert [type(protocol.next_event()) for _ in range(2)] == [ThreadRunCreated] * 2
    first = error_of(protocol)
    protocol.receive_data(COMPLETED)
    protocol.receive_data(b"")
    second, third = error_of(protocol), error_of(protocol)
    assert type(first) is type(second) is type(third) is kind
    assert len({id(error) for error in (first, second, third)}) == 3
    assert first.__dict__ == second.__dict__ == third.__dict__
    assert str(first) == str(third)
    assert (protocol.events_seen, protocol.outcome) == (2, None)


@pytest.mark.parametrize("name", ["thread.run.created", "thread.message.delta", "thread.created", None])
@pytest.mark.parametrize(
    "payload", [b"", b"{", b'{"id":"sk-planted"', b'{"id":"sk-planted"}}', b"sk-planted", b"NaN", b"'sk'"]
)
def test_broken_json_names_the_event_and_never_quotes_it(name: str | None, payload: bytes) -> None:
    error = error_of(reading(frame(name, payload)))
    assert type(error) is StreamProtocolError
    assert repr(name or "message") in str(error)
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None:
        seen.append(link)
        link = link.__cause__ or link.__context__
    for link in seen:
        assert "planted" not in f"{link!s} {link!r} {link.args!r} {vars(link)!r} {getattr(link, 'doc', '')!r}"


def test_broken_json_under_a_name_of_tomorrow_is_an_unknown_event() -> None:
    event = only("thread.run.thought", b"plain words")
    assert isinstance(event, UnknownEvent)
    assert event.json() == "plain words"


def test_a_very_long_number_is_json_and_kills_nothing() -> None:
    digits = b"9" * 5000
    assert isinstance(only("thread.run.queued", b'{"id":"run_1","extra":%b}' % digits), RunEvent)
    assert isinstance(only("thread.run.queued", b'{"id":"run_1","created_at":1.5,"extra":%b}' % digits), RunEvent)
    assert isinstance(only(None, b'{"extra":%b}' % digits), UnknownEvent)
    tomorrow = only("thread.run.thought", b'{"extra":%b}' % digits)
    assert isinstance(tomorrow, UnknownEvent)
    assert bytes(tomorrow.data).startswith(b'{"extra":999')


# -- error events ------------------------------------------------------------------------------------------------------

FLAT = {"message": "overloaded", "type": "server_error", "code": "busy", "param": "model"}


@pytest.mark.parametrize(
    ("name", "payload", "words"),
    [
        pytest.param("error", FLAT, ("overloaded", "server_error", "busy", "model"), id="flat"),
        pytest.param("error", {"error": FLAT}, ("overloaded", "server_error", "busy", "model"), id="wrapped"),
        pytest.param(None, {"error": FLAT}, ("overloaded", "server_error", "busy", "model"), id="data-only"),
        pytest.param(
            None, {"event": "error", "data": FLAT}, ("overloaded", "server_error", "busy", "model"), id="envelope"
        ),
        pytest.param("error", {"error": {"message": "m", "code": "500"}}, ("m", None, "500", None), id="code-as-text"),
        pytest.param("error", {"message": "m", "code": 500}, ("m", None, 500, None), id="code-as-number"),
        pytest.param("error", {"error": "words"}, ("words", None, None, None), id="text-inside"),
        pytest.param(None, {"error": "words"}, ("words", None, None, None), id="data-only-text"),
        pytest.param("error", {"detail": "words"}, ("words", None, None, None), id="detail"),
        pytest.param(
            "error",
            {"error": "invalid_grant", "error_description": "expired"},
            ("expired", None, "invalid_grant", None),
            id="oauth",
        ),
        pytest.param(
            "error",
            b'{"error":' * 9 + b'"too far in"' + b"}" * 9,
            ("the server sent an error event", None, None, None),
            id="wrapped-nine-times",
        ),
        pytest.param("error", b'"words"', ("words", None, None, None), id="json-text"),
        pytest.param("error", b"upstream gone", ("upstream gone", None, None, None), id="plain-text"),
        pytest.param("error", b"<html>\xff", ("<html>\ufffd", None, None, None), id="bytes"),
        pytest.param("error", {}, ("the server sent an error event", None, None, None), id="empty"),
        pytest.param("error", {"error": None, "message": "m"}, ("m", None, None, None), id="null-inside"),
    ],
)
def test_an_error_event_raises_with_the_servers_words(
    name: str | None, payload: object, words: tuple[object, ...]
) -> None:
    error = error_of(reading(CREATED + frame(name, payload)))
    assert isinstance(error, RunStreamError)
    assert (error.message, error.type, error.code, error.param) == words
    assert str(error) == words[0]


@pytest.mark.parametrize(
    "payload",
    [b"null", b"[]", b"5", b"true", {"error": [1]}, {"message": {"a": 1}}, {"detail": [{"loc": ["a"], "msg": "bad"}]},
     {"error": {"message": "m", "code": {"a": 1}}}],
)  # fmt: skip
def test_an_error_event_of_any_shape_raises(payload: object) -> None:
    assert isinstance(error_of(reading(frame("error", payload), b"")), RunStreamError)


@pytest.mark.parametrize("payload", [FLAT, {"error": FLAT}, b"words"])
def test_an_error_event_is_handed_out_where_that_was_asked_for(payload: object) -> None:
    protocol = reading(frame("error", payload) + CREATED + COMPLETED, on_error_event="yield")
    first, *rest = events(protocol)
    assert isinstance(first, ErrorEvent)
    assert first.data.message in ("overloaded", "words")
    assert len(rest) == 2


def test_an_error_inside_a_thread_event_is_no_error_event() -> None:
    protocol = reading(frame("thread.run.queued", {"id": "run_1", "error": {"message": "x"}}))
    assert protocol.next_event() is not None


@pytest.mark.parametrize("status", ["error", "done", "thread.run.completed", "thread.message.delta"])
def test_an_object_nobody_knows_is_never_taken_for_an_event_by_its_status(status: str) -> None:
    event = only(None, {"object": "gateway.health", "id": "x", "status": status})
    assert isinstance(event, UnknownEvent)
