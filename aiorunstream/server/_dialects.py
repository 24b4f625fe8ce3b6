"""How other servers of the protocol deviate from its description, each as far as its deviations are known.

A server has one or more faces: a prefix of its paths, and the dialect that is spoken there. Everything else (the store,
the machine, the engine) is the same for all of them, so that clients can be held to reading the same out of each.
"""

import secrets
from typing import Literal, cast, get_args

import msgspec
from aiohttp import web

from ..errors import ConfigurationError
from ..models import ErrorObject, JSONObject, Thread, Usage
from ..operations import Operation
from ..responses_operations import RESPONSES
from ..sse import encode
from ._answers import error_answer, json_answer
from ._astra import AstraSpelling, in_milliseconds
from ._open_assistant import OpenAssistantSpelling, described, hears_usage, in_fractions
from ._requests import Asked
from ._spelling import Spelling, objects_in, plain

DialectName = Literal["openai", "litellm", "open-assistant-api", "astra", "azure"]


class Dialect:
    """The protocol as its description has it."""

    def new_id(self, prefix: str) -> str:
        """The id of a new object."""
        return f"{prefix}_{secrets.token_hex(12)}"

    def serves(self, operation: Operation[object]) -> bool:
        """Whether there is a route for an operation."""
        del operation
        return True

    def refuse(self, operation: Operation[object], asked: Asked) -> web.Response | None:
        """The answer to a request that this server does not take; None for all others."""
        del operation, asked
        return None

    def hear(self, operation: Operation[object], asked: Asked) -> Asked:
        """The request as this server hears it, with how its stream is to be written."""
        del operation
        return msgspec.structs.replace(asked, spelling=Spelling())

    def answer(self, value: object) -> web.Response:
        """A plain answer."""
        return json_answer(value)


# -- LiteLLM -----------------------------------------------------------------------------------------------------------

_LITELLM_ROUTES = frozenset(
    {
        "list_assistants",
        "create_assistant",
        "delete_assistant",
        "create_thread",
        "retrieve_thread",
        "list_messages",
        "create_message",
        "create_run",
    }
)
_LITELLM_HEARS = frozenset(
    {"assistant_id", "additional_instructions", "instructions", "metadata", "model", "stream", "tools"}
)


class _LiteLLM(Dialect):
    """LiteLLM's own routes. It takes events apart and puts them together again, without what is null."""

    def serves(self, operation: Operation[object]) -> bool:
        return operation.name in _LITELLM_ROUTES or operation in RESPONSES  # and no conversations

    def hear(self, operation: Operation[object], asked: Asked) -> Asked:
        body = asked.body
        if operation.name == "create_run":
            body = {name: value for name, value in body.items() if name in _LITELLM_HEARS}
        return msgspec.structs.replace(asked, body=body, spelling=_LiteLLMSpelling())


class _LiteLLMSpelling(Spelling):
    """Each event is an object of its own, `data` first, behind no name."""

    _has_failed = False

    def event(self, name: str, data: object, spent: Usage | None) -> bytes:
        del spent
        if isinstance(data, ErrorObject):
            self._has_failed = True
            said = {"message": data.message, "type": data.type, "param": data.param, "code": "500"}
            return encode(msgspec.json.encode({"error": said}))
        return encode(msgspec.json.encode({"data": without_nulls(plain(data)), "event": name}))

    def end(self) -> bytes:
        return b"" if self._has_failed else encode("[DONE]")


def without_nulls(value: object) -> object:
    """Plain JSON without the fields that are null, however deep."""
    if isinstance(value, dict):
        items = cast("JSONObject", value).items()
        return {name: without_nulls(item) for name, item in items if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in cast("list[object]", value)]
    return value


# -- open-assistant-api ------------------------------------------------------------------------------------------------


class _OpenAssistant(Dialect):
    """MLT-OSS/open-assistant-api."""

    def __init__(self) -> None:
        self._counted: set[str] = set()  # the runs that were asked to tell of usage

    def new_id(self, prefix: str) -> str:
        del prefix
        return secrets.token_hex(12)

    def refuse(self, operation: Operation[object], asked: Asked) -> web.Response | None:
        if operation.name == "create_thread_and_run" and asked.stream:
            return json_answer({"detail": "thread runs not found"}, 404)
        return None

    def hear(self, operation: Operation[object], asked: Asked) -> Asked:
        goes_on = operation.name == "submit_tool_outputs"
        counts = hears_usage(asked.body) or (goes_on and asked["run_id"] in self._counted)
        body = {name: value for name, value in asked.body.items() if name not in ("stream_options", "extra_body")}
        spelling = OpenAssistantSpelling(goes_on=goes_on, counted=self._counted if counts else None)
        return msgspec.structs.replace(asked, body=body, spelling=spelling)

    def answer(self, value: object) -> web.Response:
        found = cast("JSONObject", in_fractions(described(value)))
        if isinstance(value, Thread):
            found["metadata_"] = found.pop("metadata")
        return json_answer(found)


# -- Astra -------------------------------------------------------------------------------------------------------------


class _Astra(Dialect):
    """datastax/astra-assistants-api."""

    def hear(self, operation: Operation[object], asked: Asked) -> Asked:
        spelling = AstraSpelling(goes_on=operation.name == "submit_tool_outputs")
        return msgspec.structs.replace(asked, spelling=spelling)

    def answer(self, value: object) -> web.Response:
        return json_answer(in_milliseconds(value))


# -- Azure -------------------------------------------------------------------------------------------------------------


class _Azure(Dialect):
    """Azure AI Foundry Agent Service (classic)."""

    def refuse(self, operation: Operation[object], asked: Asked) -> web.Response | None:
        del operation
        if asked.query.get("api-version"):
            return None
        said = "The api-version query parameter (?api-version=) is required for all requests."
        return error_answer(400, said, code="MissingApiVersionParameter")

    def hear(self, operation: Operation[object], asked: Asked) -> Asked:
        del operation
        return msgspec.structs.replace(asked, spelling=_AzureSpelling())

    def answer(self, value: object) -> web.Response:
        return json_answer(_with_deadlines(value))


class _AzureSpelling(Spelling):
    """Steps have no `expired_at`."""

    def event(self, name: str, data: object, spent: Usage | None) -> bytes:
        return super().event(name, _with_deadlines(data), spent)


def _with_deadlines(value: object) -> object:
    """Steps as Azure has them: with `expires_at` in the place of `expired_at`."""
    found = plain(value)
    for item in objects_in(found):
        if item.get("object") == "thread.run.step":
            item.pop("expired_at", None)
    return found


# -- all of them -------------------------------------------------------------------------------------------------------

Faces = tuple[tuple[str, Dialect], ...]


def faces_of(name: str) -> Faces:
    """The faces of a server of that dialect, each with the prefix of its paths; clients are pointed to the first.

    Raises:
        ConfigurationError: there is no such dialect.
    """
    match name:
        case "openai":
            return (("/v1", Dialect()),)
        case "litellm":
            own, passed_on = _LiteLLM(), Dialect()
            return (("/v1", own), ("", own), ("/openai", passed_on), ("/openai_passthrough", passed_on))
        case "open-assistant-api":
            return (("/api/v1", _OpenAssistant()),)
        case "astra":
            return (("/v1", _Astra()),)
        case "azure":
            return (("/api/projects/demo", _Azure()),)
        case _:
            known = ", ".join(get_args(DialectName))
            raise ConfigurationError(f"dialect must be one of {known}, not {name!r:.40}")
