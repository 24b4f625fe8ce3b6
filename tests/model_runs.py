"""The client and the embedded server beside the model: runs, and their streams."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from hypothesis.stateful import MultipleResults, multiple
from model_beside import Beside, seen
from model_reference import Helper, Hold, Job, Note, Talk

from aiorunstream import (
    BadRequestError,
    ErrorEvent,
    NotFoundError,
    RequiredActionFunctionToolCall,
    Run,
    RunStream,
    StreamClosedError,
    ThreadBusyError,
    ThreadMessageDelta,
    ThreadRunStepDelta,
    UnknownEvent,
)


class BesideRuns(Beside):
    """Runs are begun, read, let go on, answered, cancelled and looked at, and must be as the model has them."""

    # They begin.

    async def start_run(
        self, talk: Talk, helper: Helper, *, tool: bool, hold: Hold, streamed: bool
    ) -> Job | MultipleResults[Job]:
        runs = self.client.threads.runs
        text = f"{'get_weather' if tool else 'hello'} {next(self.unique)}"
        wishes: dict[str, Any] = {
            "assistant_id": helper.id,
            "instructions": hold,
            "additional_messages": [{"role": "user", "content": text}],
        }
        call = runs.create_stream(talk.id, **wishes) if streamed else runs.create(talk.id, **wishes)
        if talk.deleted or helper.deleted:
            await self.refused(NotFoundError, call)
            return multiple()
        if talk.active is not None:
            await self.refused(ThreadBusyError, call)
            await self._look_at_thread(talk)
            return multiple()
        talk.notes.append(Note("user", text))
        return await self._begun(await call, talk, tool=tool, hold=hold)

    async def start_thread_and_run(self, helper: Helper, *, tool: bool, hold: Hold) -> Job | MultipleResults[Job]:
        text = f"{'get_weather' if tool else 'hello'} {next(self.unique)}"
        call = self.client.threads.create_and_run(
            assistant_id=helper.id, instructions=hold, thread={"messages": [{"role": "user", "content": text}]}
        )
        if helper.deleted:
            await self.refused(NotFoundError, call)
            return multiple()
        run = await call
        self.talks.append(talk := Talk(run.thread_id or "", [Note("user", text)]))
        return await self._begun(run, talk, tool=tool, hold=hold)

    async def _begun(self, begun: Run | RunStream, talk: Talk, *, tool: bool, hold: Hold) -> Job:
        job = Job("", talk, tool, hold)
        if isinstance(begun, RunStream):
            job.stream = begun
            await self._read_on(job, to_the_end=False)
            assert begun.run_id is not None
            job.id = begun.run_id
        else:
            job.id = begun.id
            assert begun.status == "queued"
        talk.jobs.append(job)
        job.begin_turn()
        await self._go_on(job)
        await self._look_at_run(job)
        return job

    async def _go_on(self, job: Job) -> None:
        """Waits until the run is held where it should be, or has stopped."""
        if job.hold == job.turn:
            await self.engine.reached[job.id].wait()
        else:
            await self._finish_turn(job)

    async def _finish_turn(self, job: Job) -> None:
        job.end_turn()
        await self._read_out(job)
        if not job.talk.deleted:
            run = await self.client.threads.runs.poll(job.id, thread_id=job.talk.id)
            assert run.status == job.status
            job.calls = tuple(call.id for call in run.tool_calls if isinstance(call, RequiredActionFunctionToolCall))
            assert bool(job.calls) is (job.status == "requires_action")

    # Streams.

    async def _read_on(self, job: Job, *, to_the_end: bool) -> None:
        """Reads up to the first delta, or to the end."""
        assert job.stream is not None
        async for event in job.stream:
            assert not isinstance(event, (ErrorEvent, UnknownEvent))
            if not isinstance(event, (ThreadMessageDelta, ThreadRunStepDelta)):
                job.heard.append(event.event)
            elif not to_the_end:
                return
        assert to_the_end

    async def _read_out(self, job: Job) -> None:
        """Reads the open stream, if there is one, to its end; the model must have ended the turn."""
        if job.stream is None:
            return
        stream, heard = job.stream, job.heard
        await self._read_on(job, to_the_end=True)
        job.stream, job.heard = None, []
        assert heard == job.expected_events()
        assert stream.outcome == job.status
        seen[f"{job.turn} turn streamed to {job.status}"] += 1
        seen["read to the end out of sight"] += job.talk.deleted

    async def leave_stream(self, job: Job, stream: RunStream) -> None:
        job.stream, job.heard = None, []
        await stream.aclose()
        seen["stream left"] += 1
        with pytest.raises(StreamClosedError):
            await anext(stream)
        await self._look_at_run(job)

    # They go on.

    async def let_go(self, job: Job) -> None:
        self.engine.let_go[job.id].set()
        await self._finish_turn(job)
        await self._look_at_run(job)

    async def submit(self, job: Job, given: str, *, streamed: bool) -> None:
        runs = self.client.threads.runs
        right = [{"tool_call_id": id, "output": "sunny"} for id in job.calls or ("call_none",)]
        outputs = {
            "right": right,
            "none": [],
            "unknown": [*right, {"tool_call_id": "call_none", "output": "x"}],
            "twice": right * 2,
            "one missing": right[1:],
        }[given]
        ids: dict[str, Any] = {"thread_id": job.talk.id, "tool_outputs": outputs}
        call = runs.submit_tool_outputs_stream(job.id, **ids) if streamed else runs.submit_tool_outputs(job.id, **ids)
        if job.talk.deleted:
            await self.refused(NotFoundError, call)
        elif job.status != "requires_action" or given != "right":
            await self.refused(BadRequestError, call)
            seen["wrong outputs refused"] += job.status == "requires_action"
        else:
            job.stream = await self._submitted(call)
            seen["outputs submitted"] += 1
            job.steps[-1][1] = "completed"
            job.turn = "second"
            if job.stream is not None:
                await self._read_on(job, to_the_end=False)
            job.begin_turn()
            await self._go_on(job)
        await self._look_at_run(job)

    async def _submitted(self, call: Awaitable[Run | RunStream]) -> RunStream | None:
        answer = await call
        if isinstance(answer, RunStream):
            return answer
        assert answer.status == "queued"
        assert answer.required_action is None
        return None

    async def cancel(self, job: Job) -> None:
        runs = self.client.threads.runs
        call = runs.cancel(job.id, thread_id=job.talk.id)
        if job.talk.deleted:
            await self.refused(NotFoundError, call)
        elif not job.active:
            await self.refused(BadRequestError, call)
        else:
            assert (await call).status in ("cancelling", "cancelled")
            assert (await runs.poll(job.id, thread_id=job.talk.id)).status == "cancelled"
            seen[f"{job.turn} turn cancelled while {job.status}"] += 1
            job.end("cancelled", "incomplete")
            await self._read_out(job)
        await self._look_at_run(job)

    async def _look_at_run(self, job: Job) -> None:
        """A run, its steps and its thread are as the model has them."""
        runs, talk = self.client.threads.runs, job.talk
        if talk.deleted:
            await self.refused(NotFoundError, runs.retrieve(job.id, thread_id=talk.id))
            return
        run = await runs.retrieve(job.id, thread_id=talk.id)
        assert run.status == job.status
        assert run.is_terminal is (not job.active)
        assert (run.required_action is None) is (job.status != "requires_action")
        assert (run.expires_at is None) is run.is_terminal
        assert (run.completed_at is None) is (job.status != "completed")
        assert (run.cancelled_at is None) is (job.status != "cancelled")
        steps = [step async for step in runs.steps.list(job.id, thread_id=talk.id, order="asc")]
        assert [[step.type, step.status] for step in steps] == job.steps
        await self._look_at_thread(talk)

    async def look_at_steps(self, job: Job) -> None:
        steps = self.client.threads.runs.steps
        async for step in steps.list(job.id, thread_id=job.talk.id, limit=1):
            assert await steps.retrieve(step.id, thread_id=job.talk.id, run_id=job.id) == step
            await self.refused(NotFoundError, steps.retrieve("step_none", thread_id=job.talk.id, run_id=job.id))

    # What races: either may win, but the answer must fit what came of it.

    async def start_and_cancel_at_once(self, talk: Talk, helper: Helper) -> Job:
        runs = self.client.threads.runs
        run = await runs.create(talk.id, assistant_id=helper.id, instructions="slowly", tool_choice="none")
        expected = "cancelled"
        try:
            await runs.cancel(run.id, thread_id=talk.id)
        except BadRequestError:
            expected = "completed"
        run = await runs.poll(run.id, thread_id=talk.id)
        assert run.status == expected
        seen[f"{expected} at once"] += 1
        job = Job(run.id, talk, tool=False, hold="never", status=expected)
        talk.jobs.append(job)
        async for step in runs.steps.list(run.id, thread_id=talk.id, order="asc"):
            assert (step.type, step.status) == ("message_creation", expected)
            job.steps.append(["message_creation", expected])
        ending = "completed" if expected == "completed" else "incomplete"
        async for note in self.client.threads.messages.list(talk.id, run_id=run.id):
            assert note.status == ending
            talk.notes.append(Note("assistant", note.text, ending, job, note.id))
        await self._look_at_run(job)
        return job

    async def start_many_at_once(self, talk: Talk, helper: Helper, others: int) -> None:
        """Of runs that are started together on one thread, and held, exactly one begins."""
        runs = self.client.threads.runs
        found: list[Run | BaseException] = await asyncio.gather(
            *(
                runs.create(talk.id, assistant_id=helper.id, instructions="first", tool_choice="none")
                for _ in range(1 + others)
            ),
            return_exceptions=True,
        )
        (run,) = [one for one in found if isinstance(one, Run)]
        refusals = [one for one in found if isinstance(one, ThreadBusyError)]
        assert len(refusals) == others
        assert {error.run_id for error in refusals} == {run.id}
        job = Job(run.id, talk, tool=False, hold="first")
        talk.jobs.append(job)
        job.begin_turn()
        await self._go_on(job)
        await self.cancel(job)
