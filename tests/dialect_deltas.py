"""A delta as servers of any dialect send it, and what the events of a run add up to."""

from typing import Any

from aiorunstream import RunSnapshot
from aiorunstream.events import RunEvent

JSON = dict[str, Any]


def delta(index: object, text: object, id: str = "msg_1", **more: object) -> JSON:
    part = {"index": index, "type": "text", "text": {"value": text}, **more}
    return {"id": id, "object": "thread.message.delta", "delta": {"content": [part]}}


def folded(events: list[RunEvent]) -> RunSnapshot:
    snapshot = RunSnapshot()
    for found in events:
        snapshot.add(found)
    return snapshot
