"""The tests of the helper, the tool loop, the fan-out and more once again, word for word: with a bridge under the client."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import FunctionType, ModuleType

import pytest
import test_assistant_stream
import test_assistant_stream_interrupted
import test_assistant_stream_leaving
import test_assistant_stream_tool_errors
import test_assistant_stream_tools
import test_fanout_runs
import test_if_active
import test_resources
from conftest import LONG
from over_responses import BridgedServer, bridged_client

SUITES: tuple[ModuleType, ...] = (
    test_assistant_stream,
    test_assistant_stream_interrupted,
    test_assistant_stream_leaving,
    test_assistant_stream_tool_errors,
    test_assistant_stream_tools,
    test_fanout_runs,
    test_if_active,
    test_resources,
)
RUNS = {"AssistantsServer", "place"}
"""What a test names that is about runs, and not about what a server has sent."""
BYTES = {"RawServer", "scene"}
"""What a test names that is about the bytes of a server of runs: a server of responses sends others."""
NEITHER = {
    "test_the_servers_clock_says_when_a_run_expires": "is about a header of a server of runs",
    "test_where_the_server_shows_no_clock_ours_counts": "is about the want of that header",
    "test_a_list_names_a_parameter_it_cannot_send": "is refused before any backend is asked",
}

AT_ONCE = "the id of a run is made here, and known before anything is read"
ENDS_WITH_IT = "a generation that is not in the background ends with its connection, and its run with it"
CANNOT_LOOK = "a response whose request was not answered cannot be found: nobody but its answer tells its id"
NEVER_EXPIRES = "runs do not expire: a response has no such end"
NOT_IN_THE_SERVER = "what the server has of a run is looked at, and it knows no runs"
IS_RESUMED = "a stream in the background that breaks off is resumed, so nothing is raised"
IN_THE_CHAIN = "a message that a response has seen cannot be deleted: refused by name"
KEPT_BY_NOBODY = "a response that the server was asked not to keep cannot be asked for again"
CONNECTS_LATER = "the test takes it that there was a request before, and nothing has been sent"
NO_ANSWER_OF_HTTP = "what is kept here is answered without a request, so there are no headers"

IN_ANY_WAY: Mapping[str, str] = {
    "test_the_facts_come_as_they_are_known": AT_ONCE,
    "test_a_run_that_was_found_after_its_answer_was_lost_is_read_as_any_other": CANNOT_LOOK,
    "test_a_run_that_was_found_after_its_answer_was_lost_has_its_tools_called": CANNOT_LOOK,
    "test_outputs_whose_answer_was_lost_are_not_sent_again_and_nothing_is_told_again": CANNOT_LOOK,
    "test_nothing_of_a_round_goes_on_after_the_run_expires": NEVER_EXPIRES,
    "test_a_slow_answer_does_not_move_the_time_at_which_the_run_expires": NEVER_EXPIRES,
    "test_a_client_that_is_closed_while_tools_are_called_cancels_the_run_nobody_will_answer": NOT_IN_THE_SERVER,
    "test_error_raises_at_once_and_names_the_run": NOT_IN_THE_SERVER,
    "test_wait_waits_until_the_other_run_is_over": NOT_IN_THE_SERVER,
    "test_with_response_tells_status_headers_and_request_id": NO_ANSWER_OF_HTTP,
}
IN_THE_FOREGROUND: Mapping[str, str] = {
    "test_leaving_early_closes_the_connection_and_the_text_so_far_stays": ENDS_WITH_IT,
    "test_closing_from_elsewhere_wakes_the_reader_and_is_no_failure": ENDS_WITH_IT,
    "test_a_broken_segment_is_recovered_and_nothing_is_told_twice": ENDS_WITH_IT,
    "test_a_stream_that_was_opened_while_nobody_waited_is_closed_too[leave]": ENDS_WITH_IT,
    "test_each_run_recovers_or_not_as_its_request_says": ENDS_WITH_IT,
}
IN_THE_BACKGROUND: Mapping[str, str] = {
    "test_a_break_is_raised_again_and_again_and_told_once": IS_RESUMED,
    "test_a_broken_segment_is_recovered_and_nothing_is_told_twice": IS_RESUMED,
    "test_each_run_recovers_or_not_as_its_request_says": IS_RESUMED,
}
WITHOUT_CONVERSATIONS: Mapping[str, str] = {
    "test_a_cancel_at_every_point_of_the_calls_and_then_on": CONNECTS_LATER,
}
WITH: Mapping[str, Sequence[Mapping[str, str]]] = {
    "conversation": (IN_ANY_WAY, IN_THE_FOREGROUND),
    "background": (IN_ANY_WAY, IN_THE_BACKGROUND),
    "previous_response_id": (
        IN_ANY_WAY,
        IN_THE_FOREGROUND,
        WITHOUT_CONVERSATIONS,
        {"test_every_plain_method_reaches_its_operation": IN_THE_CHAIN},
    ),
    "replay": (
        IN_ANY_WAY,
        IN_THE_FOREGROUND,
        WITHOUT_CONVERSATIONS,
        {"test_with_recover_the_text_comes_once_and_the_final_objects_are_right": KEPT_BY_NOBODY},
    ),
}
WAYS = tuple(WITH) if LONG else ("conversation",)


def named_in(suite: ModuleType) -> dict[str, FunctionType]:
    """The tests of a file, by name."""
    known = vars(suite).items()
    return {name: test for name, test in known if isinstance(test, FunctionType) and name.startswith("test_")}


def difference(way: str, test: str, parameters: Iterable[str]) -> str | None:
    """Why that test is not to hold there; None if it is."""
    known = {name: why for differences in WITH[way] for name, why in differences.items()}
    return known.get(test) or next((why for one in parameters if (why := known.get(f"{test}[{one}]"))), None)


@pytest.fixture(autouse=True, params=WAYS)
def _over_responses(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    way, test = request.param, request.node
    if (why := difference(way, test.originalname, test.callspec.id.split("-"))) is not None:
        pytest.skip(why)
    for suite in SUITES:
        monkeypatch.setattr(suite, "AsyncClient", partial(bridged_client, way), raising=False)
        monkeypatch.setattr(suite, "AssistantsServer", BridgedServer, raising=False)


for _suite in SUITES:
    for _name, _known in named_in(_suite).items():
        if RUNS & set(_known.__code__.co_names):
            globals()[_name] = _known


def test_every_difference_is_of_a_test_there_is() -> None:
    for name in {name for differences in WITH.values() for known in differences for name in known}:
        assert callable(globals()[name.partition("[")[0]]), name


def test_what_is_left_out_is_about_the_bytes_of_a_server_of_runs() -> None:
    left_out = {
        name
        for suite in SUITES
        for name, test in named_in(suite).items()
        if name not in globals() and not BYTES & set(test.__code__.co_names)
    }
    assert left_out == set(NEITHER)
