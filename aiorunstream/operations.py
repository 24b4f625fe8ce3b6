"""The protocol's 23 operations as data. The client's requests, the server's routes and the tests read this table."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar

import msgspec

from .checks import path_id
from .models import (
    Assistant,
    AssistantDeleted,
    Message,
    MessageDeleted,
    Page,
    Run,
    RunStep,
    Thread,
    ThreadDeleted,
)
from .options import RequestOptions
from .params import (
    AssistantCreateParams,
    AssistantUpdateParams,
    MessageCreateParams,
    MessageUpdateParams,
    Params,
    RunCreateParams,
    RunSubmitToolOutputsParams,
    RunUpdateParams,
    ThreadCreateAndRunParams,
    ThreadCreateParams,
    ThreadUpdateParams,
)

T = TypeVar("T")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_PAGING = ("limit", "order", "after", "before")
SEARCH_CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
"""The one word `include` knows: shows what file searches have found."""


class Operation(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One operation of the protocol.

    Attributes:
        name: as the official SDKs and this package's logs and errors call it.
        method, path: of the request; `{thread_id}` and the like stand for ids.
        result: what a plain (not streamed) answer holds.
        body: the parameters in the request's body, or None.
        query: the names a query may hold.
        creates: whether doing it twice makes two of something, so that it must not be sent again blindly.
        streams: whether the answer may be a run stream.
    """

    name: str
    method: Literal["GET", "POST", "DELETE"]
    path: str
    result: type[T]
    body: type[Params] | None = None
    query: tuple[str, ...] = ()
    creates: bool = False
    streams: bool = False

    @property
    def path_ids(self) -> tuple[str, ...]:
        """The names of the ids in the path, in order."""
        return tuple(_PLACEHOLDER.findall(self.path))

    def url_path(self, ids: Mapping[str, object]) -> str:
        """The path with its ids, each checked and percent-quoted. Raises `InvalidArgumentError`."""
        return _PLACEHOLDER.sub(lambda found: path_id(found[1], ids.get(found[1], "")), self.path)


LIST_ASSISTANTS = Operation(
    name="list_assistants", method="GET", path="/assistants", result=Page[Assistant], query=_PAGING
)
CREATE_ASSISTANT = Operation(
    name="create_assistant",
    method="POST",
    path="/assistants",
    result=Assistant,
    body=AssistantCreateParams,
    creates=True,
)
RETRIEVE_ASSISTANT = Operation(
    name="retrieve_assistant", method="GET", path="/assistants/{assistant_id}", result=Assistant
)
UPDATE_ASSISTANT = Operation(
    name="update_assistant",
    method="POST",
    path="/assistants/{assistant_id}",
    result=Assistant,
    body=AssistantUpdateParams,
)
DELETE_ASSISTANT = Operation(
    name="delete_assistant", method="DELETE", path="/assistants/{assistant_id}", result=AssistantDeleted
)
CREATE_THREAD = Operation(
    name="create_thread", method="POST", path="/threads", result=Thread, body=ThreadCreateParams, creates=True
)
CREATE_THREAD_AND_RUN = Operation(
    name="create_thread_and_run",
    method="POST",
    path="/threads/runs",
    result=Run,
    body=ThreadCreateAndRunParams,
    creates=True,
    streams=True,
)
RETRIEVE_THREAD = Operation(name="retrieve_thread", method="GET", path="/threads/{thread_id}", result=Thread)
UPDATE_THREAD = Operation(
    name="update_thread", method="POST", path="/threads/{thread_id}", result=Thread, body=ThreadUpdateParams
)
DELETE_THREAD = Operation(name="delete_thread", method="DELETE", path="/threads/{thread_id}", result=ThreadDeleted)
LIST_MESSAGES = Operation(
    name="list_messages",
    method="GET",
    path="/threads/{thread_id}/messages",
    result=Page[Message],
    query=(*_PAGING, "run_id"),
)
CREATE_MESSAGE = Operation(
    name="create_message",
    method="POST",
    path="/threads/{thread_id}/messages",
    result=Message,
    body=MessageCreateParams,
    creates=True,
)
RETRIEVE_MESSAGE = Operation(
    name="retrieve_message", method="GET", path="/threads/{thread_id}/messages/{message_id}", result=Message
)
UPDATE_MESSAGE = Operation(
    name="update_message",
    method="POST",
    path="/threads/{thread_id}/messages/{message_id}",
    result=Message,
    body=MessageUpdateParams,
)
DELETE_MESSAGE = Operation(
    name="delete_message", method="DELETE", path="/threads/{thread_id}/messages/{message_id}", result=MessageDeleted
)
LIST_RUNS = Operation(name="list_runs", method="GET", path="/threads/{thread_id}/runs", result=Page[Run], query=_PAGING)
CREATE_RUN = Operation(
    name="create_run",
    method="POST",
    path="/threads/{thread_id}/runs",
    result=Run,
    body=RunCreateParams,
    query=("include[]",),
    creates=True,
    streams=True,
)
RETRIEVE_RUN = Operation(name="retrieve_run", method="GET", path="/threads/{thread_id}/runs/{run_id}", result=Run)
UPDATE_RUN = Operation(
    name="update_run",
    method="POST",
    path="/threads/{thread_id}/runs/{run_id}",
    result=Run,
    body=RunUpdateParams,
)
CANCEL_RUN = Operation(name="cancel_run", method="POST", path="/threads/{thread_id}/runs/{run_id}/cancel", result=Run)
LIST_RUN_STEPS = Operation(
    name="list_run_steps",
    method="GET",
    path="/threads/{thread_id}/runs/{run_id}/steps",
    result=Page[RunStep],
    query=(*_PAGING, "include[]"),
)
RETRIEVE_RUN_STEP = Operation(
    name="retrieve_run_step",
    method="GET",
    path="/threads/{thread_id}/runs/{run_id}/steps/{step_id}",
    result=RunStep,
    query=("include[]",),
)
SUBMIT_TOOL_OUTPUTS = Operation(
    name="submit_tool_outputs",
    method="POST",
    path="/threads/{thread_id}/runs/{run_id}/submit_tool_outputs",
    result=Run,
    body=RunSubmitToolOutputsParams,
    creates=True,
    streams=True,
)

OPERATIONS: tuple[Operation[Any], ...] = (
    LIST_ASSISTANTS,
    CREATE_ASSISTANT,
    RETRIEVE_ASSISTANT,
    UPDATE_ASSISTANT,
    DELETE_ASSISTANT,
    CREATE_THREAD,
    CREATE_THREAD_AND_RUN,
    RETRIEVE_THREAD,
    UPDATE_THREAD,
    DELETE_THREAD,
    LIST_MESSAGES,
    CREATE_MESSAGE,
    RETRIEVE_MESSAGE,
    UPDATE_MESSAGE,
    DELETE_MESSAGE,
    LIST_RUNS,
    CREATE_RUN,
    RETRIEVE_RUN,
    UPDATE_RUN,
    CANCEL_RUN,
    LIST_RUN_STEPS,
    RETRIEVE_RUN_STEP,
    SUBMIT_TOOL_OUTPUTS,
)
"""All of them. A route with fixed words stands before one that has an id in the same place."""


class Call(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One operation about to be carried out; what a backend is given.

    Attributes:
        path: with its ids, quoted. The ids themselves are in `ids`.
        query: pairs, in order; a name may come more than once.
        body: the JSON body, `extra_body` not yet merged; None where there is none.
    """

    operation: Operation[T]
    path: str
    ids: Mapping[str, str] = {}
    query: Sequence[tuple[str, str]] = ()
    body: Mapping[str, object] | None = None
    options: RequestOptions = RequestOptions()

    def __repr__(self) -> str:
        """Names the operation; bodies and headers are nobody's business in a log or a traceback."""
        return f"<Call {self.operation.name}>"


def make_call(
    operation: Operation[T],
    ids: Mapping[str, str] | None = None,
    *,
    query: Sequence[tuple[str, str]] = (),
    body: Mapping[str, object] | None = None,
    options: RequestOptions | None = None,
) -> Call[T]:
    """Checks the ids and builds the call. Raises `InvalidArgumentError`, naming the id."""
    ids = ids or {}
    options = options or RequestOptions()
    return Call(operation=operation, path=operation.url_path(ids), ids=ids, query=query, body=body, options=options)
