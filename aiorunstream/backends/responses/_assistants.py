"""Assistants, which no server of responses has: kept here, from a dict that the user gives."""

from collections.abc import Mapping
from typing import TypeVar, cast

import msgspec
from msgspec import UNSET

from ...errors import AiorunstreamError, ConfigurationError
from ...intake import StoreError, given, read_params
from ...json_writing import encode_body
from ...models import Assistant, AssistantDeleted, AssistantTool, JSONObject, UnknownPart
from ...params import AssistantCreateParams, AssistantUpdateParams
from ...store import Store
from ._tools import OWN_TOOLS, reachable

P = TypeVar("P", AssistantCreateParams, AssistantUpdateParams)
_OF_THE_SERVER = ("id", "object", "created_at")
Definition = AssistantCreateParams | Assistant | Mapping[str, object]


def plain(value: object) -> JSONObject:
    """A body with everything in it as plain JSON. Raises `InvalidArgumentError`: something has none."""
    return cast("JSONObject", msgspec.json.decode(encode_body(cast("Mapping[str, object]", value))))


class Assistants:
    """Keeps them in the store, and what was said of each, since the store fills in what was not.

    Raises:
        ConfigurationError: a definition cannot be meant.
    """

    def __init__(self, store: Store, definitions: Mapping[str, Definition]) -> None:
        self._store = store
        self._defined: dict[str, AssistantCreateParams] = {}
        if not isinstance(definitions, Mapping):
            raise ConfigurationError("assistants must be a dict of ids and definitions")
        for id, definition in definitions.items():
            if not isinstance(definition, (Mapping, msgspec.Struct)):
                raise ConfigurationError(
                    f"assistants[{id!r:.80}] must be a dict or a Struct, not {type(definition).__name__}; "
                    "of a pydantic model give model_dump()"
                )
            try:
                self.create(_read(definition), id=id)
            except (AiorunstreamError, StoreError) as error:
                raise ConfigurationError(f"assistants[{id!r:.80}]: {error}") from None

    def definition(self, id: str) -> AssistantCreateParams:
        """What was said of an assistant. Raises `StoreError`: there is none."""
        self._store.retrieve_assistant(id)
        return self._defined[id]

    def create(self, params: AssistantCreateParams, *, id: str | None = None) -> Assistant:
        """Keeps a new one. Raises `StoreError`."""
        reachable(given(params.tool_resources, None))
        assistant = self._store.create_assistant(_known(params), id=id)
        self._defined[assistant.id] = params
        return self._with_tools(assistant, params)

    def update(self, id: str, params: AssistantUpdateParams) -> Assistant:
        """Changes what was given. Raises `StoreError`."""
        reachable(given(params.tool_resources, None))
        assistant = self._store.update_assistant(id, _known(params))
        changes = {name: value for name, value in params.body().items() if value is not UNSET}
        self._defined[id] = msgspec.structs.replace(self._defined[id], **changes)
        return self._with_tools(assistant, self._defined[id])

    def delete(self, id: str) -> AssistantDeleted:
        """Forgets one; its runs go on. Raises `StoreError`."""
        return self._store.delete_assistant(id)

    def _with_tools(self, assistant: Assistant, params: AssistantCreateParams) -> Assistant:
        tools = shown_tools(given(params.tools, ()))
        return self._store.keep_assistant(msgspec.structs.replace(assistant, tools=tools))


def _read(definition: Definition) -> AssistantCreateParams:
    """A definition as parameters; it may be an assistant as a server once showed it."""
    values = plain(definition if isinstance(definition, Mapping) else cast("object", msgspec.to_builtins(definition)))
    known = {name: value for name, value in values.items() if name not in _OF_THE_SERVER and value is not None}
    return read_params(AssistantCreateParams, known)


def _known(params: P) -> P:
    """The same without tools of kinds that the store does not know."""
    if params.tools is UNSET:
        return params
    return msgspec.structs.replace(params, tools=known_tools(params.tools))


def known_tools(tools: object) -> list[JSONObject]:
    """Those of the protocol's own kinds."""
    return [tool for tool in cast("list[JSONObject]", tools) if tool.get("type") in OWN_TOOLS]


def shown_tools(tools: object) -> tuple[AssistantTool, ...]:
    """All of them, as an assistant or a run shows them."""
    return tuple(
        msgspec.convert([tool], tuple[AssistantTool, ...])[0]
        if tool.get("type") in OWN_TOOLS
        else cast("AssistantTool", UnknownPart(tool))
        for tool in cast("list[JSONObject]", tools)
    )
