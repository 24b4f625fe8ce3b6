"""One stream of a response's events."""

from ...events import ErrorEvent
from ...models import JSONObject
from ...responses_items import event
from .._runs import Listener
from ._settings import ResponsesSettings


class ResponseListener(Listener):
    """What one stream of a response is still to be sent. One task reads.

    Args:
        response_id: of the response it listens to.
        settings: how it is written.
        obfuscated: whether the request lets deltas be obfuscated.
    """

    def __init__(self, response_id: str, settings: ResponsesSettings, *, obfuscated: bool) -> None:
        super().__init__()
        self.response_id = response_id
        self._settings = settings
        self._obfuscated = obfuscated
        self._next_number = 0

    def tell(self, told: JSONObject) -> None:
        """Adds an event; nothing comes after an error, not even the end mark."""
        if self._ended:
            return
        self._next_number = int(str(told["sequence_number"])) + 1
        self._add(self._settings.spell(told, obfuscated=self._obfuscated))
        if told["type"] == "error":
            self._ended = True
            self._wake()

    def end(self) -> None:
        """Adds the end mark, where there is one; nothing comes after it."""
        if not self._ended:
            self._add(self._settings.end())
            self._ended = True
            self._wake()

    def last_error(self, error: ErrorEvent) -> bytes:
        """An error and the end mark, as they would be written now."""
        told = event("error", code=error.data.code, message=error.data.message, param=error.data.param)
        told["sequence_number"] = self._next_number
        return self._settings.spell(told) + self._settings.end()
