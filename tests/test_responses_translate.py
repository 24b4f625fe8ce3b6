"""One response's stream at a time, made into a run's: the table, and messages; and the ways in which servers deviate."""

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from bridged import JSON, Bridge, check_legal, names, text_of, wire
from response_events import (
    BEGINNING,
    CREATED,
    LONG_ID,
    MESSAGE,
    WORKING,
    added,
    called,
    done,
    ended,
    message,
    said,
)
from responses_site import published
from test_layers import IO, MODULES, others, ours
from test_server_schema import description

from aiorunstream.backends.responses import TABLE
from aiorunstream.events import ThreadMessageDelta, UnknownEvent
from aiorunstream.models import (
    UnknownPart,
    Usage,
)

# -- the table -------------------------------------------------------------------------------------------------------


def test_every_event_that_is_described_has_a_row_and_no_other(shared: Path) -> None:
    described = published(shared).events
    assert len(described) == 58
    assert set(TABLE) == set(described)
    assert Counter(mark for mark, _ in TABLE.values()) == {"mapped": 14, "folded": 14, "passed": 30}
    assert all(bool(becomes) == (mark != "passed") for mark, becomes in TABLE.values())


@pytest.mark.parametrize("kind", [kind for kind, (mark, _) in TABLE.items() if mark == "passed"])
def test_what_runs_have_no_word_for_is_passed_on_as_it_is(kind: str) -> None:
    native = {"type": kind, "output_index": 0, "item_id": "x_1", "delta": "thought", "sequence_number": 2}
    bridge = Bridge()
    events = bridge.hear(CREATED, WORKING, native, ended())
    assert names(events) == [*BEGINNING, kind, "thread.run.completed"]
    passed = events[3]
    assert isinstance(passed, UnknownEvent)
    assert passed.json() == native
    assert text_of(events) == ""


def test_an_event_of_tomorrow_is_passed_on_too() -> None:
    events = Bridge().hear(CREATED, {"type": "response.hologram.delta", "beam": 1}, {"type": "keepalive"}, ended())
    assert names(events) == [*BEGINNING, "response.hologram.delta", "keepalive", "thread.run.completed"]


def test_all_but_what_sends_knows_no_loop_no_socket_and_no_clock() -> None:
    shell = {
        "_backend",
        "_body",
        "_handlers",
        "_keeping",
        "_runs",
        "_server",
        "_streams",
        "_threads",
        "_asked",
        "__init__",
    }
    inside = [name for name in MODULES if name.startswith("backends.responses.")]
    pure = [name for name in inside if name.rpartition(".")[2] not in shell]
    assert len(pure) == 17
    assert {name: others(name) & IO for name in pure if others(name) & IO} == {}
    known = [name for module in pure for name in ours(module)]
    assert not [
        name for name in known if name.startswith(("transport", "stream.", "backends._sending", "backends.http"))
    ]


# -- captures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "outcome", "text"), [
    ("ogx-resp.txt", "completed", "Hello there, naïve world \u2028!"),
    ("ogx-tool.txt", "requires_action", ""),
])  # fmt: skip
def test_what_ogx_has_sent_is_a_run(shared: Path, name: str, outcome: str, text: str) -> None:
    _, _, body = (shared / "interop" / "captures" / name).read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    described = description(shared / "wire" / "openapi-assistants.nullfix.json")
    for size in (1, 7, len(body)):
        bridge = Bridge()
        events = [event for at in range(0, len(body), size) for event in bridge.feed(body[at : at + size])]
        check_legal(events)
        assert (bridge.run.status, text_of(events)) == (outcome, text)
        for event in events:
            assert not isinstance(event, UnknownEvent)
            described.check(msgspec.json.decode(msgspec.json.encode(event.data)), described.events[event.event])
    if outcome == "requires_action":
        (call,) = bridge.run.tool_calls
        assert not isinstance(call, UnknownPart)
        assert call.function.name


# -- messages --------------------------------------------------------------------------------------------------------


def test_a_text_goes_the_whole_way() -> None:
    bridge = Bridge()
    events = bridge.hear(
        CREATED, WORKING, added(0, type="message", id="msg_1", content=[]), said(0, "Hel"), said(0, "lo"),
        done(0, **message("Hello")), ended("completed", message("Hello")),
    )  # fmt: skip
    assert names(events) == [
        *BEGINNING, *MESSAGE, "thread.message.delta", "thread.message.delta", "thread.message.completed",
        "thread.run.step.completed", "thread.run.completed",
    ]  # fmt: skip
    assert bridge.run.usage == Usage(4, 3, 7)
    assert bridge.steps[0].usage == Usage(4, 3, 7)
    assert bridge.bridged.responses == [LONG_ID]
    assert bridge.messages[0].id == "msg_1"


def test_an_id_that_no_path_can_hold_or_that_is_taken_gives_way_to_one_of_ours() -> None:
    bridge = Bridge()
    output = [message("a", id="m/1"), message("b", id="m_2"), message("c", id="m_2")]
    bridge.hear(CREATED, ended("completed", *output))
    ids = [one.id for one in bridge.messages]
    assert len(set(ids)) == 3
    assert ids[1] == "m_2"
    assert "m/1" not in ids


@pytest.mark.parametrize("left_out", [
    "response.output_item.added", "response.content_part.added", "response.output_text.delta",
    "response.output_text.done", "response.content_part.done", "response.output_item.done",
])  # fmt: skip
def test_whatever_a_server_leaves_out_the_text_is_there_once(left_out: str) -> None:
    whole = message("Hello")
    part: JSON = {"type": "output_text", "text": "Hello", "annotations": []}
    place = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    events = [
        added(0, type="message", id="msg_1", content=[]),
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        said(0, "Hello"),
        {"type": "response.output_text.done", **place, "text": "Hello"},
        {"type": "response.content_part.done", **place, "part": part},
        done(0, **whole),
    ]
    bridge = Bridge()
    seen = bridge.hear(CREATED, *[one for one in events if one["type"] != left_out], ended("completed", whole))
    check_legal(seen)
    assert text_of(seen) == "Hello" == bridge.messages[0].text


def test_a_response_without_any_event_of_its_items_is_told_whole() -> None:
    bridge = Bridge()
    seen = bridge.hear(ended("completed", message("One."), called()))
    check_legal(seen)
    assert text_of(seen) == "One."
    assert bridge.run.status == "requires_action"


def test_ids_that_change_between_events_make_no_second_message() -> None:
    events = [added(0, type="message", id="a"), {**said(0, "Hi"), "item_id": "b"}, done(0, **message("Hi", id="c"))]
    bridge = Bridge()
    seen = bridge.hear(CREATED, *events, ended("completed", message("Hi", id="d")))
    assert text_of(seen) == "Hi"
    assert len(bridge.messages) == 1


def test_items_that_all_stand_at_the_first_place_stay_apart() -> None:
    bridge = Bridge()
    seen = bridge.hear(
        CREATED, added(0, type="message", id="a"), said(0, "Hi"), done(0, **message("Hi", id="a")),
        added(0, **called()), done(0, **called()),
    )  # fmt: skip
    assert names(seen)[-1] == "thread.run.step.delta", "it is told before the end"
    seen += bridge.hear(ended("completed", message("Hi", id="a"), called()))
    check_legal(seen)
    assert text_of(seen) == "Hi"
    assert len(bridge.run.tool_calls) == 1


def test_an_item_whose_id_has_changed_is_known_by_its_place() -> None:
    bridge = Bridge()
    seen = bridge.hear(CREATED, said(1, "Sec"), ended("completed", message("First", id="x"), message("Second", id="y")))
    check_legal(seen)
    assert [one.text for one in bridge.messages] == ["Second", "First"], "it was being told already"


def test_a_final_text_that_does_not_go_on_from_what_was_said_is_not_said_again() -> None:
    seen = Bridge().hear(CREATED, said(0, "Hello"), ended("completed", message("Goodbye")))
    assert text_of(seen) == "Hello"


def test_what_is_missing_of_a_part_is_not_put_behind_the_next() -> None:
    seen = Bridge().hear(CREATED, said(0, "Hel"), said(0, " there", 1), ended("completed", message("Hello", " there")))
    assert text_of(seen) == "Hel there"


CITED: JSON = {"type": "file_citation", "file_id": "file_1", "filename": "a", "index": 3}


@pytest.mark.parametrize("at_last", [False, True])
def test_annotations_that_come_with_the_whole_message_are_of_each_of_its_parts(at_last: bool) -> None:  # noqa: FBT001
    whole = message("one ", "two")
    for part in whole["content"]:
        part["annotations"] = [CITED]
    bridge = Bridge()
    told = [] if at_last else [done(0, **whole)]
    seen = bridge.hear(CREATED, said(0, "one "), said(0, "two", 1), *told, ended("completed", whole))
    check_legal(seen)
    (part,) = msgspec.to_builtins(bridge.messages[0])["content"]
    assert part["text"]["value"] == "one two"
    assert [mark["start_index"] for mark in part["text"]["annotations"]] == [3, 7]


def test_an_annotation_of_a_text_that_is_over_is_not_made_one_of_the_next() -> None:
    whole = message("one", "two")
    whole["content"][0]["annotations"] = [CITED]
    whole["content"].insert(1, {"type": "refusal", "refusal": "No."})
    refused = {"type": "response.refusal.delta", "output_index": 0, "content_index": 1, "delta": "No."}
    late = {"type": "response.output_text.annotation.added", "output_index": 0, "content_index": 0, "annotation": CITED}
    bridge = Bridge()
    seen = bridge.hear(CREATED, said(0, "one"), refused, said(0, "two", 2), late, ended("completed", whole))
    check_legal(seen)
    parts = msgspec.to_builtins(bridge.messages[0])["content"]
    assert [part["type"] for part in parts] == ["text", "refusal", "text"]
    assert [part["text"]["annotations"] for part in parts if part["type"] == "text"] == [(), ()]


def test_what_is_said_of_an_item_after_its_end_is_not_heard() -> None:
    bridge = Bridge()
    seen = bridge.hear(CREATED, said(0, "Hi"), done(0, **message("Hi")), said(0, " there"), ended())
    check_legal(seen)
    assert text_of(seen) == "Hi" == bridge.messages[0].text


def test_what_comes_after_the_end_is_not_heard_although_it_is_understood_at_once() -> None:
    bridge = Bridge()
    bridge.protocol.receive_data(wire([CREATED, ended("completed", message("Hi")), ended("completed", message("Ho"))]))
    bridge.protocol.prepare()
    check_legal(bridge.feed(b""))
    assert [one.text for one in bridge.messages] == ["Hi"]
    assert [kept.item["id"] for kept in bridge.memory.history] == ["msg_1"]


def test_a_run_that_has_failed_hears_nothing_more_although_it_is_understood_at_once() -> None:
    bridge = Bridge(on_error_event="yield")
    error = {"type": "error", "message": "Oh no.", "code": "boom"}
    bridge.protocol.receive_data(wire([CREATED, error, said(0, "Hi"), ended("completed", message("Hi"))]))
    bridge.protocol.prepare()
    assert names(bridge.feed(b""))[-2:] == ["error", "thread.run.failed"]
    assert (bridge.run.status, bridge.messages, bridge.steps) == ("failed", (), ())


def test_two_messages_are_two() -> None:
    bridge = Bridge()
    bridge.hear(CREATED, ended("completed", message("a", id="m_1"), message("b", id="m_2")))
    assert [one.text for one in bridge.messages] == ["a", "b"]


def test_annotations_are_of_the_text_that_was_said() -> None:
    place = {"output_index": 0, "content_index": 1}
    marks = [
        {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 3},
        {"type": "file_citation", "file_id": "file_1", "filename": "a", "index": 2},
        {"type": "container_file_citation", "container_id": "c", "file_id": "file_2", "start_index": 4, "end_index": 7},
        {"type": "file_path", "file_id": "file_3", "index": 1},
        {"type": "hologram", "beam": 1},
    ]
    told = [{"type": "response.output_text.annotation.added", **place, "annotation": mark} for mark in marks[:2]]
    bridge = Bridge()
    seen = bridge.hear(
        CREATED, said(0, "ab"), said(0, "see the", 1), *told,
        {"type": "response.content_part.done", **place,
         "part": {"type": "output_text", "text": "see the", "annotations": marks}},
        ended(),
    )  # fmt: skip
    assert sum(isinstance(one, ThreadMessageDelta) for one in seen) == 7
    (part,) = msgspec.to_builtins(bridge.messages[0])["content"]
    assert part["text"]["value"] == "absee the"
    assert part["text"]["annotations"] == (
        {"type": "url_citation", "text": "see", "start_index": 2, "end_index": 5,
         "url_citation": {"url": "https://a.example", "title": "A"}},
        {"type": "file_citation", "text": "", "file_citation": {"file_id": "file_1"}, "start_index": 4, "end_index": 4},
        {"type": "file_path", "text": "the", "file_path": {"file_id": "file_2"}, "start_index": 6, "end_index": 9},
        {"type": "file_path", "text": "", "file_path": {"file_id": "file_3"}, "start_index": 3, "end_index": 3},
        {"type": "hologram", "beam": 1},
    )  # fmt: skip


def test_a_refusal_is_a_refusal() -> None:
    refused = {"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": "I will"}
    whole = message(content=[{"type": "refusal", "refusal": "I will not."}])
    bridge = Bridge()
    seen = bridge.hear(CREATED, refused, done(0, **whole), ended())
    assert msgspec.to_builtins(bridge.messages[0])["content"] == ({"type": "refusal", "refusal": "I will not."},)
    assert text_of(seen) == ""
