"""The tool calls a run waits for: made at once, each within its time, and answered with text for the model."""

import asyncio
import inspect
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Literal, cast

import anyio
import msgspec
from anyio import to_thread

from ..errors import ToolError
from ..models import RequiredActionFunctionToolCall, RequiredActionToolCall, Run
from ..params import ToolOutput
from ..tools import CallableTool, ToolSet, encode_output
from ._callbacks import made

OnToolError = Literal["report", "raise"]
Approve = Callable[[RequiredActionFunctionToolCall], bool | Awaitable[bool]]

_BEFORE_EXPIRY = 1.0
"""Seconds before a run's `expires_at` by which its tools must be done: times on the wire are whole seconds."""
REFUSED = "The user refused this call."
APPROVE_CANCELLED = "approve was cancelled from within"


class ToolRound:
    """Answers the calls of one round after another.

    Args:
        tools: the functions that may be called.
        on_error: "report" makes an answer of whatever goes wrong with a call; "raise" raises `ToolError`.
        timeout: seconds for a call whose tool sets no time of its own; None for no limit.
        at_once: how many calls are made at the same time.
        approve: asked before each call; without it all are made.
    """

    def __init__(
        self, tools: ToolSet, *, on_error: OnToolError, timeout: float | None, at_once: int, approve: Approve | None
    ) -> None:
        self._tools = tools
        self._raises = on_error == "raise"
        self._timeout = timeout
        self._at_once = at_once
        self._approve = approve
        self._outputs: dict[int, str] = {}  # of the round under way, by the place of the call
        self._failure: BaseException | None = None
        self._scope: anyio.CancelScope | None = None

    async def outputs(self, calls: Sequence[RequiredActionToolCall], *, deadline: float) -> list[ToolOutput]:
        """The outputs of all calls of a round. A cancel ends the calls that are being made; asked again, only those are
        made again.

        Args:
            deadline: on the loop's clock; no call goes on after it.

        Raises:
            ToolError: a call went wrong, and that is to be raised.
            Exception: whatever `approve` raised; again and again, once it has.
        """
        if self._failure is None:
            limiter = anyio.CapacityLimiter(self._at_once)
            async with anyio.create_task_group() as group:
                self._scope = group.cancel_scope
                for place, call in enumerate(calls):
                    if place not in self._outputs:
                        group.start_soon(self._answer, place, call, limiter, deadline)
        if self._failure is not None:  # out here: it is the caller's, and comes in no group
            raise self._failure
        texts, self._outputs = self._outputs, {}
        return [ToolOutput(tool_call_id=_id_of(call), output=texts[place]) for place, call in enumerate(calls)]

    def give_up(self, failure: BaseException) -> None:
        """Ends the calls that are being made, from any task of the loop; `outputs` raises this from now on."""
        self._failure = self._failure or failure
        if self._scope is not None:
            self._scope.cancel()

    async def _answer(
        self, place: int, call: RequiredActionToolCall, limiter: anyio.CapacityLimiter, deadline: float
    ) -> None:
        try:
            output = None
            with anyio.CancelScope(deadline=deadline):
                output = await self._output(call, limiter)
            if output is None:
                output = self._problem("it was given up: the run expires", call)
            self._outputs[place] = output
        except anyio.get_cancelled_exc_class() as error:
            if _is_cancelled_from_outside():
                raise
            failure = RuntimeError(APPROVE_CANCELLED)  # a tool that ends so has an output
            failure.__cause__ = error
            self.give_up(failure)
        except BaseException as error:  # raised once the group is closed
            self.give_up(error)

    async def _output(self, call: RequiredActionToolCall, limiter: anyio.CapacityLimiter) -> str:
        if isinstance(call, RequiredActionFunctionToolCall) and not await self._is_approved(call):
            return REFUSED
        async with limiter:
            return await self._make(call)

    async def _is_approved(self, call: RequiredActionFunctionToolCall) -> bool:
        if self._approve is None:
            return True
        return bool(await made(partial(self._approve, call), whose="approve"))

    async def _make(self, call: RequiredActionToolCall) -> str:
        if not isinstance(call, RequiredActionFunctionToolCall):
            return self._problem(f"a call of type {call.type!r} cannot be made here", call)
        name = call.function.name
        tool = self._tools.find(name)
        if tool is None:
            known = ", ".join(found.name for found in self._tools) or "none"
            return self._problem(f"there is no function {name!r}; there is: {known}", call)
        try:
            return await self._within(tool, tool.decode_arguments(call.function.arguments), call)
        except ToolError as error:
            return self._problem(str(error), call, error)
        except Exception as error:  # somebody else's code
            return self._problem(f"{name} failed: {type(error).__name__}{_said(error)}", call, error)

    async def _within(
        self, tool: CallableTool[..., object], arguments: dict[str, object], call: RequiredActionFunctionToolCall
    ) -> str:
        """Calls the tool, and gives it up when its time is over. A thread cannot be stopped: it is left to itself."""
        timeout = self._timeout if tool.timeout is None else tool.timeout
        with anyio.move_on_after(timeout):
            try:
                result = await _result_of(tool, arguments)
                if _has_cancelled_itself():
                    await anyio.lowlevel.checkpoint()  # raises that here, where it is about this call alone
                return encode_output(result, tool=tool.name)
            except anyio.get_cancelled_exc_class():
                if _is_cancelled_from_outside():
                    raise
            return self._problem(f"{tool.name} was cancelled from within", call)
        return self._problem(f"{tool.name} was given up: it took longer than {timeout:g} s", call)

    def _problem(self, message: str, call: RequiredActionToolCall, cause: Exception | None = None) -> str:
        """What the model is told of a call that went wrong; raised instead where that is wanted."""
        if not self._raises:
            return msgspec.json.encode({"error": encode_output(message)}).decode()
        if isinstance(cause, ToolError) and cause.call_id is not None:
            raise cause
        name = call.function.name if isinstance(call, RequiredActionFunctionToolCall) else None
        raise ToolError(message, tool=name, call_id=_id_of(call)) from cause


async def _result_of(tool: CallableTool[..., object], arguments: dict[str, object]) -> object:
    if tool.is_async:
        return await cast("Callable[..., Awaitable[object]]", tool.function)(**arguments)
    # With a limit of its own it waits for no thread: how many there are is counted by calls.
    limiter, function = anyio.CapacityLimiter(1), partial(tool.function, **arguments)
    result = await to_thread.run_sync(function, abandon_on_cancel=True, limiter=limiter)
    return await result if inspect.isawaitable(result) else result  # a plain function around an async one


def _is_cancelled_from_outside() -> bool:
    """Of a call that was cancelled: whether by what is around it, and not by its own code."""
    return anyio.current_effective_deadline() == -math.inf


def _has_cancelled_itself() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0 and not _is_cancelled_from_outside()


def _said(error: Exception) -> str:
    try:
        return f": {error}"
    except Exception:  # somebody else's code here too
        return ""


def _id_of(call: RequiredActionToolCall) -> str:
    found = call.id if isinstance(call, RequiredActionFunctionToolCall) else call.get("id")
    return found if isinstance(found, str) else ""


def expiry(run: Run, headers: Mapping[str, str], *, opened_at: float, began_at: float | None) -> float:
    """When the tools of a run must be done, on the loop's clock, from when its stream was opened, and when it began.

    The server's clock need not agree with ours: what it showed in the answer, or in the run, counts before the wall's.
    """
    if run.expires_at is None:
        return math.inf
    try:
        shown = parsedate_to_datetime(headers.get("date", "")).timestamp()
    except ValueError:
        shown = -math.inf
    if (run.created_at or 0) <= shown <= run.expires_at:  # else it is a recording
        expires = opened_at + run.expires_at - shown
    elif began_at is not None and run.created_at is not None:
        expires = began_at + run.expires_at - run.created_at
    else:
        expires = anyio.current_time() + run.expires_at - time.time()
    return expires - _BEFORE_EXPIRY
