"""The requests of a batch: a file with one JSON object a line, read line by line, so that its length costs nothing.

Which key a line has follows from the lines up to it alone: a file to which lines are added keeps the keys it had.
"""

from collections.abc import Collection, Generator
from typing import BinaryIO, NamedTuple, cast

import msgspec

from ..errors import InvalidArgumentError
from ..fanout import RunRequest
from ..handler import AssistantEventHandler
from ..params import MessageCreateParams, Params, RunCreateParams, ThreadCreateParams
from ..tools import ToolSet

MARKER = "aiorunstream_batch_key"
"""Under this name a run's metadata say which line of which batch it was made for."""

_OF_A_RUN = frozenset(RunCreateParams.__struct_fields__) - {"stream"}
_FIELDS = _OF_A_RUN | {"key", "thread_id", "thread", "messages", "content"}
_LONGEST_KEY = 400
_MOST_PAIRS = 14  # of 16: one more for the key, and one with which a lost answer is looked for
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_decode = msgspec.json.Decoder().decode


class Line(NamedTuple):
    """A line that holds something: a request, or what is wrong with it.

    Attributes:
        request: None where there is a problem, and where the key is one to skip.
        problem: names the line and the field.
    """

    key: str
    request: RunRequest | None
    problem: str | None = None


class Requests:
    """Reads a file of requests from its beginning, as often as `lines` is called; no two such at a time.

    Args:
        file: can be read again and again.
        name: what people call it.
        batch: goes into the metadata of each run, with its key.
        assistant_id: of lines that have none.
        tools: the functions of all runs.
        handler: is told of all runs.

    Iterating raises `OSError` where the file cannot be read.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        name: str,
        batch: str,
        assistant_id: str | None = None,
        tools: ToolSet | None = None,
        handler: AssistantEventHandler | None = None,
    ) -> None:
        self._file = file
        self._name = name
        self._batch = batch
        self._assistant_id = assistant_id
        self._tools = tools
        self._handler = handler

    def lines(self, *, skip: Collection[str] = ()) -> Generator[Line]:
        """The lines, in order; those whose key is in `skip` are not looked into."""
        keys: dict[str, int] = {}
        self._file.seek(0)
        for number, text in enumerate(self._file, 1):
            if stripped := text.removeprefix(_BYTE_ORDER_MARK if number == 1 else b"").strip():
                yield self._line(stripped, number, keys, skip)

    def _line(self, text: bytes, number: int, keys: dict[str, int], skip: Collection[str]) -> Line:
        key = None
        try:
            fields = _fields(text)
            key = _key(fields, number)
            if key in keys:
                raise _Problem("key", f"line {keys[key]} has {key!r:.80} too")
            keys[key] = number
            return Line(key, None if key in skip else self._request(key, fields))
        except _Problem as problem:
            if key is None or keys.get(key) != number:  # it needs one that nobody has
                key = _free_key(number, keys)
                keys[key] = number
            return Line(key, None, f"{self._name}, line {number}: {problem}")

    def _request(self, key: str, fields: dict[str, object]) -> RunRequest:
        if unknown := sorted(fields.keys() - _FIELDS):
            raise _Problem(unknown[0], "there is no such field")
        given = {name: value for name, value in fields.items() if name in _OF_A_RUN}
        given.setdefault("assistant_id", self._assistant_id)
        if given["assistant_id"] is None:
            raise _Problem("assistant_id", "the line needs one, or the command --assistant")
        given["metadata"] = self._marked(key, given.get("metadata"))
        if self._tools is not None:
            if "tools" in given:
                raise _Problem("tools", "must be left out with --tools")
            given["tools"] = self._tools
        where = _thread(fields, given)
        thread_id = fields.get("thread_id")
        manner = {"if_active": "wait"} if thread_id is not None else {}
        try:
            # The checks of all that was read from the file are made in there.
            return RunRequest(key, thread_id, **given, **where, **manner, event_handler=self._handler)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        except InvalidArgumentError as error:
            raise _Problem(error.argument, str(error).removeprefix(f"request {key!r:.100}: ")) from None

    def _marked(self, key: str, metadata: object) -> object:
        if metadata is None:
            metadata = {}
        if not isinstance(metadata, dict):
            return metadata  # it is refused with the others
        pairs = cast("dict[str, object]", metadata)
        if len(pairs) > _MOST_PAIRS:
            raise _Problem("metadata", f"must have {_MOST_PAIRS} pairs at most, not {len(pairs)}: a batch adds two")
        if MARKER in pairs:
            raise _Problem("metadata", f"{MARKER} is added by the batch itself")
        return {**pairs, MARKER: marker(self._batch, key)}


def marker(batch: str, key: str) -> str:
    """What stands under `MARKER`."""
    return f"{batch} {key}"


def key_of(marked: object) -> str:
    """The key in such a text."""
    return str(marked).partition(" ")[2]


class _Problem(Exception):  # noqa: N818  # it never leaves this file
    def __init__(self, field: str | None, problem: str) -> None:
        # The problem names the field itself, where somebody else has found it.
        super().__init__(problem if field is None or problem.startswith(field) else f"{field}: {problem}")


def _fields(text: bytes) -> dict[str, object]:
    try:
        fields: object = _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _Problem(None, f"this is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise _Problem(None, "this is no JSON object")
    return cast("dict[str, object]", fields)


def _key(fields: dict[str, object], number: int) -> str:
    key = fields.get("key", number)
    if isinstance(key, int) and not isinstance(key, bool):
        key = str(key)
    if not isinstance(key, str) or not key:
        raise _Problem("key", "must be non-empty text, or a whole number")
    if len(key) > _LONGEST_KEY:
        raise _Problem("key", f"must be at most {_LONGEST_KEY} characters long, not {len(key)}")
    return key


def _free_key(number: int, keys: dict[str, int]) -> str:
    key = f"line {number}"  # the number alone may be the key of a sound line further down
    while key in keys:
        key += "'"
    return key


def _thread(fields: dict[str, object], given: dict[str, object]) -> dict[str, object]:
    """Where the run is to be, and what is said to it there, as parameters of a request."""
    said = _said(fields)
    if fields.get("thread_id") is not None:
        if "thread" in fields:
            raise _Problem("thread", "must be left out with thread_id")
        if said is None:
            return {}
        if "additional_messages" in given:
            raise _Problem("additional_messages", "must be left out with messages or content")
        return {"additional_messages": said}
    if "thread" not in fields:
        if said is None:
            raise _Problem("content", "the line needs it, or messages, thread or thread_id")
        return {"thread": {"messages": said}}
    if said is not None:
        raise _Problem("thread", "must be left out with messages or content")
    thread = _checked("thread", fields["thread"], ThreadCreateParams)
    if "messages" in thread:
        _check_messages("thread.messages", thread["messages"])
    return {"thread": thread}


def _said(fields: dict[str, object]) -> list[object] | None:
    if "content" in fields:
        if "messages" in fields:
            raise _Problem("content", "must be left out with messages")
        _checked("content", {"role": "user", "content": fields["content"]}, MessageCreateParams)
        return [{"role": "user", "content": fields["content"]}]
    return _check_messages("messages", fields["messages"]) if "messages" in fields else None


def _check_messages(where: str, messages: object) -> list[object]:
    if not isinstance(messages, list):
        raise _Problem(where, "must be a list of messages")
    found = cast("list[object]", messages)
    for place, message in enumerate(found):
        _checked(f"{where}[{place}]", message, MessageCreateParams)
    return found


def _checked(where: str, value: object, kind: type[Params]) -> dict[str, object]:
    """The object, once it is one that could be sent."""
    if not isinstance(value, dict):
        raise _Problem(where, "must be a JSON object")
    fields = cast("dict[str, object]", value)
    if unknown := sorted(fields.keys() - set(kind.__struct_fields__)):
        raise _Problem(f"{where}.{unknown[0]}", "there is no such field")
    try:
        kind(**fields)
    except InvalidArgumentError as error:
        raise _Problem(where, str(error)) from None
    except TypeError:  # a field that must be there is not
        missing = [name for name in ("role", "content") if name not in fields]
        raise _Problem(where, f"needs {' and '.join(missing)}") from None
    return fields
