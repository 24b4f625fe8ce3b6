"""One stream of a response's events."""

from ...events import AssistantStreamEvent, ErrorEvent
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

    def last_events(self, *events: AssistantStreamEvent) -> bytes:
        """Errors and the end mark, as they would be written now."""
        written: list[bytes] = []
        for found in events:
            if isinstance(found, ErrorEvent):
                error = found.data
                told = event("error", code=error.code, message=error.message, param=error.param)
                told["sequence_number"] = self._next_number + len(written)
                written.append(self._settings.spell(told))
        return b"".join([*written, self._settings.end()])
