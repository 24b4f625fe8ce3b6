"""In the place of a body where there is none: nothing had to be asked, or nothing was answered."""

import copy
from collections.abc import Mapping

from ..errors import StreamError


class NoBody:
    """A body that is over, or that cannot be read.

    Args:
        failure: what reading it raises; without one it has ended well.
    """

    status = 200

    def __init__(self, failure: StreamError | None = None) -> None:
        self._failure = failure
        self.headers: Mapping[str, str] = {}
        self.clean_close: bool | None = failure is None

    async def read(self) -> bytes:
        """Returns nothing, or raises."""
        if self._failure is not None:
            raise copy.copy(self._failure)  # fresh, so that its traceback does not grow
        return b""

    def progressed(self) -> None:
        """Is told nothing."""

    def abort(self) -> None:
        """Closes nothing."""

    def abandon(self) -> None:
        """Closes nothing."""

    def release(self) -> None:
        """Drains nothing."""
