"""A response's stream, event by event, made into what the machine of a run hears.

    translator = Translator()
    translator.hear({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hi"})
    # [BeginMessage(id=None), "Hi"]

Rules of this file: an event is known by the `type` in its JSON and by nothing else; what one item says is said before the
next begins, so that pieces of two that come mixed are put in order, but nothing waits for thoughts; the response as it is
at its end shows what was left out.
"""

from collections import deque

from ...items import BreakOff, Cancel, EndStep, Fail
from ...models import JSONObject, Usage
from ._items import Items
from ._json import object_of, objects_of, place_of, text_of
from ._live import LiveItem
from ._live_calls import NativeItem
from ._live_message import is_shown
from ._said import Finish, Said
from ._table import is_passed_on

_BEGINNINGS = ("response.created", "response.queued", "response.in_progress")
_STATUSES = ("completed", "incomplete", "failed", "cancelled")


class Translator:
    """Hears one response.

    Attributes:
        response_id: known from the first event that holds the response.
        status: the one the response has ended with; None until then.
        is_begun: whether the response is being worked at.
    """

    def __init__(self) -> None:
        self.response_id: str | None = None
        self.status: str | None = None
        self.is_begun = False
        self._items = Items()
        self._queue: deque[LiveItem] = deque()  # those that are not over; the first is heard
        self._overtaken: set[LiveItem] = set()
        self._output: list[JSONObject] = []

    @property
    def output(self) -> list[JSONObject]:
        """The items of the output; of one that the server has not shown whole, what it has said."""
        return self._output or self._told()

    def _told(self) -> list[JSONObject]:
        items = [shown for item in self._items.order if (shown := item.whole or item.told())]
        if items and self.status == "incomplete" and not self._is_whole():
            items[-1] = {**items[-1], "status": "incomplete"}
        return items

    def hear(self, event: JSONObject) -> list[Said]:
        """Takes one event before the end. One that is passed on says nothing."""
        type = text_of(event, "type")
        response = object_of(event, "response")
        if response_id := text_of(response, "id"):
            self.response_id = response_id
        status = text_of(response, "status") if response else ""
        if type in _BEGINNINGS:
            self.is_begun = self.is_begun or type == "response.in_progress"
            return []
        if type.removeprefix("response.") in _STATUSES or (response and status in _STATUSES):
            return self._end(status if status in _STATUSES else type.removeprefix("response."), response)
        self.is_begun = True
        if is_passed_on(type) or type == "error":
            return []
        if not is_shown(object_of(event, "part")):
            return []  # before an item is made for it: the message that such a part is of may never come
        item = self._items.find(type, event) or self._queued(self._items.begin(type, event))
        if not item.is_over:
            item.waiting.append(event)
        elif type == "response.output_item.done":
            item.hear(type, event)  # for the whole of it; there is nothing left to say
        return self._go_on()

    # -- items ---------------------------------------------------------------------------------------------------------

    def _go_on(self) -> list[Said]:
        """Hears the first item that is not over, and whatever waits behind it once it is."""
        said: list[Said] = []
        while self._queue:
            item = self._queue[0]
            events, item.waiting = item.waiting, []
            for event in events:
                said += item.hear(text_of(event, "type"), event)
            if item.is_over:
                self._queue.popleft()
                if item.whole.get("status") == "incomplete":
                    self._forget_overtaken()
            elif not self._is_overtaken(item):
                break
        return said

    def _is_overtaken(self, first: LiveItem) -> bool:
        """Lets the next item speak before one that has nothing to say until its end: some servers end thoughts at last."""
        if not isinstance(first, NativeItem) or len(self._queue) == 1 or not self._queue[1].waiting:
            return False
        self._queue.popleft()
        self._queue.insert(1, first)
        self._overtaken.add(first)
        return True

    def _forget_overtaken(self) -> None:
        """A message has broken off; what was said after it would make it look whole."""
        self._queue = deque(item for item in self._queue if item not in self._overtaken)

    def _queued(self, item: LiveItem) -> LiveItem:
        self._queue.append(item)
        return item

    # -- the end -------------------------------------------------------------------------------------------------------

    def _end(self, status: str, response: JSONObject) -> list[Said]:
        self.status = status
        self.is_begun = True
        self._output = objects_of(response, "output")
        self._take_output()
        if status != "completed" and not self._is_whole():
            self._forget_overtaken()
        for item in self._queue:
            item.waiting.append({"type": "response.output_item.done"})  # if it is still not over by then
        said = self._go_on()
        if status != "completed" and self._is_whole():
            said.append(EndStep())
        usage = object_of(response, "usage")
        if usage:
            said.append(_usage(usage))
        match status:
            case "completed":
                said.append(Finish())
            case "incomplete":
                said.append(_break_off(object_of(response, "incomplete_details")))
            case "cancelled":
                said.append(Cancel())
            case _:
                said.append(fail(object_of(response, "error")))
        return said

    def _is_whole(self) -> bool:
        """Whether the last item has come to its end, so that what ends the run does not break it off."""
        last = self._items.order[-1].whole if self._items.order else {}
        return bool(last) and last.get("status", "completed") == "completed"

    def _take_output(self) -> None:
        """Shows each item as it is at its end: for what has not come of it, and for those that have not come at all."""
        known = self._items.places_in(self._output)
        for place, whole in enumerate(self._output):
            item = known.get(place)
            if item is None:
                item = self._queued(self._items.add(text_of(whole, "type"), text_of(whole, "id"), f"output {place}"))
            if not item.is_over:
                item.waiting.append({"type": "response.output_item.done", "item": whole})


def _usage(usage: JSONObject) -> Usage:
    spent, asked = place_of(usage, "output_tokens"), place_of(usage, "input_tokens")
    return Usage(spent, asked, place_of(usage, "total_tokens") or spent + asked)


def _break_off(details: JSONObject) -> BreakOff:
    return BreakOff("content_filter" if details.get("reason") == "content_filter" else "max_completion_tokens")


def fail(error: JSONObject) -> Fail:
    """The end of a run whose response failed. A code that runs do not know is told in words."""
    code, message = text_of(error, "code"), text_of(error, "message") or "The response failed."
    if code == "rate_limit_exceeded":
        return Fail(message, "rate_limit_exceeded")
    if code == "invalid_prompt":
        return Fail(message, "invalid_prompt")
    return Fail(message if code in ("", "server_error") else f"{code}: {message}")
