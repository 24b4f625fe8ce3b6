"""Random sequences of legal and illegal operations, sent by this package's client to the embedded server, beside a model.

The model is what the protocol promises, told in dicts and lists. Runs are held in the middle of an answer until the
model lets them go on, so that every operation meets a state that is known. Wherever client, server and model part, or
anything comes back but this package's own errors, the sequence is the finding; Hypothesis shortens it.
"""

import asyncio
import functools
import itertools
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import msgspec
import pytest
from conftest import LONG
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aiorunstream import (
    AiorunstreamError,
    APIStatusError,
    APITimeoutError,
    AsyncClient,
    BadRequestError,
    ErrorEvent,
    InvalidArgumentError,
    NotFoundError,
    RequestOptions,
    RequiredActionFunctionToolCall,
    RetryPolicy,
    Run,
    RunStream,
    StreamClosedError,
    ThreadBusyError,
    ThreadMessageDelta,
    ThreadRunStepDelta,
    UnknownEvent,
)
from aiorunstream.resources import ListCall
from aiorunstream.server import AssistantsServer, DefaultEngine, Turn

T = TypeVar("T")
PATIENCE = 10.0
WEATHER: dict[str, Any] = {"type": "function", "function": {"name": "get_weather"}}
BEGINNING = ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
AGAIN = ["thread.run.step.completed", "thread.run.queued", "thread.run.in_progress"]
STEP = ["thread.run.step.created", "thread.run.step.in_progress"]
MESSAGE = ["thread.message.created", "thread.message.in_progress"]

Order = Literal["asc", "desc"]
Hold = Literal["never", "first", "second"]
"""In which of its turns a run is held. The second is the one that has tool outputs."""


class Holding:
    """The default engine, held behind the first thing it says in the turn that the run's instructions name."""

    def __init__(self) -> None:
        self.reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.let_go: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def reply(self, turn: Turn, /) -> AsyncIterator[Any]:
        held = turn.run.instructions == ("second" if turn.steps else "first")
        said: Any = DefaultEngine().reply(turn)
        for place, item in enumerate(said):
            if held and place == 1:
                self.reached[turn.run.id].set()
                await self.let_go[turn.run.id].wait()
            if turn.run.instructions == "slowly":
                await asyncio.sleep(0)
            yield item


# -- the model -------------------------------------------------------------------------------------------------------


@dataclass
class Note:
    """A message; its id is learnt from the first list it is in."""

    role: str
    text: str | None
    status: str = "completed"
    run: "Job | None" = None
    id: str = ""


@dataclass
class Talk:
    """A thread."""

    id: str
    notes: list[Note] = field(default_factory=list["Note"])
    jobs: list["Job"] = field(default_factory=list["Job"])
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    deleted: bool = False

    @property
    def active(self) -> "Job | None":
        return next((job for job in self.jobs if job.active), None)


@dataclass
class Job:
    """A run."""

    id: str
    talk: Talk
    tool: bool
    hold: Hold
    turn: Literal["first", "second"] = "first"
    status: str = "in_progress"
    steps: list[list[str]] = field(default_factory=list[list[str]])
    note: Note | None = None
    calls: tuple[str, ...] = ()
    stream: RunStream | None = None
    heard: list[str] = field(default_factory=list[str])

    @property
    def active(self) -> bool:
        return self.status in ("in_progress", "requires_action")

    def begin_turn(self) -> None:
        """The engine has said the first thing of a turn."""
        self.status = "in_progress"
        if self.tool and self.turn == "first":
            self.steps.append(["tool_calls", "in_progress"])
            return
        self.steps.append(["message_creation", "in_progress"])
        self.note = Note("assistant", None, "in_progress", self)
        self.talk.notes.append(self.note)

    def end_turn(self) -> None:
        """The engine has said all of a turn."""
        if self.tool and self.turn == "first":
            self.status = "requires_action"
        else:
            self.end("completed", "completed")

    def end(self, status: str, note_status: str) -> None:
        self.status = status
        if self.steps[-1][1] == "in_progress":
            self.steps[-1][1] = status
        if self.note is not None:
            self.note.status = note_status

    def expected_events(self) -> list[str]:
        """What a stream of the present turn must have shown once it has ended, deltas left out."""
        names = [*(AGAIN if self.turn == "second" else BEGINNING), *STEP]
        asks = self.tool and self.turn == "first"
        if not asks:
            names += MESSAGE
        if self.status == "requires_action":
            return [*names, "thread.run.requires_action"]
        if self.status == "cancelled":
            names += ["thread.run.cancelling", *([] if asks else ["thread.message.incomplete"])]
            return [*names, "thread.run.step.cancelled", "thread.run.cancelled"]
        return [*names, "thread.message.completed", "thread.run.step.completed", "thread.run.completed"]


@dataclass
class Helper:
    """An assistant."""

    id: str
    deleted: bool = False


def active(job: Job) -> bool:
    return job.active


def held(job: Job) -> bool:
    return job.status == "in_progress"


def waiting(job: Job) -> bool:
    return job.status == "requires_action"


def streaming(job: Job) -> bool:
    return job.stream is not None


Place = int | Literal["unknown", "foreign"]
"""Where a cursor stands in a list, or why it does not."""


def expected_page(
    ids: Sequence[str], limit: int, order: str, after: str | None, before: str | None
) -> tuple[list[str], bool]:
    """One page of a list that is in order of creation, and whether there is more."""
    rest = list(ids) if order == "asc" else list(reversed(ids))
    if before is not None:
        rest = rest[: rest.index(before)]
    if after is not None:
        # What comes before the cursor is gone; where `before` has cut the cursor itself off, so is all.
        rest = rest[rest.index(after) + 1 :] if after in rest else []
    backwards = before is not None and after is None
    return (rest[-limit:] if backwards else rest[:limit]), len(rest) > limit


# -- client and server beside it -------------------------------------------------------------------------------------

SIGHTS = {
    "NotFoundError",
    "BadRequestError",
    "ThreadBusyError",
    "first turn streamed to completed",
    "first turn streamed to requires_action",
    "first turn streamed to cancelled",
    "second turn streamed to completed",
    "first turn cancelled while in_progress",
    "first turn cancelled while requires_action",
    "second turn cancelled while in_progress",
    "wrong outputs refused",
    "second turn streamed to cancelled",
    "outputs submitted",
    "read to the end out of sight",
    "stream left",
}
seen: Counter[str] = Counter()
"""What of `SIGHTS` the sequences have come by, and how often."""
WAYS = ("let go", "cancel", "leave", "delete")

# Shortening a sequence takes minutes, more than a test of CI has: for that, set AIORUNSTREAM_LONG=1.
SEARCH = (
    settings(stateful_step_count=60)
    if LONG
    else settings(max_examples=50, stateful_step_count=40, phases=[Phase.generate])
)

places = st.integers(0, 5)
cursor_places = st.one_of(places, places, st.sampled_from(["unknown", "foreign"]))
holds = st.sampled_from(["second", "first", "never"])
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
metadatas = st.dictionaries(st.text("abc", min_size=1, max_size=2), st.text("xyz", max_size=3), max_size=2)
wrong_messages = st.one_of(st.just(""), st.sampled_from(["content", "role", "unknown", "metadata", "id"]))
wrong_outputs = st.sampled_from(["none", "unknown", "twice", "one missing"])


class Conversations(RuleBasedStateMachine):
    """One server and one client on one event loop, which runs while a rule does."""

    assistants = Bundle("assistants")
    threads = Bundle("threads")
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.engine = Holding()
        self.server = AssistantsServer(engine=self.engine)
        self.helpers: list[Helper] = []
        self.talks: list[Talk] = []
        self.unique = itertools.count()
        self.do(self.server.start())
        # Nothing is sent twice: what fails must be seen.
        self.client = AsyncClient(base_url=self.server.base_url, api_key="", retry=RetryPolicy(attempts=1))

    def teardown(self) -> None:
        self.close()

    def close(self) -> None:
        try:
            for job in self.jobs(streaming):
                assert job.stream is not None
                self.do(job.stream.aclose())
            self.do(self.client.aclose())
            self.do(self.server.aclose())
        finally:
            self.runner.close()

    @property
    def alive(self) -> int:
        """How many threads there are that were not deleted."""
        return sum(not talk.deleted for talk in self.talks)

    def jobs(self, kind: Callable[[Job], bool]) -> list[Job]:
        return [job for talk in self.talks for job in talk.jobs if kind(job)]

    def pick(self, kind: Callable[[Job], bool], place: int) -> Job:
        jobs = self.jobs(kind)
        return jobs[place % len(jobs)]

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(asyncio.wait_for(call, PATIENCE))

    async def refused(self, kind: type[AiorunstreamError], call: Awaitable[object], param: str | None = None) -> None:
        """The call must be refused with exactly this error, and the error must say what is wrong."""
        with pytest.raises(AiorunstreamError) as caught:
            await call
        error = caught.value
        assert type(error) is kind, repr(error)
        seen[kind.__name__] += 1
        if isinstance(error, APIStatusError):
            said = msgspec.json.decode(error.body, type=dict[str, dict[str, Any]])["error"]
            assert said["message"]
            assert said["message"][:200].split()[0] in str(error)
            assert said["type"] == "invalid_request_error"
            assert (error.request_id or "").startswith("req_")
            if param is not None:
                assert error.param == param
        elif isinstance(error, InvalidArgumentError):
            assert error.argument == param

    # Assistants.

    @initialize(target=assistants)
    def first_assistant(self) -> Helper:
        return self.do(self._create_assistant())

    @precondition(lambda self: len(self.helpers) < 3)
    @rule(target=assistants)
    def create_assistant(self) -> Helper:
        return self.do(self._create_assistant())

    async def _create_assistant(self) -> Helper:
        made = await self.client.assistants.create(model="parrot", tools=[WEATHER])
        self.helpers.append(helper := Helper(made.id))
        return helper

    @precondition(lambda self: len(self.helpers) > 2)
    @rule(helper=assistants, delete=st.booleans())
    def look_at_assistant(self, helper: Helper, *, delete: bool) -> None:
        assistants = self.client.assistants
        if helper.deleted:
            self.do(self.refused(NotFoundError, assistants.retrieve(helper.id)))
            self.do(self.refused(NotFoundError, assistants.delete(helper.id)))
            return
        assert self.do(assistants.retrieve(helper.id)).id == helper.id
        if delete and sum(not helper.deleted for helper in self.helpers) > 1:
            assert self.do(assistants.delete(helper.id)).deleted
            helper.deleted = True

    # Threads.

    @initialize(target=threads, contents=st.lists(texts, min_size=2, max_size=8), metadata=metadatas)
    def first_thread(self, contents: list[str], metadata: dict[str, str]) -> Talk:
        return self.do(self._create_thread(contents, metadata))

    @precondition(lambda self: self.alive < 4)
    @rule(target=threads, contents=st.lists(texts, max_size=8), metadata=metadatas)
    def create_thread(self, contents: list[str], metadata: dict[str, str]) -> Talk:
        return self.do(self._create_thread(contents, metadata))

    async def _create_thread(self, contents: list[str], metadata: dict[str, str]) -> Talk:
        made = await self.client.threads.create(
            messages=[{"role": "user", "content": content} for content in contents], metadata=metadata
        )
        talk = Talk(made.id, [Note("user", content) for content in contents], metadata=metadata)
        self.talks.append(talk)
        await self._look_at_thread(talk)
        return talk

    @rule(talk=threads, metadata=metadatas, delete=st.sampled_from([False, False, True]))
    def change_thread(self, talk: Talk, metadata: dict[str, str], *, delete: bool) -> None:
        self.do(self._change_thread(talk, metadata, delete=delete and len(self.talks) - self.alive < 2))

    async def _change_thread(self, talk: Talk, metadata: dict[str, str], *, delete: bool) -> None:
        threads = self.client.threads
        if talk.deleted:
            await self.refused(NotFoundError, threads.update(talk.id, metadata=metadata))
            await self.refused(NotFoundError, threads.delete(talk.id))
            return
        assert (await threads.retrieve(talk.id)).metadata == talk.metadata
        talk.metadata = metadata
        assert (await threads.update(talk.id, metadata=metadata)).metadata == metadata
        if delete:
            assert (await threads.delete(talk.id)).deleted
            talk.deleted = True
        await self._look_at_thread(talk)

    async def _look_at_thread(self, talk: Talk) -> None:
        """All that belongs to a thread is as the model has it; ids that were not known are learnt."""
        threads = self.client.threads
        if talk.deleted:
            await self.refused(NotFoundError, threads.retrieve(talk.id))
            await self.refused(NotFoundError, threads.messages.list(talk.id))
            await self.refused(NotFoundError, threads.runs.list(talk.id))
            return
        notes = [note async for note in threads.messages.list(talk.id, order="asc", limit=100)]
        assert [(note.role, note.status, note.run_id) for note in notes] == [
            (note.role, note.status, note.run and note.run.id) for note in talk.notes
        ]
        for seen, note in zip(notes, talk.notes, strict=True):
            assert note.id in ("", seen.id)
            note.id = seen.id
            if note.text is not None:
                assert seen.text == note.text
            else:
                assert bool(seen.text) is (note.status != "in_progress")
        runs = [run async for run in threads.runs.list(talk.id, order="asc", limit=100)]
        assert [(run.id, run.status) for run in runs] == [(job.id, job.status) for job in talk.jobs]

    # Messages.

    @rule(talk=threads, content=texts, role=st.sampled_from(["user", "assistant"]), wrong=wrong_messages)
    def add_message(self, talk: Talk, content: str, role: Literal["user", "assistant"], wrong: str) -> None:
        self.do(self._add_bad_message(talk, wrong) if wrong else self._add_message(talk, role, content))

    async def _add_message(self, talk: Talk, role: Literal["user", "assistant"], content: str) -> None:
        call = self.client.threads.messages.create(talk.id, role=role, content=content)
        if talk.deleted:
            await self.refused(NotFoundError, call)
        elif talk.active is not None:
            await self.refused(ThreadBusyError, call)
        else:
            talk.notes.append(Note(role, content, id=(await call).id))
        await self._look_at_thread(talk)

    async def _add_bad_message(self, talk: Talk, wrong: str) -> None:
        create = self.client.threads.messages.create
        kind = NotFoundError if talk.deleted else BadRequestError
        if wrong == "metadata":
            call = create(talk.id, role="user", content="x", metadata={"a": "x" * 513})
            await self.refused(InvalidArgumentError, call, "metadata['a']")
        elif wrong == "id":
            await self.refused(InvalidArgumentError, create(f"{talk.id}/..", role="user", content="x"), "thread_id")
        elif wrong == "content":
            await self.refused(kind, create(talk.id, role="user", content=""), None if talk.deleted else "content")
        elif wrong == "role":
            options = RequestOptions(extra_body={"role": "boss"})
            await self.refused(kind, create(talk.id, role="user", content="x", options=options))
        else:
            # A body that cannot be read is refused before anybody looks for the thread.
            options = RequestOptions(extra_body={"contents": "x"})
            call = create(talk.id, role="user", content="x", options=options)
            await self.refused(BadRequestError, call, "contents")
        await self._look_at_thread(talk)

    @rule(talk=threads, place=places, metadata=metadatas, delete=st.booleans())
    def change_message(self, talk: Talk, place: int, metadata: dict[str, str], *, delete: bool) -> None:
        self.do(self._change_message(talk, place, metadata, delete=delete))

    async def _change_message(self, talk: Talk, place: int, metadata: dict[str, str], *, delete: bool) -> None:
        messages = self.client.threads.messages
        if talk.deleted or not talk.notes:
            id = talk.notes[0].id if talk.notes else "msg_none"
            await self.refused(NotFoundError, messages.update(id, thread_id=talk.id, metadata=metadata))
            await self.refused(NotFoundError, messages.delete(id, thread_id=talk.id))
            return
        note = talk.notes[place % len(talk.notes)]
        changed = await messages.update(note.id, thread_id=talk.id, metadata=metadata)
        assert changed.metadata == metadata
        assert await messages.retrieve(note.id, thread_id=talk.id) == changed
        if delete:
            assert (await messages.delete(note.id, thread_id=talk.id)).deleted
            talk.notes.remove(note)
            await self.refused(NotFoundError, messages.retrieve(note.id, thread_id=talk.id))
        await self._look_at_thread(talk)

    # Runs begin.

    @rule(
        target=runs,
        talk=threads,
        helper=assistants,
        tool=st.booleans(),
        hold=holds,
        streamed=st.booleans(),
    )
    def start_run(
        self, talk: Talk, helper: Helper, *, tool: bool, hold: Hold, streamed: bool
    ) -> Job | MultipleResults[Job]:
        return self.do(self._start_run(talk, helper, tool=tool, hold=hold, streamed=streamed))

    async def _start_run(
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

    @precondition(lambda self: self.alive < 4)
    @rule(target=runs, helper=assistants, tool=st.booleans(), hold=holds)
    def start_thread_and_run(self, helper: Helper, *, tool: bool, hold: Hold) -> Job | MultipleResults[Job]:
        return self.do(self._start_thread_and_run(helper, tool=tool, hold=hold))

    async def _start_thread_and_run(self, helper: Helper, *, tool: bool, hold: Hold) -> Job | MultipleResults[Job]:
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

    @precondition(lambda self: self.jobs(streaming))
    @rule(place=places)
    def leave_stream(self, place: int) -> None:
        job = self.pick(streaming, place)
        assert job.stream is not None
        self.do(self._leave_stream(job, job.stream))

    async def _leave_stream(self, job: Job, stream: RunStream) -> None:
        job.stream, job.heard = None, []
        await stream.aclose()
        seen["stream left"] += 1
        with pytest.raises(StreamClosedError):
            await anext(stream)
        await self._look_at_run(job)

    # Runs go on.

    @precondition(lambda self: self.jobs(held))
    @rule(place=places)
    def let_go(self, place: int) -> None:
        self.do(self._let_go(self.pick(held, place)))

    async def _let_go(self, job: Job) -> None:
        self.engine.let_go[job.id].set()
        await self._finish_turn(job)
        await self._look_at_run(job)

    @precondition(lambda self: self.jobs(streaming))
    @rule(place=places)
    def let_go_out_of_sight(self, place: int) -> None:
        job = self.pick(streaming, place)
        if not job.talk.deleted:
            self.do(self._change_thread(job.talk, {}, delete=True))
        self.do(self._let_go(job))

    @precondition(lambda self: self.jobs(waiting))
    @rule(place=places, streamed=st.booleans())
    def submit_what_is_waited_for(self, place: int, *, streamed: bool) -> None:
        self.do(self._submit(self.pick(waiting, place), "right", streamed=streamed))

    @precondition(lambda self: self.jobs(waiting))
    @rule(place=places, given=wrong_outputs, streamed=st.booleans())
    def submit_what_is_wrong(self, place: int, given: str, *, streamed: bool) -> None:
        self.do(self._submit(self.pick(waiting, place), given, streamed=streamed))

    @rule(job=runs)
    def go_on_with_what_is_over(self, job: Job) -> None:
        if not job.active:
            self.do(self._submit(job, "right", streamed=False))
            self.do(self._cancel(job))

    async def _submit(self, job: Job, given: str, *, streamed: bool) -> None:
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

    @precondition(lambda self: self.jobs(active))
    @rule(place=places)
    def cancel_what_is_active(self, place: int) -> None:
        self.do(self._cancel(self.pick(active, place)))

    async def _cancel(self, job: Job) -> None:
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

    @rule(job=runs, talk=threads)
    def look_for_run_anywhere(self, job: Job, talk: Talk) -> None:
        if job.talk is not talk:
            runs = self.client.threads.runs
            self.do(self.refused(NotFoundError, runs.retrieve(job.id, thread_id=talk.id)))
            self.do(self.refused(NotFoundError, runs.cancel(job.id, thread_id=talk.id)))
            self.do(self.refused(NotFoundError, runs.steps.list(job.id, thread_id=talk.id)))
        elif not talk.deleted:
            self.do(self._look_at_steps(job))

    async def _look_at_steps(self, job: Job) -> None:
        steps = self.client.threads.runs.steps
        async for step in steps.list(job.id, thread_id=job.talk.id, limit=1):
            assert await steps.retrieve(step.id, thread_id=job.talk.id, run_id=job.id) == step
            await self.refused(NotFoundError, steps.retrieve("step_none", thread_id=job.talk.id, run_id=job.id))

    @precondition(lambda self: self.jobs(held))
    @rule(place=places)
    def wait_in_vain(self, place: int) -> None:
        job = self.pick(held, place)
        call = self.client.threads.runs.poll(job.id, thread_id=job.talk.id, timeout=0.005)
        self.do(self.refused(NotFoundError if job.talk.deleted else APITimeoutError, call))

    # What races: either may win, but the answer must fit what came of it.

    @rule(target=runs, talk=threads, helper=assistants)
    def start_and_cancel_at_once(self, talk: Talk, helper: Helper) -> Job | MultipleResults[Job]:
        if talk.deleted or helper.deleted or talk.active is not None:
            return multiple()
        return self.do(self._start_and_cancel_at_once(talk, helper))

    async def _start_and_cancel_at_once(self, talk: Talk, helper: Helper) -> Job:
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

    @rule(talk=threads, helper=assistants, others=st.integers(1, 4))
    def start_many_at_once(self, talk: Talk, helper: Helper, others: int) -> None:
        if not (talk.deleted or helper.deleted or talk.active):
            self.do(self._start_many_at_once(talk, helper, others))

    async def _start_many_at_once(self, talk: Talk, helper: Helper, others: int) -> None:
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
        await self._cancel(job)

    # Lists.

    @rule(
        talk=threads,
        kind=st.sampled_from(["messages", "messages", "runs", "assistants"]),
        limit=st.sampled_from([1, 2, 3, 100]),
        order=st.sampled_from(["asc", "desc"]),
        cursors=st.sampled_from([(), ("after",), ("before",), ("after", "before")]),
        places=st.tuples(cursor_places, cursor_places),
        wrong=st.one_of(
            st.none(), st.sampled_from([("limit", "0"), ("limit", "101"), ("limit", "x"), ("order", "up")])
        ),
    )
    def list_some(
        self,
        talk: Talk,
        kind: str,
        limit: int,
        order: str,
        cursors: tuple[str, ...],
        places: tuple[Place, Place],
        wrong: tuple[str, str] | None,
    ) -> None:
        ids = {
            "messages": [note.id for note in talk.notes],
            "runs": [job.id for job in talk.jobs],
            "assistants": [helper.id for helper in self.helpers if not helper.deleted],
        }[kind]

        def listing(**query: Any) -> ListCall[Any]:
            query = {"limit": limit, "order": order, **query}
            if kind == "messages":
                return self.client.threads.messages.list(talk.id, **query)
            if kind == "runs":
                return self.client.threads.runs.list(talk.id, **query)
            return self.client.assistants.list(**query)

        if wrong is not None:
            self.do(self.refused(BadRequestError, listing(options=RequestOptions(extra_query=dict([wrong]))), wrong[0]))
            with pytest.raises(InvalidArgumentError):
                _ = listing(limit=0)
            return
        gone = talk.deleted and kind != "assistants"
        query = {name: self._cursor(place, ids) for name, place in zip(cursors, places, strict=False)}
        self.do(self._list(listing, ids, limit, order, query, gone=gone))

    async def _list(
        self,
        listing: Callable[..., ListCall[Any]],
        ids: Sequence[str],
        limit: int,
        order: str,
        query: dict[str, str],
        *,
        gone: bool,
    ) -> None:
        if gone:
            await self.refused(NotFoundError, listing(**query))
            return
        if wrong := [name for name, id in query.items() if id not in ids]:
            await self.refused(BadRequestError, listing(**query), wrong[0])
            return
        expected, more = expected_page(ids, limit, order, query.get("after"), query.get("before"))
        page = await listing(**query)
        assert [item.id for item in page.data] == expected
        assert page.has_more is more
        assert (page.first_id, page.last_id) == ((expected[0], expected[-1]) if expected else (None, None))
        if "before" not in query:
            everything, _ = expected_page(ids, 1000, order, query.get("after"), None)
            assert [item.id async for item in listing(**query)] == everything

    def _cursor(self, place: Place, ids: Sequence[str]) -> str:
        if place == "foreign":
            return self.talks[-1].id
        return ids[place % len(ids)] if isinstance(place, int) and ids else "id_none"


def test_client_and_server_agree_with_the_model() -> None:
    seen.clear()
    run_state_machine_as_test(Conversations, settings=SEARCH)
    # A model that never gets anywhere agrees with everything.
    assert min(seen[name] for name in ("NotFoundError", "BadRequestError", "ThreadBusyError", "outputs submitted")) > 0


def test_every_way_of_a_run_agrees_with_the_model() -> None:
    seen.clear()
    with closing(Conversations()) as beside:
        helper = beside.do(beside._create_assistant())
        held_in: tuple[Hold, ...] = ("first", "second", "never")
        ways = itertools.product((True, False), held_in, (True, False), WAYS)
        for tool, hold, streamed, way in ways:
            beside.do(_go(beside, helper, way, tool=tool, hold=hold, streamed=streamed))
    assert {name for name in SIGHTS if not seen[name]} == set()


async def _go(beside: Conversations, helper: Helper, way: str, *, tool: bool, hold: Hold, streamed: bool) -> None:
    talk = await beside._create_thread(["one"], {})
    job = await beside._start_run(talk, helper, tool=tool, hold=hold, streamed=streamed)
    assert isinstance(job, Job)
    if job.status == "requires_action" and hold == "second":
        for given in ("none", "unknown", "twice", "one missing", "right"):
            await beside._submit(job, given, streamed=streamed)
    await beside._add_message(talk, "user", "a message in between")
    await beside._start_run(talk, helper, tool=tool, hold=hold, streamed=streamed)
    if way == "cancel":
        await beside._cancel(job)
    elif way == "leave" and job.stream is not None:
        await beside._leave_stream(job, job.stream)
    elif way == "delete":
        await beside._change_thread(talk, {}, delete=True)
    if held(job):
        await beside._let_go(job)
    await beside._submit(job, "right", streamed=streamed)
    await beside._cancel(job)


def test_every_page_of_a_short_list_agrees_with_the_model() -> None:
    with closing(Conversations()) as beside:
        beside.do(_ask_for_every_page(beside))


async def _ask_for_every_page(beside: Conversations) -> None:
    talk = await beside._create_thread(["one", "two", "three", "four"], {})
    ids = [note.id for note in talk.notes]
    orders: tuple[Order, Order] = ("asc", "desc")
    messages = beside.client.threads.messages
    for limit, order, after, before in itertools.product(
        range(1, 6), orders, (None, *ids, talk.id), (None, *ids, "msg_none")
    ):
        given = {"after": after, "before": before}
        await beside._list(
            functools.partial(messages.list, talk.id, limit=limit, order=order),
            ids,
            limit,
            order,
            {name: id for name, id in given.items() if id is not None},
            gone=False,
        )
