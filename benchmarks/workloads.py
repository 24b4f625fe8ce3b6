"""The workloads, named for life: bytes together with the events they must give, so that no wrong answer is timed."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property

from aiorunstream.events import ThreadMessageDelta
from aiorunstream.protocol import RunProtocol

Frames = tuple[tuple[str, bytes], ...]
"""The name and the payload of each event."""

READ = 16 * 1024
"""How much of a body is read at once, and what an HTTP chunk holds, where nothing else is said."""
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Workload:
    """What a run says, how it is written, and how its bytes are cut.

    Attributes:
        frames: its events.
        chunks: the body, as it is read. The end mark is not in it: no client hands that out.
        outputs: what the run says once it has its tool outputs, if it asks for some.
    """

    name: str
    frames: Frames
    chunks: tuple[bytes, ...]
    outputs: "Workload | None" = None

    @property
    def events(self) -> int:
        """How many events there are, with those after the tool outputs."""
        return len(self.frames) + (0 if self.outputs is None else self.outputs.events)

    @cached_property
    def payloads(self) -> tuple[bytes, ...]:
        """The payload of each piece of text."""
        return tuple(payload for name, payload in self.frames if name == "thread.message.delta")

    @cached_property
    def text(self) -> str:
        """What the pieces of text say."""
        said = "".join(_said(json.loads(payload)) for payload in self.payloads)
        return said + ("" if self.outputs is None else self.outputs.text)

    def check(self) -> None:
        """Decodes everything once and compares. Raises `AssertionError`."""
        protocol = RunProtocol()
        events = 0
        text: list[str] = []
        for chunk in self.chunks:
            protocol.receive_data(chunk)
            while (event := protocol.next_event()) is not None:
                events += 1
                if isinstance(event, ThreadMessageDelta):
                    text.append(event.data.text)
        own = self.text if self.outputs is None else self.text.removesuffix(self.outputs.text)
        outcome = "completed" if self.outputs is None else "requires_action"
        assert (events, "".join(text), protocol.outcome) == (len(self.frames), own, outcome)


def _said(delta: dict[str, dict[str, list[dict[str, dict[str, str]]]]]) -> str:
    return "".join(part["text"]["value"] for part in delta["delta"]["content"])


# -- what a run says ---------------------------------------------------------------------------------------------------


def _run(status: str, thread: str = "thread_b", **more: object) -> bytes:
    run = {"id": "run_b", "object": "thread.run", "created_at": 1, "thread_id": thread, "assistant_id": "asst_b"}
    return _json({**run, "status": status, "model": "m", "instructions": "", "tools": (), "metadata": None, **more})


def _text(value: str) -> dict[str, object]:
    return {"value": value, "annotations": []}


def _message(status: str, id: str, text: str | None = None) -> bytes:
    content = [] if text is None else [{"type": "text", "text": _text(text)}]
    message = {"id": id, "object": "thread.message", "created_at": 1, "thread_id": "thread_b", "run_id": "run_b"}
    return _json({**message, "role": "assistant", "status": status, "content": content, "metadata": None})


def _delta(text: str, id: str = "msg_b") -> bytes:
    part = {"index": 0, "type": "text", "text": _text(text)}
    return _json({"id": id, "object": "thread.message.delta", "delta": {"content": [part]}})


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _answer(words: Iterable[str], thread: str = "thread_b", message: str = "msg_b") -> Frames:
    """A run that answers in these pieces, from its beginning to its end."""
    said = list(words)
    return (
        ("thread.run.created", _run("queued", thread)),
        ("thread.run.in_progress", _run("in_progress", thread)),
        ("thread.message.created", _message("in_progress", message)),
        *(("thread.message.delta", _delta(word, message)) for word in said),
        ("thread.message.completed", _message("completed", message, "".join(said))),
        ("thread.run.completed", _run("completed", thread)),
    )


def _words(count: int) -> list[str]:
    return [f" word{place % 97}" for place in range(count)]


# -- how it is written and cut -----------------------------------------------------------------------------------------


def _written(frames: Frames) -> list[bytes]:
    return [b"event: %s\ndata: %s\n\n" % (name.encode(), payload) for name, payload in frames]


def cut(wire: bytes, size: int) -> tuple[bytes, ...]:
    """The bytes in pieces of that size, wherever that cuts them."""
    return tuple(wire[start : start + size] for start in range(0, len(wire), size))


def _gathered(written: Iterable[bytes], size: int) -> tuple[bytes, ...]:
    """Whole events together, up to that size."""
    chunks: list[bytes] = []
    held: list[bytes] = []
    room = size
    for one in written:
        if held and len(one) > room:
            chunks.append(b"".join(held))
            held, room = [], size
        held.append(one)
        room -= len(one)
    return (*chunks, b"".join(held))


# -- the workloads -----------------------------------------------------------------------------------------------------


def token_deltas(deltas: int, *, chunk_bytes: int = READ) -> Workload:
    """A run that answers in many small pieces, in reads of `chunk_bytes` that cut events anywhere."""
    frames = _answer(_words(deltas))
    return Workload("token-deltas", frames, cut(b"".join(_written(frames)), chunk_bytes))


def whole_events(deltas: int) -> Workload:
    """The same, in reads of whole events."""
    frames = _answer(_words(deltas))
    return Workload("token-deltas", frames, _gathered(_written(frames), READ))


def one_by_one(deltas: int) -> Workload:
    """The same, with each event in a chunk of its own, as most servers write them."""
    frames = _answer(_words(deltas))
    return Workload("token-deltas", frames, tuple(_written(frames)))


def of_size(deltas: int, event_bytes: int) -> Workload:
    """A run whose pieces of text make events of about that many bytes; the whole message would be above the limit."""
    around = len(_written((("thread.message.delta", _delta("")),))[0])
    said = _answer(["x" * max(1, event_bytes - around)] * deltas)
    frames = tuple(frame for frame in said if frame[0] != "thread.message.completed")
    return Workload("growth", frames, cut(b"".join(_written(frames)), READ))


def one_huge_message(size: int) -> Workload:
    """A run that says everything in one piece."""
    frames = _answer(["All of it. " * (size // 11)])
    return Workload("one-huge-message", frames, cut(b"".join(_written(frames)), READ))


def byte_drip(deltas: int) -> Workload:
    """Every byte in a chunk of its own."""
    frames = _answer(_words(deltas))
    return Workload("byte-drip", frames, cut(b"".join(_written(frames)), 1))


def heartbeats(deltas: int, *, pings: int = 10) -> Workload:
    """A run that says little, and between two pieces a proxy's comments."""
    frames = _answer(_words(deltas))
    written = [b": ping\n\n" * pings + one for one in _written(frames)]
    return Workload("heartbeats", frames, cut(b"".join(written), READ))


def tool_loop(deltas: int) -> Workload:
    """A run that asks for its tools in the middle of what it says."""
    call = {"id": "call_b", "type": "function", "function": {"name": "add", "arguments": '{"a":1,"b":2}'}}
    action = {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [call]}}
    thread = f"tool-loop:{deltas}"  # its key: the tool outputs go to the thread that the run names
    asks = (
        *_answer(_words(deltas), thread)[:-1],
        ("thread.run.requires_action", _run("requires_action", thread, required_action=action)),
    )
    goes_on = _answer(_words(deltas), thread, "msg_c")[1:]
    outputs = Workload("tool-loop", goes_on, tuple(_written(goes_on)))
    return Workload("tool-loop", asks, tuple(_written(asks)), outputs)


MAKERS: dict[str, Callable[[int], Workload]] = {
    "token-deltas": token_deltas,
    "whole-events": whole_events,
    "one-by-one": one_by_one,
    "one-huge-message": lambda size: one_huge_message(size * _MIB),
    "byte-drip": byte_drip,
    "heartbeats": heartbeats,
    "tool-loop": tool_loop,
}


@cache
def workload(key: str) -> Workload:
    """The workload of a key such as `token-deltas:10000`: its maker, and how much of it; `of-size:N:BYTES` and `cut:N:BYTES` grow.

    `flushed-` before it asks the server to send chunk by chunk.
    """
    maker, *sizes = key.removeprefix("flushed-").split(":")
    amount, *more = (int(size) for size in sizes)
    if maker == "of-size":
        return of_size(amount, *more)
    if maker == "cut":
        return token_deltas(amount, chunk_bytes=more[0])
    return MAKERS[maker](amount)
