"""`python -m benchmarks.relay`: what it costs to pass an event on to a browser, beside decoding and encoding it again.

Method: each side in turn over the same events in memory, five rounds after one to warm up, CPU time of this process, the
ratio of the best rounds. Every side must give the same events. "On its way" is from an event's name and payload to the bytes
that go out; "whole" is from the bytes that come in.
"""

import json
import platform
import time
from collections.abc import Callable
from functools import partial

import msgspec

from aiorunstream.protocol import Frame, RunProtocol
from aiorunstream.relay._writing import Only, Writer
from aiorunstream.sse import SSEDecoder, encode

from .workloads import Workload, token_deltas

ROUNDS = 5
AT_LEAST = 5.0
"""How much cheaper passing on is to be than decoding and encoding again."""

Side = Callable[[], list[bytes]]


def main() -> None:
    """Prints one line a comparison."""
    workload = token_deltas(50_000)
    workload.check()
    reader = SSEDecoder()
    frames = [Frame(item.event, item.data) for chunk in workload.chunks for item in reader.feed(chunk)]
    print(f"CPython {platform.python_version()}, msgspec {msgspec.__version__}, {platform.machine()}")
    again = partial(_again, frames)
    _compare(
        workload,
        "on its way",
        partial(_pass_on, frames),
        {"msgspec again": again, "json again": partial(_json_again, frames)},
    )
    _compare(workload, "whole", partial(_whole, workload), {"msgspec again": partial(_whole_again, workload)})


def _compare(workload: Workload, what: str, ours: Side, others: dict[str, Side]) -> None:
    base = _best(ours)
    expected = _payloads(ours())
    assert len(expected) == workload.events
    asked = f", at least {AT_LEAST:.0f} is asked for" if what == "on its way" else ""
    for name, other in others.items():
        assert _payloads(other()) == expected
        took = _best(other)
        print(
            f"{workload.name:<14} {what:<10} {base * 1e6 / workload.events:6.2f} us an event   "
            f"{name} {took * 1e6 / workload.events:6.2f} us   {took / base:5.2f} times as much{asked}"
        )


def _payloads(written: list[bytes]) -> list[tuple[str, str, object]]:
    decoder = SSEDecoder()
    return [(item.event, item.id, json.loads(item.data)) for data in written for item in decoder.feed(data)]


def _pass_on(frames: list[Frame]) -> list[bytes]:
    writer = Writer(Only(None))
    writer.run_id = "run_b"
    return [writer.frame(frame) or b"" for frame in frames]


def _again(frames: list[Frame]) -> list[bytes]:
    decode, encode_json = msgspec.json.decode, msgspec.json.encode
    return [
        encode(encode_json(decode(frame.data)), event=frame.event, id=f"run_b:{number}")
        for number, frame in enumerate(frames, 1)
    ]


def _json_again(frames: list[Frame]) -> list[bytes]:
    return [
        encode(json.dumps(json.loads(frame.data)), event=frame.event, id=f"run_b:{number}")
        for number, frame in enumerate(frames, 1)
    ]


def _whole(workload: Workload) -> list[bytes]:
    protocol, writer = RunProtocol(), Writer(Only(None))
    writer.run_id = "run_b"
    written: list[bytes] = []
    for chunk in workload.chunks:
        protocol.receive_data(chunk)
        while (frame := protocol.next_frame()) is not None:
            written.append(writer.frame(frame) or b"")
    return written


def _whole_again(workload: Workload) -> list[bytes]:
    decoder = SSEDecoder()
    decode, encode_json = msgspec.json.decode, msgspec.json.encode
    written: list[bytes] = []
    for chunk in workload.chunks:
        written += [
            encode(encode_json(decode(message.data)), event=message.event, id=f"run_b:{number}")
            for number, message in enumerate(decoder.feed(chunk), len(written) + 1)
        ]
    return written


def _best(side: Side) -> float:
    return min(_timed(side) for _ in range(ROUNDS + 1))


def _timed(side: Side) -> float:
    began = time.process_time()
    side()
    return time.process_time() - began


if __name__ == "__main__":
    main()
