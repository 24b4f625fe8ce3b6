"""Who remembers a thread: a conversation at the server, the chain of its responses there, or this client.

Whatever the mode, items that no response has taken yet wait in `pending`, and go with the next.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from ...models import JSONObject, Run
from ._input import ANSWERS, answered_by, cancelled_answers, unanswered
from ._json import objects_of, text_of

ThreadMode = Literal["conversation", "previous_response_id", "replay"]


class InputItem(msgspec.Struct, frozen=True):
    """An item of a thread, and the message it is, if it is one that can be named."""

    item: JSONObject
    message_id: str | None = None


class Memory(msgspec.Struct):
    """What is remembered of a thread, besides what its runs show.

    Attributes:
        pending: what the next response is to be given.
        history: all before that, where the client remembers.
        last_response_id: of the chain.
    """

    pending: list[InputItem] = []
    history: list[InputItem] = []
    last_response_id: str | None = None

    def address(self, mode: ThreadMode, thread_id: str, run: Run) -> JSONObject:
        """What the body of the next response says of the thread."""
        items = [kept.item for kept in self.pending]
        if mode == "conversation":
            return {"conversation": thread_id, "input": items}
        if mode == "replay":
            whole = [kept.item for kept in self.history] + items
            return {"input": _sound(_last_messages(whole, run)), "store": False}
        previous = {} if self.last_response_id is None else {"previous_response_id": self.last_response_id}
        return {**previous, "input": items, "store": True}

    def settle(
        self, mode: ThreadMode, sent: Sequence[InputItem], output: Sequence[JSONObject], response_id: str | None
    ) -> None:
        """A response has taken the items, and said more."""
        taken = {id(kept) for kept in sent}
        self.pending = [kept for kept in self.pending if id(kept) not in taken]
        if mode == "replay":
            self.history += sent
            self.history += _replayed(output)
        elif mode == "previous_response_id":
            self.last_response_id = response_id or self.last_response_id

    def mend(self, left_open: Mapping[str, str]) -> bool:
        """Answers the calls that a conversation waits for, and leaves out answers it does not; returns whether it had to.

        Args:
            left_open: the types of the calls, by what they are answered by.
        """
        answers = {id: kept for kept in self.pending if (id := answered_by(kept.item)) is not None}
        needless = [kept for id, kept in answers.items() if id not in left_open]
        missing = {id: kind for id, kind in left_open.items() if id not in answers}
        self.pending = [kept for kept in self.pending if kept not in needless]
        self.pending[:0] = [InputItem(item) for item in cancelled_answers(missing)]
        return bool(needless or missing)

    def forget(self, message_id: str) -> bool:
        """Removes a message that is remembered here; returns whether there was one."""
        before = len(self.pending) + len(self.history)
        self.pending = [kept for kept in self.pending if kept.message_id != message_id]
        self.history = [kept for kept in self.history if kept.message_id != message_id]
        return len(self.pending) + len(self.history) < before


def _last_messages(items: list[JSONObject], run: Run) -> list[JSONObject]:
    strategy = run.truncation_strategy
    if strategy is None or strategy.type != "last_messages" or strategy.last_messages is None:
        return items
    places = [place for place, item in enumerate(items) if item.get("type") == "message"]
    first = places[-strategy.last_messages :][:1]
    start = first[0] if first else 0
    while start and items[start - 1].get("type") != "message" and _is_said(items[start - 1]):
        start -= 1  # what a model has thought before a message is refused without it, and the message without that
    return items[start:]


def _sound(items: list[JSONObject]) -> list[JSONObject]:
    """The items without calls that have no answer, and answers that have no call: servers refuse both."""
    waiting = unanswered(items)
    called = {text_of(item, "call_id") or text_of(item, "id") for item in items if text_of(item, "type") in _CALLS}
    sound = [
        item
        for item in items
        if not (text_of(item, "type") in _CALLS and (text_of(item, "call_id") or text_of(item, "id")) in waiting)
        and not (text_of(item, "type") in _CALLS and item.get("status") == "incomplete")
        and not (text_of(item, "type") in _OUTPUTS and text_of(item, "call_id") not in called)
    ]
    return _without_lone_thoughts(sound)


def _without_lone_thoughts(items: Sequence[JSONObject]) -> list[JSONObject]:
    """The items without thoughts that nothing follows which they led to: servers refuse them alone."""
    kept: list[JSONObject] = []  # from the last on
    for item in reversed(items):
        if item.get("type") != "reasoning" or (kept and _is_said(kept[-1])):
            kept.append(item)
    return kept[::-1]


def _is_said(item: JSONObject) -> bool:
    """Whether a response has said it. A message that has no id may be one of the caller's."""
    kind = text_of(item, "type")
    if kind == "message":
        return item.get("role") == "assistant" and "id" in item
    return kind not in ANSWERS.values()


_CALLS = ("function_call", "custom_tool_call", "mcp_approval_request")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")


def _can_be_replayed(item: JSONObject) -> bool:
    """Thoughts that the server keeps, and tells only a reference to, mean nothing to one that keeps nothing."""
    return item.get("type") != "reasoning" or bool(item.get("encrypted_content"))


def _replayed(output: Sequence[JSONObject]) -> list[InputItem]:
    """What is sent again. OpenAI refuses an item whose id leads to thoughts that are left out: it then goes without one."""
    kept = [item for item in output if _can_be_replayed(item)]
    return [_input_item(item, with_id=len(kept) == len(output)) for item in kept]


def _input_item(item: JSONObject, *, with_id: bool) -> InputItem:
    known: JSONObject = {name: value for name, value in item.items() if value is not None}
    if item.get("type") == "message":
        if not (with_id and text_of(item, "id")):  # only the short form of an answer may do without
            parts = objects_of(item, "content")
            text = "".join(text_of(part, "text") or text_of(part, "refusal") for part in parts)
            known = {"type": "message", "role": "assistant", "content": text}
        return InputItem(known, text_of(item, "id"))
    if not with_id and item.get("type") in ("function_call", "custom_tool_call"):
        known.pop("id", None)  # it is answered by its call_id
    return InputItem(known)
