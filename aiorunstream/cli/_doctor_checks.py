"""What the doctor asks a server for, and in which order: one short run, and everything that there is to ask about it."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import cast

from ..backends import Backend
from ..client import AsyncClient
from ..errors import AiorunstreamError, APIError, APIStatusError
from ..models import Assistant, JSONObject, Thread
from ..operations import (
    CANCEL_RUN,
    CREATE_ASSISTANT,
    CREATE_MESSAGE,
    CREATE_THREAD,
    CREATE_THREAD_AND_RUN,
    LIST_ASSISTANTS,
    LIST_MESSAGES,
    LIST_RUN_STEPS,
    LIST_RUNS,
    RETRIEVE_RUN,
    RETRIEVE_THREAD,
    SUBMIT_TOOL_OUTPUTS,
    make_call,
)
from ..options import Timeouts
from ..recording import read_recording
from ..responses_operations import CREATE_CONVERSATION, CREATE_RESPONSE
from ..retry import RetryPolicy
from ._doctor_asking import LIST_MODELS, NO_ROUTE, Asking
from ._doctor_report import ROUTES, Report, Route, Streamed
from ._doctor_seen import seen_in
from ._record import RecordingBackend
from ._show import in_a_line

CLOCKS = Timeouts(connect=3.0, first_event=10.0, idle=10.0, total=30.0)
_NAME = "aiorunstream doctor"
_HELLO: Mapping[str, object] = {"role": "user", "content": "Say hello in five words."}
_OUTPUTS: Mapping[str, object] = {"tool_outputs": [{"tool_call_id": "call_of_the_doctor", "output": ""}]}
_LAST_MODEL = "gpt-4o"


class Doctor:
    """Looks at one server.

    Args:
        backend: speaks to it.
        base_url: for the report.
        assistant_id: the assistant to run; without it one is made, with `model` or the first that the server names.
        seconds: for everything but taking things away.

    Attributes:
        report: what is known, also after a cancel.
    """

    def __init__(
        self, backend: Backend, base_url: str, *, assistant_id: str | None, model: str | None, seconds: float
    ) -> None:
        self._recorded: list[bytes] = []
        self._backend = RecordingBackend(backend, self._recorded.append)
        self._client = AsyncClient(backend=self._backend, timeouts=CLOCKS, retry=RetryPolicy(attempts=1))
        self._assistant_id = assistant_id
        self._model = model
        self._seconds = seconds
        self.report = Report(base_url=base_url, routes=dict.fromkeys(ROUTES, Route()), left_behind=[])
        self._asking = Asking(self._backend, self.report)
        self._said: str | None = None  # what the server said instead of listing assistants

    async def look(self) -> Report:
        """Finds out what it can, and takes away what it has made. A cancel does the second all the same."""
        async with self._client:
            try:
                async with asyncio.timeout(self._seconds):
                    await self._look()
            except TimeoutError:
                self.report.problem = f"it took longer than {self._seconds:g} s; what is not told was not asked"
            finally:
                await self._asking.clean_up()
        return self.report

    async def _look(self) -> None:
        if not await self._can_be_asked():
            return
        ask, make = self._asking.ask, self._asking.make
        assistant_id = self._assistant_id or await self._make_assistant()
        thread = await make(CREATE_THREAD, {"messages": [_HELLO]})
        if isinstance(thread, Thread):
            ids = {"thread_id": thread.id}
            await ask(RETRIEVE_THREAD, ids)
            await ask(CREATE_MESSAGE, ids, _HELLO)
            await ask(LIST_MESSAGES, ids)
            await ask(LIST_RUNS, ids)
            if assistant_id is not None:
                await self._stream(thread.id, assistant_id)
        # Each of these is refused where its route is there, since it lacks what it needs.
        await make(CREATE_THREAD_AND_RUN, {})
        await make(CREATE_RESPONSE, {})
        await make(CREATE_CONVERSATION, {"items": "none"})
        if self.report.has_nothing:
            is_bare = not self.report.base_url.rstrip("/").endswith("/v1")
            self.report.problem = (
                f"nothing of the protocol is at this address{': is a /v1 missing?' if is_bare else ''}"
            )

    async def _can_be_asked(self) -> bool:
        """Whether the server is there and takes the key."""
        try:
            answer = await self._backend.call(make_call(LIST_ASSISTANTS, query=[("limit", "1")]))
            status, headers = answer.status_code, answer.headers
        except APIStatusError as error:
            status, headers = error.status_code, error.headers
            self._asking.note(LIST_ASSISTANTS.name, status, is_read=False)
            if status not in NO_ROUTE:
                self._said = in_a_line(error)
        except APIError as error:
            self._asking.note(LIST_ASSISTANTS.name, None)
            self.report.problem = in_a_line(error)
            return False
        else:
            self._asking.note(LIST_ASSISTANTS.name, status)
        self.report.server = headers.get("server")
        if status == 401:
            self.report.problem = self._said
        return status != 401

    async def _make_assistant(self) -> str | None:
        self.report.model = self._model or await self._first_model() or _LAST_MODEL
        body = {"model": self.report.model, "name": _NAME, "instructions": "Be brief."}
        made = await self._asking.make(CREATE_ASSISTANT, body)
        if isinstance(made, Assistant):
            return made.id
        self.report.problem = "no assistant could be made: name one with --assistant, or its model with --model"
        if self._said is not None:
            self.report.problem = f"no assistant could be made, and none listed: {self._said}"
        return None

    async def _first_model(self) -> str | None:
        with suppress(APIError):
            models = (await self._backend.call(make_call(LIST_MODELS))).data.get("data")
            if isinstance(models, list) and models and isinstance(models[0], dict):
                id = cast("JSONObject", models[0]).get("id")
                return id if isinstance(id, str) else None
        return None

    async def _stream(self, thread_id: str, assistant_id: str) -> None:
        asking = self._asking
        began = time.perf_counter()
        first: float | None = None
        names: list[str] = []
        outcome = run_id = problem = None
        try:
            async with self._client.threads.runs.create_stream(thread_id, assistant_id=assistant_id) as stream:
                asking.note("create_run", 200)
                try:
                    async for event in stream:
                        first = first or (time.perf_counter() - began) * 1000
                        names.append(event.event)
                finally:
                    outcome, run_id = stream.outcome, stream.run_id
                    asking.run = (thread_id, run_id) if run_id and outcome is None else None
        except APIStatusError as error:
            asking.note("create_run", error.status_code)
            problem = in_a_line(error)
        except AiorunstreamError as error:
            if self.report.routes["create_run"].status is None:
                asking.note("create_run", None)
            problem = in_a_line(error)
        except asyncio.CancelledError:
            problem = "the run had not stopped when the time was over"
            raise
        finally:
            body = await self._recorded_bytes()
            self.report.seen = seen_in(body) if body else None
            self.report.streamed = Streamed(outcome, len(names), len(set(names)), len(body), first, problem)
        if run_id is not None:
            await self._ask_about(thread_id, run_id)

    async def _recorded_bytes(self) -> bytes:
        await self._backend.finish()
        return b"".join(piece.data for piece in read_recording(b"".join(self._recorded)).pieces)

    async def _ask_about(self, thread_id: str, run_id: str) -> None:
        ids = {"thread_id": thread_id, "run_id": run_id}
        await self._asking.ask(RETRIEVE_RUN, ids)
        await self._asking.ask(LIST_RUN_STEPS, ids)
        # It waits for no such output, and may have ended: a server that has these routes refuses, or cancels.
        await self._asking.ask(SUBMIT_TOOL_OUTPUTS, ids, _OUTPUTS)
        await self._asking.ask(CANCEL_RUN, ids)
        self._asking.run = None
