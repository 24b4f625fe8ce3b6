"""What an engine may say, one Struct a kind of thing. `machine` makes the protocol's events of them.

    yield "Let me see. "
    yield CallTool("get_weather", '{"city": "Oslo"}')

Things that are said in pieces (text, arguments, code, logs) go on until something else is said.

Rule of this file: what could not be told to a client cannot be made. `ValueError` says what is wrong with it.
"""

import math
from typing import Literal, get_args

import msgspec

from .json_writing import NO_JSON
from .models import FileSearchResult, JSONObject, Usage


def check_text(name: str, value: object) -> None:
    """Raises `ValueError` where it is no text, or none that JSON can hold, such as half a surrogate pair."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, not {type(value).__name__}")  # noqa: TRY004  # an engine's mistake
    if type(value) is not str or not value.isascii():
        _check_json(name, value)


def _check_json(name: str, value: object) -> bytes:
    """The value as JSON. Raises `ValueError` where it has none."""
    try:
        return msgspec.json.encode(value)
    except NO_JSON as error:
        raise ValueError(f"{name} cannot be written as JSON: {error}") from None


class _Words(msgspec.Struct, frozen=True):
    """An item all of whose fields are text, or None where that is what they are if they are not given."""

    def __post_init__(self) -> None:
        required = len(self.__struct_fields__) - len(self.__struct_defaults__)
        for place, name in enumerate(self.__struct_fields__):
            value: object = getattr(self, name)
            if value is not None or place < required or self.__struct_defaults__[place - required] is not None:
                check_text(name, value)


# -- messages --------------------------------------------------------------------------------------------------------


class Say(_Words, frozen=True):
    """A piece of text. Pieces that follow each other are one text of one message; a plain `str` means the same."""

    text: str


class Refuse(_Words, frozen=True):
    """A piece of a refusal: the model declines."""

    text: str


class ShowImage(_Words, frozen=True):
    """An image in the message, by the id of its file."""

    file_id: str
    detail: Literal["auto", "low", "high"] | None = None


class Cite(_Words, frozen=True):
    """A piece of text, such as "【1】", that cites a file. `quote` is only in the delta, as at OpenAI."""

    text: str
    file_id: str
    quote: str | None = None


class LinkFile(_Words, frozen=True):
    """A piece of text, such as "sandbox:/plot.csv", that stands for a file which the code interpreter made."""

    text: str
    file_id: str


class CiteURL(_Words, frozen=True):
    """A piece of text, such as "【1†source】", that cites a page, as Azure's servers do."""

    text: str
    url: str
    title: str | None = None


# -- tools -----------------------------------------------------------------------------------------------------------


class CallTool(_Words, frozen=True):
    """A call of one of the run's functions; the run waits for its output once the turn is over.

    `arguments` is JSON text, whole or its beginning; without an `id` the call is given one.
    """

    name: str
    arguments: str = ""
    id: str | None = None


class MoreArguments(_Words, frozen=True):
    """A further piece of the arguments of the function call just before."""

    text: str


class RunCode(_Words, frozen=True):
    """A use of the code interpreter. `code` is whole or its beginning; without an `id` the call is given one."""

    code: str = ""
    id: str | None = None


class MoreCode(_Words, frozen=True):
    """A further piece of the code just before."""

    text: str


class PrintLogs(_Words, frozen=True):
    """Text that the code just before prints. Pieces that follow each other are one output."""

    text: str


class DrawImage(_Words, frozen=True):
    """An image that the code just before draws, by the id of its file."""

    file_id: str


class SearchFiles(msgspec.Struct, frozen=True):
    """A use of file search, and what it finds.

    A result without name or score gets its file id and 0; `content` is shown to those who ask to `include` it.

    Raises:
        ValueError: a score is not from 0 to 1.
    """

    results: tuple[FileSearchResult, ...] = ()
    id: str | None = None

    def __post_init__(self) -> None:
        _check_json("results", self.results)
        if self.id is not None:
            check_text("id", self.id)
        for found in self.results:
            if not 0 <= (found.score or 0) <= 1:
                raise ValueError(f"a score must be from 0 to 1, not {found.score!r}")


class UseTool(msgspec.Struct, frozen=True):
    """A use of one of the server's own tools of another kind, such as Azure's: told whole, and kept as it is.

    `call` is the JSON of the call, with its `type`; without an `id` it is given one. It is copied: what is changed in it
    afterwards is not said.

    Raises:
        ValueError: it is no JSON, or has no type, or one of the kinds that have an item of their own.
    """

    call: JSONObject

    def __post_init__(self) -> None:
        kind = self.call.get("type")
        if not isinstance(kind, str) or kind in ("", "function", "code_interpreter", "file_search"):
            raise ValueError(f"a tool of another kind must have a type of its own, not {kind!r}")
        msgspec.structs.force_setattr(self, "call", msgspec.json.decode(_check_json("call", self.call)))


class AskApproval(_Words, frozen=True):
    """A call of a tool of an MCP server, for which the run asks leave once the turn is over, as at Azure.

    `arguments` is JSON text; `output` is what comes of the call where leave is given; without an `id` it is given one.
    """

    name: str
    arguments: str = "{}"
    server_label: str = ""
    output: str = ""
    id: str | None = None


class EndStep(msgspec.Struct, frozen=True):
    """What is open is whole: the message, or the uses of the server's own tools. What comes next is a step of its own.

    Calls of functions stay open until their outputs come.
    """


# -- ends and interruptions ------------------------------------------------------------------------------------------


class Fail(_Words, frozen=True):
    """The run fails. Whatever is said after it is not heard."""

    message: str
    code: Literal["server_error", "rate_limit_exceeded", "invalid_prompt"] = "server_error"


class BreakOff(_Words, frozen=True):
    """The answer breaks off: the run is incomplete. Whatever is said after it is not heard."""

    reason: Literal["max_completion_tokens", "max_prompt_tokens", "content_filter"] = "max_completion_tokens"


class Expire(msgspec.Struct, frozen=True):
    """The run's time is over, whatever the clock says. Whatever is said after it is not heard."""


class Cancel(msgspec.Struct, frozen=True):
    """Somebody cancels the run. Whatever is said after it is not heard."""


class SendError(_Words, frozen=True):
    """An `error` event. The stream ends with it, without an end mark; the run goes on, with what is said after it."""

    message: str
    type: str = "server_error"
    code: str | None = None
    param: str | None = None


class Pause(msgspec.Struct, frozen=True):
    """Silence, in which a run may be cancelled or expire.

    Raises:
        ValueError: the seconds are negative or endless.
    """

    seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.seconds < math.inf:
            raise ValueError(f"a pause must be a number of seconds, not {self.seconds!r}")


Item = (
    str
    | Say
    | Refuse
    | ShowImage
    | Cite
    | CiteURL
    | LinkFile
    | CallTool
    | MoreArguments
    | RunCode
    | MoreCode
    | PrintLogs
    | DrawImage
    | SearchFiles
    | UseTool
    | AskApproval
    | EndStep
    | Fail
    | BreakOff
    | Expire
    | Cancel
    | SendError
    | Pause
    | Usage
)
"""What an engine may say. `Usage` adds to what the run, and the step that is open, have spent."""

ITEMS: tuple[type[Item], ...] = get_args(Item)
"""The classes of the items."""

PIECES = (str, Say, Refuse, Cite, CiteURL, LinkFile, MoreArguments, MoreCode, PrintLogs)
"""The items that come a piece at a time, as a model's words do."""
