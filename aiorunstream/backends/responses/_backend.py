"""The bridge: a backend that carries out the protocol's operations with a server of `/responses`."""

import time
from collections.abc import Mapping
from secrets import token_hex
from typing import Literal, TypeVar, cast, get_args

from ...errors import ConfigurationError
from ...intake import StoreError
from ...operations import Call
from ...protocol import OnErrorEvent
from ...store import Store
from .._base import Answer, Opened, Settings
from ._asked import Asked, refused
from ._assistants import Assistants, Definition
from ._handlers import Handlers
from ._keeping import ThreadStore
from ._modes import ThreadMode
from ._runs import Runs
from ._server import Server
from ._threads import Threads

T = TypeVar("T")
AddMessages = Literal["with_run", "at_once"]


class ResponsesBackend:
    """A server of `/responses` behind a base URL, used as if it had threads and runs.

        backend = ResponsesBackend("https://api.openai.com/v1", threads="conversation", assistants={
            "asst_1": {"model": "gpt-5.1", "instructions": "Be brief."},
        })
        async with AsyncClient(backend=backend, api_key="...") as client: ...

    Each run is a response, and one more each time its tool calls are answered. What such a server does not keep is kept here,
    in memory: assistants, runs, steps, and metadata of messages; with a `store`, threads outlive this process.

    Args:
        base_url: where its `/responses` is.
        threads: who remembers a thread. "conversation": the server, by its Conversations API. "previous_response_id":
            the server, in the chain of the thread's responses. "replay": this client, which sends all of it each time
            and asks the server to keep nothing. Servers that cannot do what is asked of them often say nothing and forget.
        assistants: the definition of each assistant by its id: the parameters of `assistants.create`, or an assistant
            as a server once showed it.
        background: whether responses go on at the server when nobody reads them, and streams that broke off are resumed
            without a loss. Few servers can; one that cannot refuses.
        store: where threads are kept between requests, see `ThreadStore`.
        add_messages: when a message goes into its conversation. "with_run" sends it with the thread's next run; until
            then only this process, or the `store`, knows of it. "at_once" makes a request for each, so that every
            process sees it; the responses of some servers (OGX 1.5) overlook messages that came in this way.

    Raises:
        ConfigurationError: an argument cannot be meant.
    """

    def __init__(
        self,
        base_url: str,
        *,
        threads: ThreadMode,
        assistants: Mapping[str, Definition] | None = None,
        background: bool = False,
        store: ThreadStore | None = None,
        add_messages: AddMessages = "with_run",
    ) -> None:
        if threads not in get_args(ThreadMode):
            known = ", ".join(f'"{mode}"' for mode in get_args(ThreadMode))
            raise ConfigurationError(f"threads must be one of {known}, not {threads!r:.40}")
        if background and threads == "replay":
            raise ConfigurationError('background needs a server that keeps responses: threads cannot be "replay"')
        if add_messages not in get_args(AddMessages):
            raise ConfigurationError(f'add_messages must be "with_run" or "at_once", not {add_messages!r:.40}')
        self._server = Server(base_url)
        kept = Store(clock=time.time, new_id=_new_id, expires_after=0)
        self._assistants = Assistants(kept, assistants or {})
        self._threads = Threads(kept, self._server, threads, store, at_once=add_messages == "at_once")
        runs = Runs(kept, self._assistants, self._threads, self._server, background=background)
        self._handlers = Handlers(kept, self._assistants, self._threads, runs)

    @property
    def base_url(self) -> str:
        """The base URL, without a slash at its end."""
        return self._server.base_url

    def start(self, settings: Settings) -> None:
        """Is called by the client this backend belongs to. Raises `ConfigurationError` for a dialect of run streams."""
        if settings.dialect is not None:
            raise ConfigurationError("dialect must be None with ResponsesBackend: responses are no run streams")
        self._server.start(settings)

    async def call(self, call: Call[T]) -> Answer[T]:
        """Carries out a plain call."""
        refusal = None
        try:
            found = await self._handlers.plain[call.operation.name](Asked(call))
            return Answer(cast("T", found), 200, {})
        except StoreError as error:
            refusal = refused(call, error)
        raise refusal

    async def open(self, call: Call[T], *, on_error_event: OnErrorEvent = "raise") -> Opened:
        """Begins a run, or goes on with one, and opens its stream."""
        refusal = None
        try:
            return await self._handlers.open(call.operation.name, Asked(call), on_error_event)
        except StoreError as error:
            refusal = refused(call, error)
        raise refusal

    def __repr__(self) -> str:
        return f"ResponsesBackend({self.base_url!r})"


def _new_id(prefix: str) -> str:
    return f"{prefix}_{token_hex(12)}"
