"""The numbers of a response's events: they say what was told already, but only once a stream was opened again."""

from bridged import Bridge, names, text_of
from response_events import CREATED, added, done, ended, message, said

WHOLE = message("Hi there")
TOLD = [
    CREATED,
    added(0, type="message", id="msg_1", content=[]),
    said(0, "Hi "),
    said(0, "there"),
    done(0, **WHOLE),
    ended("completed", WHOLE),
]


def test_a_server_that_gives_all_events_one_number_is_heard_out() -> None:
    bridge = Bridge()
    events = bridge.hear(*({**one, "sequence_number": 0} for one in TOLD))
    assert (text_of(events), names(events)[-1]) == ("Hi there", "thread.run.completed")


def test_what_was_told_before_a_stream_was_opened_again_is_not_told_twice() -> None:
    bridge = Bridge()
    numbered = [{**one, "sequence_number": place} for place, one in enumerate(TOLD)]
    events = bridge.hear(*numbered[:3])
    bridge.protocol.restart()
    events += bridge.hear(*numbered[1:])
    assert (text_of(events), names(events)[-1]) == ("Hi there", "thread.run.completed")
    assert names(events).count("thread.message.created") == 1
