"""What is known of a run between one of its streams and the next."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..snapshot import RunSnapshot

_MOST_WAITING = 1_000


class Delivered:
    """What the readers of streams have had of runs that wait for tool outputs: such a run goes on in another stream."""

    def __init__(self) -> None:
        self._runs: dict[str, RunSnapshot] = {}

    def keep(self, run_id: str, snapshot: "RunSnapshot") -> None:
        """Remembers a run until it goes on; of a thousand others, the oldest is forgotten."""
        self._runs.pop(run_id, None)
        self._runs[run_id] = snapshot
        if len(self._runs) > _MOST_WAITING:
            del self._runs[next(iter(self._runs))]

    def take(self, run_id: str | None) -> "RunSnapshot | None":
        """What was remembered of that run, if anything."""
        return self._runs.pop(run_id or "", None)
