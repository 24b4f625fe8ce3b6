"""How runs are begun and their streams opened: what the resources of one client share."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

import msgspec
from msgspec import UNSET

from .._log import log
from ..backends import Backend
from ..errors import ClientClosedError, InvalidArgumentError
from ..models import Run
from ..operations import CREATE_RUN, SUBMIT_TOOL_OUTPUTS, Call, make_call
from ..options import RecoverPolicy, RequestOptions, Timeouts
from ..params import (
    JSONMapping,
    RunSubmitToolApprovalsParams,
    RunSubmitToolOutputsParams,
    ToolApproval,
    ToolOutput,
)
from ..protocol import OnErrorEvent
from ..retry import RetryPolicy
from ..stream import LEARN_SECONDS, LEAVE_SECONDS, Delivered, RunStream, StreamCall, found_stream
from ._busy import IfActive, check_if_active, when_free
from ._control import Control, Keeper, Looking
from ._reconcile import can_reconcile, send_or_find

if TYPE_CHECKING:
    from ..stream._actions import Submit
    from ..stream._recovery import Recovery

T = TypeVar("T")
# Made once: a function in a function makes its annotations anew, and they would be 0.6 kB of each open stream.
_Outputs = Sequence[ToolOutput | JSONMapping]
_Approvals = Sequence[ToolApproval | JSONMapping]
_Going = StreamCall[RunStream]


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream behaves: what its call said, and its client where the call said nothing."""

    on_error_event: OnErrorEvent = "raise"
    cancel_on_exit: bool = False
    recover: RecoverPolicy | None = None
    if_active: IfActive = "error"


class Streams:
    """Begins runs for the resources of one client.

    Args:
        backend: carries the calls out.
        keeper: carries on what nobody waits for.
        timeouts, retry: the client's, for calls that have none of their own.
        manner: the client's, for streams that say nothing else.
    """

    def __init__(
        self, backend: Backend, keeper: Keeper, *, timeouts: Timeouts, retry: RetryPolicy, manner: Manner
    ) -> None:
        self._backend = backend
        self._keeper = keeper
        self._timeouts = timeouts
        self._retry = retry
        self._manner = manner
        self._looking = Looking(backend)
        self._delivered = Delivered()
        self._lock = threading.Lock()  # for the two below: loops of several threads may use one client
        # What a client that is closed leaves, rather than cuts, and the loop of each: streams that do more than close their
        # connection, and those that are being opened.
        self._to_leave: WeakKeyDictionary[RunStream, asyncio.AbstractEventLoop] = WeakKeyDictionary()
        self._openings: dict[asyncio.Task[RunStream], asyncio.AbstractEventLoop] = {}

    def manner(
        self,
        *,
        on_error_event: OnErrorEvent | None,
        cancel_on_exit: bool | None,
        recover: RecoverPolicy | bool | None,
        if_active: IfActive = "error",
    ) -> Manner:
        """The manner of one stream; None is the client's. Raises `InvalidArgumentError`."""
        if on_error_event not in ("raise", "yield", None):
            raise InvalidArgumentError(
                f'on_error_event must be "raise" or "yield", not {on_error_event!r:.40}', argument="on_error_event"
            )
        if cancel_on_exit not in (True, False, None):
            raise InvalidArgumentError("cancel_on_exit must be True or False", argument="cancel_on_exit")
        check_if_active(if_active)
        usual = self._manner
        return Manner(
            on_error_event=on_error_event or usual.on_error_event,
            cancel_on_exit=usual.cancel_on_exit if cancel_on_exit is None else cancel_on_exit,
            recover=usual.recover if recover is None else recover_policy(recover),
            if_active=if_active,
        )

    async def open(self, call: Call[Run], manner: Manner) -> RunStream:
        """Begins or goes on with a run, and returns its stream."""
        if not manner.cancel_on_exit:
            return await self._open(call, manner)
        loop = asyncio.get_running_loop()
        opening = loop.create_task(self._open(call, manner))
        with self._lock:
            self._openings[opening] = loop
        try:
            await asyncio.wait({opening})
        except asyncio.CancelledError:
            await self._leave_opening(opening)
            raise
        finally:
            with self._lock:
                del self._openings[opening]
        if opening.cancelled():
            raise ClientClosedError("the client was closed while the request was under way")
        return opening.result()

    async def create(self, call: Call[Run], if_active: IfActive, send: Callable[[Call[Run]], Awaitable[Run]]) -> Run:
        """Begins a run without a stream, with the same care."""
        check_if_active(if_active)
        control = self._control(call)
        return await self._begin(call, if_active, control, send)

    async def leave_all(self) -> None:
        """Leaves every stream of this loop that recovers, or whose run is to end with it, and those that are being opened."""
        loop = asyncio.get_running_loop()
        with self._lock:
            openings = [opening for opening, its_loop in self._openings.items() if its_loop is loop]
            streams = [stream for stream, its_loop in self._to_leave.items() if its_loop is loop]
        await asyncio.gather(*map(self._leave_opening, openings), *(stream.aclose() for stream in streams))

    async def _begin(
        self, call: Call[Run], if_active: IfActive, control: Control, send: Callable[[Call[Run]], Awaitable[T]]
    ) -> T | Run:
        retry = call.options.retry or self._retry

        async def attempt() -> T | Run:
            if retry.reconcile and can_reconcile(call):
                return await send_or_find(call, send, control)
            return await send(call)

        if call.operation is not CREATE_RUN:
            return await attempt()
        return await when_free(attempt, control, call.ids["thread_id"], if_active=if_active)

    def take_up(self, run: Run, call: Call[Run], manner: Manner, *, until: float = float("inf")) -> RunStream:
        """The stream of a run that is there already: it is watched until it stops, and what it came to is fetched.

        Args:
            run: as the server shows it.
            call: what has begun it, or gone on with it: its options hold for what is asked now.
            manner: how the stream behaves; what it recovers within bounds the watching, too.
            until: when it must be over, on the loop's clock.
        """
        control = self._control(call)
        stream = found_stream(
            run,
            control=control,
            cancel_on_exit=manner.cancel_on_exit,
            submit=self._going_on(control, manner),
            recovery=self._recovery(call, control, manner.recover or RecoverPolicy(), until),
        )
        return self._opened(stream, call, manner)

    async def _open(self, call: Call[Run], manner: Manner) -> RunStream:
        control = self._control(call)
        until = float("inf")

        async def send(marked: Call[Run]) -> RunStream:
            nonlocal until
            until = self._end_of_time(call)
            opened = await self._backend.open(marked, on_error_event=manner.on_error_event)
            return RunStream(
                opened.body,
                opened.protocol,
                thread_id=call.ids.get("thread_id"),
                run_id=call.ids.get("run_id"),
                control=control,
                cancel_on_exit=manner.cancel_on_exit,
                submit=self._going_on(control, manner),
                recovery=None if manner.recover is None else self._recovery(call, control, manner.recover, until),
            )

        stream = await self._begin(call, manner.if_active, control, send)
        if isinstance(stream, RunStream):
            return self._opened(stream, call, manner)
        facts = {"thread_id": call.ids.get("thread_id"), "run_id": stream.id}
        log(logging.WARNING, "run found after an unknown outcome", **facts)
        return self.take_up(stream, call, manner, until=until)

    def _opened(self, stream: RunStream, call: Call[Run], manner: Manner) -> RunStream:
        facts = {"request_id": stream.request_id, "thread_id": call.ids.get("thread_id"), "run_id": stream.run_id}
        log(logging.DEBUG, "stream opened", operation=call.operation.name, **facts)
        if manner.cancel_on_exit or stream.delivered is not None:
            with self._lock:
                self._to_leave[stream] = asyncio.get_running_loop()
        return stream

    def _recovery(self, call: Call[Run], control: Control, policy: RecoverPolicy, until: float) -> "Recovery":
        from ..stream._recovery import Recovery  # noqa: PLC0415  # only who wants it pays for it

        return Recovery(control, policy, self._delivered, call.ids.get("run_id"), until=until)

    def _going_on(self, control: Control, manner: Manner) -> "Submit[RunStream]":
        """What answers a run, and opens the stream in which it goes on."""

        def submit(thread: str, run: str, outputs: _Outputs, approvals: _Approvals) -> _Going:
            return StreamCall(
                self.open(submit_call(run, thread, outputs, approvals, control.options, stream=True), manner)
            )

        return submit

    def _control(self, call: Call[Run]) -> Control:
        return Control(self._backend, self._looking, self._keeper, call)

    def _end_of_time(self, call: Call[Run]) -> float:
        """When a stream that is begun now must be over, on the loop's clock."""
        total = (call.options.timeouts or self._timeouts).total
        return float("inf") if total is None else asyncio.get_running_loop().time() + total

    async def _leave_opening(self, opening: "asyncio.Task[RunStream]") -> None:
        """The opening is not wanted any more; the run it may have begun is not, either."""
        if not opening.done() and not self._keeper.withdraw(opening):
            opening.cancel()
        try:
            leaving = self._keeper.keep(_leave_once_open(opening))
        except ClientClosedError:
            opening.cancel()
            return
        await asyncio.wait({leaving}, timeout=LEAVE_SECONDS)


async def _leave_once_open(opening: "asyncio.Task[RunStream]") -> None:
    await asyncio.wait({opening}, timeout=LEARN_SECONDS)
    if not opening.done():
        opening.cancel()
        log(logging.WARNING, "run not cancelled: the request for it was not answered")
    await asyncio.wait({opening})
    if not opening.cancelled() and opening.exception() is None:
        await opening.result().aclose()


def submit_call(
    run_id: str,
    thread_id: str,
    tool_outputs: _Outputs,
    tool_approvals: _Approvals,
    options: RequestOptions | None,
    *,
    stream: bool = False,
) -> Call[Run]:
    """The call that answers a run. Raises `InvalidArgumentError`."""
    streams = True if stream else UNSET
    params: RunSubmitToolOutputsParams | RunSubmitToolApprovalsParams
    if not tool_approvals:
        params = RunSubmitToolOutputsParams(tool_outputs=tool_outputs, stream=streams)
    else:
        outputs = tool_outputs or UNSET
        params = RunSubmitToolApprovalsParams(tool_approvals=tool_approvals, tool_outputs=outputs, stream=streams)
    ids = {"thread_id": thread_id, "run_id": run_id}
    return make_call(SUBMIT_TOOL_OUTPUTS, ids, body=params.body(), options=options)


def recover_policy(recover: object) -> RecoverPolicy | None:
    """True is the usual policy, False none. Raises `InvalidArgumentError`."""
    if isinstance(recover, bool):
        return RecoverPolicy() if recover else None
    if isinstance(recover, RecoverPolicy):
        return recover
    raise InvalidArgumentError(
        f"recover must be True, False or RecoverPolicy(...), not {type(recover).__name__}", argument="recover"
    )
