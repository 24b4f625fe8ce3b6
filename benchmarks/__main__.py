"""`python -m benchmarks`: decoding alone, beside the floor of msgspec decoding payloads that are split already; then the
helper beside the raw stream it goes around.

Method: each side in turn, five rounds after one to warm up, CPU time of this process, the median of the ratios; of the helper
the ratio of the best rounds.
"""

import platform
import statistics
import time
from collections.abc import Callable
from functools import partial

import msgspec

from aiorunstream.models import MessageDeltaEvent
from aiorunstream.protocol import RunProtocol

from .helper import read_helper, read_raw
from .workloads import Workload, token_deltas

ROUNDS = 5
HELPER_AT_MOST = 1.6
"""What the helper may cost of the raw stream, per event."""


def main() -> None:
    """Prints one line a workload."""
    print(f"CPython {platform.python_version()}, msgspec {msgspec.__version__}, {platform.machine()}")
    for workload in (token_deltas(50_000), token_deltas(50_000, chunk_bytes=512)):
        workload.check()
        ours, floor = _compare(partial(_decode, workload), partial(_floor, workload))
        read = max(len(chunk) for chunk in workload.chunks)
        print(
            f"{workload.name:<14} reads of {read:>6} B   {ours * 1e6 / workload.events:6.2f} us an event   "
            f"{floor / ours:5.2f} of the msgspec floor"
        )
    workload = token_deltas(50_000)
    rounds = [(_timed(partial(read_helper, workload)), _timed(partial(read_raw, workload))) for _ in range(ROUNDS + 1)]
    helper, raw = min(first for first, _ in rounds), min(second for _, second in rounds)
    print(
        f"{workload.name:<14} through the helper  {helper * 1e6 / workload.events:6.2f} us an event   "
        f"{helper / raw:5.2f} of the raw stream (at most {HELPER_AT_MOST})"
    )


def _decode(workload: Workload) -> None:
    protocol = RunProtocol()
    for chunk in workload.chunks:
        protocol.receive_data(chunk)
        while protocol.next_event() is not None:
            pass


def _floor(workload: Workload) -> None:
    decode = msgspec.json.Decoder(MessageDeltaEvent).decode
    for payload in workload.payloads:
        decode(payload)


def _compare(ours: Callable[[], None], floor: Callable[[], None]) -> tuple[float, float]:
    rounds = [(_timed(ours), _timed(floor)) for _ in range(ROUNDS + 1)][1:]
    return statistics.median(a for a, _ in rounds), statistics.median(b for _, b in rounds)


def _timed(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    main()
