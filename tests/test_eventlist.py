"""`EventList`: events that are there already, read with the facts of a stream."""

from raw_server import run_json

from aiorunstream import Frame, Run, ThreadCreated, ThreadRunCompleted, ThreadRunCreated, ThreadRunRequiresAction
from aiorunstream.eventlist import EventList
from aiorunstream.models import Thread


def run(status: str) -> Run:
    return Run("run_1", thread_id="thread_1", status=status)


def test_facts_go_on_from_what_was_known_and_follow_each_event() -> None:
    created, completed = ThreadRunCreated(run("queued")), ThreadRunCompleted(run("completed"))
    events = EventList([ThreadCreated(Thread("thread_2")), created, completed], last_event="x", events_seen=3)
    assert (events.run, events.run_id, events.thread_id, events.outcome) == (None, None, None, None)
    assert isinstance(events.next_event(), ThreadCreated)
    assert (events.thread_id, events.last_event, events.events_seen) == ("thread_2", "thread.created", 4)
    assert events.next_event() is created
    assert (events.run, events.run_id, events.thread_id, events.outcome) == (created.data, "run_1", "thread_1", None)
    assert events.next_event() is completed
    assert (events.outcome, events.events_seen, events.last_event) == ("completed", 6, "thread.run.completed")
    assert events.next_event() is None


def test_nothing_comes_after_a_stop_and_bytes_change_nothing() -> None:
    events = EventList([ThreadRunRequiresAction(run("requires_action")), ThreadRunCompleted(run("completed"))])
    events.receive_data(b"event: thread.run.failed\n")
    assert isinstance(events.next_event(), ThreadRunRequiresAction)
    events.receive_data(b"")
    assert events.next_event() is None
    assert events.outcome == "requires_action"


def test_the_event_decides_where_the_status_of_its_run_is_none_that_stops() -> None:
    events = EventList([ThreadRunCompleted(run("unheard_of"))])
    events.next_event()
    assert events.outcome == "completed"


def test_a_run_without_a_thread_leaves_the_thread_that_was_known() -> None:
    events = EventList([ThreadRunCreated(Run("run_1"))], thread_id="thread_9")
    events.next_event()
    assert events.thread_id == "thread_9"


def test_a_frame_is_the_name_and_the_payload() -> None:
    event = ThreadRunCreated(Run(str(run_json()["id"]), thread_id="thread_1"))
    frame = EventList([]).frame_of(event)
    assert frame.event == "thread.run.created"
    assert b'"id":"run_raw"' in frame.data
    assert isinstance(frame, Frame)
