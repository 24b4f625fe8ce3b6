"""Random sequences of legal and illegal operations, sent by this package's client to the embedded server, beside a model.

The model is what the protocol promises, told in dicts and lists. Runs are held in the middle of an answer until the
model lets them go on, so that every operation meets a state that is known. Wherever client, server and model part, or
anything comes back but this package's own errors, the sequence is the finding; Hypothesis shortens it.
"""

from collections.abc import Awaitable, Coroutine
from typing import Any, Literal

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
from model_beside import T, seen
from model_reference import Helper, Hold, Job, Place, Talk, active, held, streaming, waiting
from model_runs import BesideRuns

from aiorunstream import (
    AiorunstreamError,
    APITimeoutError,
    BadRequestError,
    InvalidArgumentError,
    NotFoundError,
    RequestOptions,
)
from aiorunstream.resources import ListCall

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
    """What may be done next, and to what. The event loop runs while a rule does."""

    assistants = Bundle("assistants")
    threads = Bundle("threads")
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.beside = BesideRuns()

    def teardown(self) -> None:
        self.beside.close()

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        return self.beside.do(call)

    def refused(self, kind: type[AiorunstreamError], call: Awaitable[object], param: str | None = None) -> None:
        self.do(self.beside.refused(kind, call, param))

    # Assistants.

    @initialize(target=assistants)
    def first_assistant(self) -> Helper:
        return self.do(self.beside.create_assistant())

    @precondition(lambda self: len(self.beside.helpers) < 3)
    @rule(target=assistants)
    def create_assistant(self) -> Helper:
        return self.do(self.beside.create_assistant())

    @precondition(lambda self: len(self.beside.helpers) > 2)
    @rule(helper=assistants, delete=st.booleans())
    def look_at_assistant(self, helper: Helper, *, delete: bool) -> None:
        assistants = self.beside.client.assistants
        if helper.deleted:
            self.refused(NotFoundError, assistants.retrieve(helper.id))
            self.refused(NotFoundError, assistants.delete(helper.id))
            return
        assert self.do(assistants.retrieve(helper.id)).id == helper.id
        if delete and sum(not helper.deleted for helper in self.beside.helpers) > 1:
            assert self.do(assistants.delete(helper.id)).deleted
            helper.deleted = True

    # Threads.

    @initialize(target=threads, contents=st.lists(texts, min_size=2, max_size=8), metadata=metadatas)
    def first_thread(self, contents: list[str], metadata: dict[str, str]) -> Talk:
        return self.do(self.beside.create_thread(contents, metadata))

    @precondition(lambda self: self.beside.alive < 4)
    @rule(target=threads, contents=st.lists(texts, max_size=8), metadata=metadatas)
    def create_thread(self, contents: list[str], metadata: dict[str, str]) -> Talk:
        return self.do(self.beside.create_thread(contents, metadata))

    @rule(talk=threads, metadata=metadatas, delete=st.sampled_from([False, False, True]))
    def change_thread(self, talk: Talk, metadata: dict[str, str], *, delete: bool) -> None:
        self.do(
            self.beside.change_thread(talk, metadata, delete=delete and len(self.beside.talks) - self.beside.alive < 2)
        )

    # Messages.

    @rule(talk=threads, content=texts, role=st.sampled_from(["user", "assistant"]), wrong=wrong_messages)
    def add_message(self, talk: Talk, content: str, role: Literal["user", "assistant"], wrong: str) -> None:
        self.do(self.beside.add_bad_message(talk, wrong) if wrong else self.beside.add_message(talk, role, content))

    @rule(talk=threads, place=places, metadata=metadatas, delete=st.booleans())
    def change_message(self, talk: Talk, place: int, metadata: dict[str, str], *, delete: bool) -> None:
        self.do(self.beside.change_message(talk, place, metadata, delete=delete))

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
        return self.do(self.beside.start_run(talk, helper, tool=tool, hold=hold, streamed=streamed))

    @precondition(lambda self: self.beside.alive < 4)
    @rule(target=runs, helper=assistants, tool=st.booleans(), hold=holds)
    def start_thread_and_run(self, helper: Helper, *, tool: bool, hold: Hold) -> Job | MultipleResults[Job]:
        return self.do(self.beside.start_thread_and_run(helper, tool=tool, hold=hold))

    # Streams.

    @precondition(lambda self: self.beside.jobs(streaming))
    @rule(place=places)
    def leave_stream(self, place: int) -> None:
        job = self.beside.pick(streaming, place)
        assert job.stream is not None
        self.do(self.beside.leave_stream(job, job.stream))

    # Runs go on.

    @precondition(lambda self: self.beside.jobs(held))
    @rule(place=places)
    def let_go(self, place: int) -> None:
        self.do(self.beside.let_go(self.beside.pick(held, place)))

    @precondition(lambda self: self.beside.jobs(streaming))
    @rule(place=places)
    def let_go_out_of_sight(self, place: int) -> None:
        job = self.beside.pick(streaming, place)
        if not job.talk.deleted:
            self.do(self.beside.change_thread(job.talk, {}, delete=True))
        self.do(self.beside.let_go(job))

    @precondition(lambda self: self.beside.jobs(waiting))
    @rule(place=places, streamed=st.booleans())
    def submit_what_is_waited_for(self, place: int, *, streamed: bool) -> None:
        self.do(self.beside.submit(self.beside.pick(waiting, place), "right", streamed=streamed))

    @precondition(lambda self: self.beside.jobs(waiting))
    @rule(place=places, given=wrong_outputs, streamed=st.booleans())
    def submit_what_is_wrong(self, place: int, given: str, *, streamed: bool) -> None:
        self.do(self.beside.submit(self.beside.pick(waiting, place), given, streamed=streamed))

    @rule(job=runs)
    def go_on_with_what_is_over(self, job: Job) -> None:
        if not job.active:
            self.do(self.beside.submit(job, "right", streamed=False))
            self.do(self.beside.cancel(job))

    @precondition(lambda self: self.beside.jobs(active))
    @rule(place=places)
    def cancel_what_is_active(self, place: int) -> None:
        self.do(self.beside.cancel(self.beside.pick(active, place)))

    @rule(job=runs, talk=threads)
    def look_for_run_anywhere(self, job: Job, talk: Talk) -> None:
        if job.talk is not talk:
            runs = self.beside.client.threads.runs
            self.refused(NotFoundError, runs.retrieve(job.id, thread_id=talk.id))
            self.refused(NotFoundError, runs.cancel(job.id, thread_id=talk.id))
            self.refused(NotFoundError, runs.steps.list(job.id, thread_id=talk.id))
        elif not talk.deleted:
            self.do(self.beside.look_at_steps(job))

    @precondition(lambda self: self.beside.jobs(held))
    @rule(place=places)
    def wait_in_vain(self, place: int) -> None:
        job = self.beside.pick(held, place)
        patience = 5.0 if job.talk.deleted else 0.005
        call = self.beside.client.threads.runs.poll(job.id, thread_id=job.talk.id, timeout=patience)
        self.refused(NotFoundError if job.talk.deleted else APITimeoutError, call)

    # What races: either may win, but the answer must fit what came of it.

    @rule(target=runs, talk=threads, helper=assistants)
    def start_and_cancel_at_once(self, talk: Talk, helper: Helper) -> Job | MultipleResults[Job]:
        if talk.deleted or helper.deleted or talk.active is not None:
            return multiple()
        return self.do(self.beside.start_and_cancel_at_once(talk, helper))

    @rule(talk=threads, helper=assistants, others=st.integers(1, 4))
    def start_many_at_once(self, talk: Talk, helper: Helper, others: int) -> None:
        if not (talk.deleted or helper.deleted or talk.active):
            self.do(self.beside.start_many_at_once(talk, helper, others))

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
        jobs = [job.id for job in talk.jobs]
        helpers = self.beside.helpers
        ever, ids = {
            "messages": (talk.note_ids, [note.id for note in talk.notes]),
            "runs": (jobs, jobs),
            "assistants": (
                [helper.id for helper in helpers],
                [helper.id for helper in helpers if not helper.deleted],
            ),
        }[kind]

        def listing(**query: Any) -> ListCall[Any]:
            query = {"limit": limit, "order": order, **query}
            if kind == "messages":
                return self.beside.client.threads.messages.list(talk.id, **query)
            if kind == "runs":
                return self.beside.client.threads.runs.list(talk.id, **query)
            return self.beside.client.assistants.list(**query)

        if wrong is not None:
            self.refused(BadRequestError, listing(options=RequestOptions(extra_query=dict([wrong]))), wrong[0])
            with pytest.raises(InvalidArgumentError):
                _ = listing(limit=0)
            return
        gone = talk.deleted and kind != "assistants"
        query = {name: self.beside.cursor(place, ever) for name, place in zip(cursors, places, strict=False)}
        self.do(self.beside.look_at_list(listing, ever, ids, limit, order, query, gone=gone))


def test_client_and_server_agree_with_the_model() -> None:
    seen.clear()
    run_state_machine_as_test(Conversations, settings=SEARCH)
    # A model that never gets anywhere agrees with everything. What is seldom met is met in test_model_ways.
    assert min(seen[name] for name in ("NotFoundError", "BadRequestError")) > 0
