"""The tool calls a run waits for: made at once, each within its time, and answered with text for the model."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal, cast

import anyio
import msgspec
from anyio import to_thread

from ..errors import ToolError
from ..models import RequiredActionFunctionToolCall, RequiredActionToolCall
from ..params import ToolOutput
from ..tools import CallableTool, ToolSet, encode_output

OnToolError = Literal["report", "raise"]
Approve = Callable[[RequiredActionFunctionToolCall], bool | Awaitable[bool]]

REFUSED = "The user refused this call."


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
        self._failure: Exception | None = None

    async def outputs(self, calls: Sequence[RequiredActionToolCall], *, deadline: float) -> list[ToolOutput]:
        """The outputs of all calls of a round. A cancel ends the calls that are being made; asked again, only those are
        made again.

        Args:
            deadline: on the loop's clock; no call goes on after it.

        Raises:
            ToolError: a call went wrong, and that is to be raised.
            Exception: whatever `approve` raised.
        """
        limiter = anyio.CapacityLimiter(self._at_once)
        async with anyio.create_task_group() as group:
            for place, call in enumerate(calls):
                if place not in self._outputs:
                    group.start_soon(self._answer, place, call, limiter, deadline, group.cancel_scope)
        failure, self._failure = self._failure, None
        if failure is not None:  # out here: it is the caller's, and comes in no group
            raise failure
        texts, self._outputs = self._outputs, {}
        ids = [getattr(call, "id", None) or cast("dict[str, str]", call).get("id", "") for call in calls]
        return [ToolOutput(tool_call_id=id, output=texts[place]) for place, id in enumerate(ids)]

    async def _answer(
        self,
        place: int,
        call: RequiredActionToolCall,
        limiter: anyio.CapacityLimiter,
        deadline: float,
        scope: anyio.CancelScope,
    ) -> None:
        try:
            if isinstance(call, RequiredActionFunctionToolCall) and not await self._is_approved(call):
                self._outputs[place] = REFUSED
                return
            async with limiter:
                self._outputs[place] = await self._make(call, deadline)
        except Exception as error:  # raised once the group is closed
            self._failure = self._failure or error
            scope.cancel()

    async def _is_approved(self, call: RequiredActionFunctionToolCall) -> bool:
        if self._approve is None:
            return True
        answer = self._approve(call)
        return bool(await answer if inspect.isawaitable(answer) else answer)

    async def _make(self, call: RequiredActionToolCall, deadline: float) -> str:
        if not isinstance(call, RequiredActionFunctionToolCall):
            return self._problem(f"a call of type {call.type!r} cannot be made here", None)
        name = call.function.name
        tool = self._tools.find(name)
        if tool is None:
            known = ", ".join(found.name for found in self._tools) or "none"
            return self._problem(f"there is no function {name!r}; there is: {known}", call)
        try:
            return await self._within(tool, tool.decode_arguments(call.function.arguments), call, deadline)
        except ToolError as error:
            return self._problem(str(error), call, error)
        except Exception as error:  # somebody else's code
            return self._problem(f"{name} failed: {type(error).__name__}: {error}", call, error)

    async def _within(
        self,
        tool: CallableTool[..., object],
        arguments: dict[str, object],
        call: RequiredActionFunctionToolCall,
        deadline: float,
    ) -> str:
        """Calls the tool, and gives it up when its time is over. A thread cannot be stopped: it is left to itself."""
        timeout = self._timeout if tool.timeout is None else tool.timeout
        left = deadline - anyio.current_time()
        seconds = left if timeout is None else min(left, timeout)
        with anyio.move_on_after(max(0.0, seconds)):
            if tool.is_async:
                result = await cast("Callable[..., Awaitable[object]]", tool.function)(**arguments)
            else:
                result = await to_thread.run_sync(partial(tool.function, **arguments), abandon_on_cancel=True)
                if inspect.isawaitable(result):  # a plain function around an async one
                    result = await result
            return encode_output(result, tool=tool.name)
        why = "the run expires" if timeout is None or left < timeout else f"it took longer than {timeout:g} s"
        return self._problem(f"{tool.name} was given up: {why}", call)

    def _problem(
        self, message: str, call: RequiredActionFunctionToolCall | None, cause: Exception | None = None
    ) -> str:
        """What the model is told of a call that went wrong; raised instead where that is wanted."""
        if not self._raises:
            return msgspec.json.encode({"error": message}).decode()
        if isinstance(cause, ToolError) and cause.call_id is not None:
            raise cause
        raise ToolError(
            message, tool=None if call is None else call.function.name, call_id=None if call is None else call.id
        ) from cause
