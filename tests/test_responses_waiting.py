"""Which calls of a response wait for the caller: those that no item answers yet, and that were called to the end."""

from bridged import JSON
from response_events import called

from aiorunstream.backends.responses._input import unanswered

WAITS = {"call_1": "function_call"}
OUTPUT: JSON = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}


def test_a_call_waits_until_its_output_is_there() -> None:
    assert unanswered([called()]) == WAITS
    assert unanswered([called(), OUTPUT]) == {}


def test_a_call_that_broke_off_waits_for_nothing() -> None:
    """Its arguments are cut, and servers take no output for it."""
    broken: JSON = {**called("call_2", '{"city": "Ky'), "status": "incomplete"}
    assert unanswered([broken]) == {}
    assert unanswered([called(), broken]) == WAITS
    unsaid: JSON = {**called(), "status": None}
    assert unanswered([unsaid]) == WAITS
