"""Many runs at once: streamed into one iterator, or gathered into a list."""

from ._gather import gather_runs
from ._items import RunFailure, RunItem, RunResult
from ._many import stream_many
from ._request import RunRequest

__all__ = ["RunFailure", "RunItem", "RunRequest", "RunResult", "gather_runs", "stream_many"]
