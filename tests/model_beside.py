"""The client and the embedded server beside the model: assistants, threads, messages and lists."""

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, Literal, TypeVar

import msgspec
import pytest
from model_reference import Helper, Job, Note, Place, Talk, expected_page, streaming

from aiorunstream import (
    AiorunstreamError,
    APIStatusError,
    AsyncClient,
    BadRequestError,
    InvalidArgumentError,
    NotFoundError,
    RequestOptions,
    RetryPolicy,
    ThreadBusyError,
)
from aiorunstream.resources import ListCall
from aiorunstream.server import AssistantsServer, DefaultEngine, Turn

T = TypeVar("T")
PATIENCE = 10.0
WEATHER: dict[str, Any] = {"type": "function", "function": {"name": "get_weather"}}

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


class Beside:
    """One server and one client on one event loop, which runs while something is done; and the model of what they hold.

    What is done is done to all three, and they must agree afterwards. Here it is done to assistants, threads, messages
    and lists.
    """

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.engine = Holding()
        self.server = AssistantsServer(engine=self.engine)
        self.helpers: list[Helper] = []
        self.talks: list[Talk] = []
        self.unique = itertools.count()
        self.do(self.server.start())
        # Nothing is sent twice: what fails must be seen.
        self.client = AsyncClient(base_url=self.server.base_url, api_key="", retry=RetryPolicy(attempts=1))

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

    async def create_assistant(self) -> Helper:
        made = await self.client.assistants.create(model="parrot", tools=[WEATHER])
        self.helpers.append(helper := Helper(made.id))
        return helper

    # Threads.

    async def create_thread(self, contents: list[str], metadata: dict[str, str]) -> Talk:
        made = await self.client.threads.create(
            messages=[{"role": "user", "content": content} for content in contents], metadata=metadata
        )
        talk = Talk(made.id, [Note("user", content) for content in contents], metadata=metadata)
        self.talks.append(talk)
        await self._look_at_thread(talk)
        return talk

    async def change_thread(self, talk: Talk, metadata: dict[str, str], *, delete: bool) -> None:
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
            if note.id not in talk.note_ids:
                talk.note_ids.append(note.id)
            if note.text is not None:
                assert seen.text == note.text
            else:
                assert bool(seen.text) is (note.status != "in_progress")
        runs = [run async for run in threads.runs.list(talk.id, order="asc", limit=100)]
        assert [(run.id, run.status) for run in runs] == [(job.id, job.status) for job in talk.jobs]

    # Messages.

    async def add_message(self, talk: Talk, role: Literal["user", "assistant"], content: str) -> None:
        call = self.client.threads.messages.create(talk.id, role=role, content=content)
        if talk.deleted:
            await self.refused(NotFoundError, call)
        elif talk.active is not None:
            await self.refused(ThreadBusyError, call)
        else:
            talk.notes.append(Note(role, content, id=(await call).id))
        await self._look_at_thread(talk)

    async def add_bad_message(self, talk: Talk, wrong: str) -> None:
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

    async def change_message(self, talk: Talk, place: int, metadata: dict[str, str], *, delete: bool) -> None:
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

    # Lists.

    async def look_at_list(
        self,
        listing: Callable[..., ListCall[Any]],
        ever: Sequence[str],
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
        if wrong := [name for name, id in query.items() if id not in ever]:
            await self.refused(BadRequestError, listing(**query), wrong[0])
            return
        expected, more = expected_page(ever, ids, limit, order, query.get("after"), query.get("before"))
        page = await listing(**query)
        assert [item.id for item in page.data] == expected
        assert page.has_more is more
        assert (page.first_id, page.last_id) == ((expected[0], expected[-1]) if expected else (None, None))
        if "before" not in query:
            everything, _ = expected_page(ever, ids, 1000, order, query.get("after"), None)
            assert [item.id async for item in listing(**query)] == everything

    def cursor(self, place: Place, ids: Sequence[str]) -> str:
        if place == "foreign":
            return self.talks[-1].id
        return ids[place % len(ids)] if isinstance(place, int) and ids else "id_none"
