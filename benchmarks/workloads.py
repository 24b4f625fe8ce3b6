"""The workloads, named for life: bytes together with the events they must give, so that no wrong answer is timed."""

from dataclasses import dataclass

from aiorunstream.events import ThreadMessageDelta
from aiorunstream.protocol import RunProtocol


@dataclass(frozen=True)
class Workload:
    """Bytes, how they are cut, and what they hold.

    Attributes:
        chunks: the body, as it is read.
        payloads: each event's payload, for the floor.
        events: how many events there are; `text` is what their deltas say.
    """

    name: str
    chunks: tuple[bytes, ...]
    payloads: tuple[bytes, ...]
    events: int
    text: str

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
        assert (events, "".join(text), protocol.outcome) == (self.events, self.text, "completed")


def token_deltas(deltas: int, *, chunk_bytes: int = 16 * 1024) -> Workload:
    """A run that answers in many small pieces, in reads of `chunk_bytes`."""
    words = [f" word{place % 97}" for place in range(deltas)]
    frames = [
        ("thread.message.delta", b'{"id":"msg_b","object":"thread.message.delta","delta":{"content":[{"index":0,'
         b'"type":"text","text":{"value":"%s","annotations":[]}}]}}' % word.encode())
        for word in words
    ]  # fmt: skip
    run = b'{"id":"run_b","object":"thread.run","created_at":1,"thread_id":"thread_b","assistant_id":"asst_b","status":"%s"}'
    frames = [
        ("thread.run.in_progress", run % b"in_progress"),
        *frames,
        ("thread.run.completed", run % b"completed"),
    ]
    wire = b"".join(b"event: %s\ndata: %s\n\n" % (name.encode(), payload) for name, payload in frames)
    chunks = tuple(wire[start : start + chunk_bytes] for start in range(0, len(wire), chunk_bytes))
    payloads = tuple(payload for name, payload in frames if name == "thread.message.delta")
    return Workload("token-deltas", chunks, payloads, len(frames), "".join(words))
