"""Whatever an engine says, in whatever order: numbers without a gap, deltas that add up, an end that has it all."""

from collections import Counter
from pathlib import Path

import pytest
from conftest import NO_SHARED, SHARED
from hypothesis import given
from hypothesis import strategies as st
from responses_site import published
from server_client import JSON
from test_machine_properties import EACH, ENDS, GOING_ON
from test_responses_machine import machine

from aiorunstream.items import (
    BreakOff,
    Cancel,
    Expire,
    Fail,
    Item,
    UseTool,
)
from aiorunstream.responses_machine import ResponseMachine

ENDED = ("response.completed", "response.failed", "response.incomplete")
NO_EVENT = "cancelled"
DESCRIBED = st.one_of([strategy for kind, strategy in EACH.items() if kind not in (*ENDS, UseTool)])
"""What has a description: of tools that only some servers have there is none."""


def heard(items: list[Item], *, background: bool) -> tuple[ResponseMachine, list[JSON]]:
    """The events of those items that can be said after each other."""
    made = machine(background=background)
    events = [*made.start(), *made.work()]
    for item in items:
        try:
            events += made.take(item)
        except ValueError as error:
            assert "cannot say" not in str(error)  # noqa: PT017
    return made, events + made.finish()


@given(st.lists(GOING_ON, max_size=25), st.sampled_from([None, *ENDS]), st.booleans())
def test_whatever_is_said_numbers_have_no_gap_and_pieces_add_up(
    items: list[Item],
    end: type[Item] | None,
    background: bool,  # noqa: FBT001  # Hypothesis gives it
) -> None:
    made, events = heard([*items, *([] if end is None else [_one(end)])], background=background)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))

    done = [event for event in events if event["type"] == "response.output_item.done"]
    added = [event for event in events if event["type"] == "response.output_item.added"]
    assert [event["output_index"] for event in added] == list(range(len(added)))
    ends = [event for event in events if event["type"] in ENDED]
    if made.status == NO_EVENT:
        assert not ends
        assert len(added) - len(done) in (0, 1)
    else:
        assert ends == events[-1:]
        assert ends[0]["response"]["output"] == [event["item"] for event in done] == list(made.output)
        assert [event["item"]["id"] for event in done] == [event["item"]["id"] for event in added]
    _check_pieces(events, [event["item"] for event in done])


def _one(kind: type[Item]) -> Item:
    return next(item for item in (Fail("no"), BreakOff(), Expire(), Cancel()) if isinstance(item, kind))


def _check_pieces(events: list[JSON], items: list[JSON]) -> None:
    """The deltas of each part are its text, its `done` events say the same, and each is said once."""
    pieces: dict[tuple[object, ...], str] = {}
    for event in events:
        if event["type"].endswith(".delta"):
            place = (event["item_id"], event.get("content_index"))
            pieces[place] = pieces.get(place, "") + event["delta"]
            assert event["delta"]
    whole = {place: text for item in items for place, text in _texts(item)}
    assert {place: text for place, text in pieces.items() if place in whole} == {
        place: text for place, text in whole.items() if text
    }
    dones = Counter[tuple[object, ...]]()
    for event in events:
        for name in ("text", "refusal", "arguments", "code"):
            if event["type"].endswith(".done") and name in event:
                place = (event["item_id"], event.get("content_index"))
                assert event[name] == whole[place]
                dones[place] += 1
    assert dict(dones) == dict.fromkeys(whole, 1)


def _texts(item: JSON) -> list[tuple[tuple[object, ...], str]]:
    match item["type"]:
        case "message":
            parts = enumerate(item["content"])
            return [((item["id"], place), part.get("text", part.get("refusal"))) for place, part in parts]
        case "function_call":
            return [((item["id"], None), item["arguments"])]
        case "code_interpreter_call":
            return [((item["id"], None), item["code"])]
        case _:
            return []


@pytest.mark.skipif(not SHARED.is_dir(), reason=NO_SHARED)
@given(st.lists(DESCRIBED, max_size=8), st.sampled_from([None, *ENDS]))
def test_whatever_is_said_is_told_as_described(items: list[Item], end: type[Item] | None) -> None:
    described = published(Path(SHARED))
    _, events = heard([*items, *([] if end is None else [_one(end)])], background=False)
    for event in events:
        described.check_event(event)
