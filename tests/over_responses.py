"""The embedded server and a client of it, as the tests of runs know them, with a bridge between the two.

What such a test tells the server, or asks it, is about requests of the protocol. Here those end at the backend: so it is the
backend that is asked which came, and that breaks the response a run is made of.
"""

from typing import Any, ClassVar, cast

import msgspec

from aiorunstream import AsyncClient
from aiorunstream.backends import Answer, Opened
from aiorunstream.backends.responses import ResponsesBackend, ThreadMode
from aiorunstream.operations import Call
from aiorunstream.protocol import OnErrorEvent
from aiorunstream.server import AssistantsServer, Fault

BEGINS = ("create_run", "create_thread_and_run", "submit_tool_outputs")
"""What asks for a response."""


class BridgedServer(AssistantsServer):
    """The server. Its requests are those of the bridge and those that this has made; faults of runs are of responses."""

    _known: ClassVar[dict[str, "BridgedServer"]] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.faults: list[Fault] = []

    async def start(self) -> None:
        await super().start()
        self._known[self.base_url] = self

    async def aclose(self) -> None:
        self._known.pop(self.base_url, None)
        await super().aclose()

    @classmethod
    def at(cls, base_url: str) -> "BridgedServer | None":
        return cls._known.get(base_url)

    def inject(self, fault: Fault) -> None:
        if fault.operation in BEGINS:
            self.faults.append(fault)
        else:
            super().inject(fault if not fault.at_byte else _moved(fault))

    def is_asked(self, call: Call[Any]) -> None:
        """The next response is broken, if that is what this call is to meet."""
        self.requests.append((call.operation.method, call.path))
        name = call.operation.name
        fault = next((fault for fault in self.faults if fault.operation == name), None)
        if fault is not None:
            self.faults.remove(fault)
            super().inject(_moved(msgspec.structs.replace(fault, operation="create_response")))


def _moved(fault: Fault) -> Fault:
    """A response says less of a run's beginning, and repeats less at its end: the same place is not so far in."""
    return msgspec.structs.replace(fault, at_byte=fault.at_byte * 3 // 5)


class Seen(ResponsesBackend):
    """The bridge. Tells the server what it is asked for."""

    async def call(self, call: Call[Any]) -> Answer[Any]:
        self._tell(call)
        return await super().call(call)

    async def open(self, call: Call[Any], *, on_error_event: OnErrorEvent = "raise") -> Opened:
        self._tell(call)
        return await super().open(call, on_error_event=on_error_event)

    def _tell(self, call: Call[Any]) -> None:
        server = BridgedServer.at(self.base_url)
        if server is not None:
            server.is_asked(call)


def bridged_client(how: str, base_url: str, **settings: Any) -> AsyncClient:
    """In place of a client of that base URL: `how` is a mode of threads, or "background"."""
    background = how == "background"
    threads = cast("ThreadMode", "conversation" if background else how)
    return AsyncClient(backend=Seen(base_url, threads=threads, background=background), **settings)
