"""The exceptions: one tree, as printed at the top of the module; each pickles and copies to itself and shows no payload."""

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from typing import cast

import pytest

from aiorunstream import errors
from aiorunstream.errors import (
    AiorunstreamError,
    APIConnectionError,
    APIError,
    APIStatusError,
    EventTooDeepError,
    EventTooLargeError,
    InvalidArgumentError,
    RunOutcomeUnknownError,
    RunStreamError,
    StreamError,
    StreamInterruptedError,
    StreamTimeoutError,
    StreamTruncatedError,
    ThreadBusyError,
)

CLASSES = [
    kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, BaseException)
]  # fmt: skip

PLANTED = "sk-planted"


def made(kind: type[AiorunstreamError]) -> AiorunstreamError:
    """One of the kind, with everything it can carry."""
    make = cast("Callable[..., AiorunstreamError]", kind)
    if issubclass(kind, APIStatusError):
        error = make("no", status_code=418, code="c", type="t", param="p", body=PLANTED, request_id="req_1",
                     headers={"authorization": PLANTED}, retry_after=1.5, outcome_unknown=True)  # fmt: skip
        if isinstance(error, ThreadBusyError):
            error.run_id = "run_1"
    elif issubclass(kind, RunOutcomeUnknownError):
        error = make(
            "lost", operation="create_run", host="h:1", reason="R", errno=104, clock="first_event", looked=True
        )
    elif issubclass(kind, APIConnectionError):
        error = make("no", host="h:1", reason="R", errno=111)
    elif issubclass(kind, RunStreamError):
        error = make("no", code=5, param="p", type="t")
    elif issubclass(kind, StreamTruncatedError):
        error = make("cut", done_seen=True)
    elif issubclass(kind, StreamInterruptedError):
        error = make("cut", reason="R", errno=104)
    elif issubclass(kind, StreamTimeoutError):
        error = make("slow", clock="idle", seconds=0.5)
    elif issubclass(kind, EventTooLargeError | EventTooDeepError):
        error = make("much", limit=9)
    elif issubclass(kind, InvalidArgumentError):
        error = make("bad", argument="tools[1]")
    else:
        error = make("no")
    if isinstance(error, StreamError):
        error.thread_id, error.run_id, error.run_status = "thread_1", "run_1", "queued"
        error.request_id, error.status_code, error.headers = "req_1", 200, {"x-secret": PLANTED}
        error.last_event, error.events_seen, error.outcome, error.clean_close = "done", 3, "failed", False
    error.add_note("seen in a test")
    return error


def tree() -> dict[str, tuple[str | None, str | None]]:
    """Each class of the docstring with the class it stands under, and the one named in brackets."""
    found: dict[str, tuple[str | None, str | None]] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^((?:│   |    )*)(├── |└── )?([A-Z]\w+Error)(?: \((\w+)\))?( |$)", line)
        if match is None:
            continue
        depth = len(match[1]) // 4 + (1 if match[2] else 0)
        del above[depth:]
        found[match[3]] = (above[-1] if above else None, match[4])
        above.append(match[3])
    return found


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    real: dict[str, tuple[str | None, str | None]] = {}
    for kind in CLASSES:
        bases = [base.__name__ for base in kind.__bases__]
        first = None if kind is AiorunstreamError else bases[0]
        real[kind.__name__] = (first, bases[1] if len(bases) > 1 else None)
    assert tree() == real
    assert list(tree()) == [kind.__name__ for kind in CLASSES]
    assert AiorunstreamError.__bases__ == (Exception,)


def test_the_tree_is_the_one_users_rely_on() -> None:
    assert len(CLASSES) == 31
    assert all(kind.__name__.endswith("Error") and kind.__doc__ for kind in CLASSES)
    assert issubclass(StreamError, APIError)
    assert not issubclass(RunOutcomeUnknownError, APIConnectionError | StreamError)
    assert issubclass(InvalidArgumentError, ValueError)
    assert issubclass(errors.StreamBusyError, RuntimeError)
    assert issubclass(errors.ClientClosedError, RuntimeError)
    assert issubclass(errors.ConfigurationError, ValueError)


def state(error: BaseException) -> object:
    return type(error), error.args, vars(error), str(error), error.__notes__


def through_pickle(version: int) -> Callable[[AiorunstreamError], AiorunstreamError]:
    def twin(error: AiorunstreamError) -> AiorunstreamError:
        found: AiorunstreamError = pickle.loads(pickle.dumps(error, version))
        return found

    return twin


WAYS: dict[str, Callable[[AiorunstreamError], AiorunstreamError]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle-{version}": through_pickle(version) for version in range(6)},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", CLASSES)
def test_an_exception_goes_through_a_copy_as_itself(kind: type[AiorunstreamError], way: str) -> None:
    error = made(kind)
    twin = WAYS[way](error)
    assert twin is not error
    assert state(twin) == state(error)
    for name in dir(kind):
        value = getattr(error, name)
        if not name.startswith("_") and not callable(value):
            assert getattr(twin, name) == value
    assert twin.__traceback__ is None


@pytest.mark.parametrize("kind", CLASSES)
def test_a_twin_that_is_changed_leaves_the_first_alone(kind: type[AiorunstreamError]) -> None:
    error = kind.__new__(kind, "no")
    twin = copy.copy(error)
    twin.add_note("only here")
    twin.__dict__["extra"] = 1
    assert not hasattr(error, "__notes__")
    assert not hasattr(error, "extra")


def test_a_note_on_a_twin_is_not_a_note_on_the_first() -> None:
    error = made(StreamTruncatedError)
    copy.copy(error).add_note("only here")
    assert error.__notes__ == ["seen in a test"]


@pytest.mark.parametrize("kind", CLASSES)
def test_what_an_exception_says_holds_no_header_and_no_body(kind: type[AiorunstreamError]) -> None:
    error = made(kind)
    assert "planted" not in f"{error!s} {error!r} {error.args!r}"


@pytest.mark.parametrize("kind", CLASSES)
def test_a_message_is_what_str_gives(kind: type[AiorunstreamError]) -> None:
    error = made(kind)
    assert str(error) == error.args[0]


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if issubclass(kind, StreamError)])
def test_a_stream_error_has_all_facts_before_anybody_sets_them(kind: type[StreamError]) -> None:
    error = kind.__new__(kind, "no")
    facts = (
        "thread_id",
        "run_id",
        "run_status",
        "request_id",
        "status_code",
        "headers",
        "last_event",
        "outcome",
        "clean_close",
    )
    assert [getattr(error, fact) for fact in facts] == [None] * len(facts)
    assert error.events_seen == 0


def test_a_subclass_of_a_user_pickles_too() -> None:
    twin = pickle.loads(pickle.dumps(OwnError("mine")))
    assert (type(twin), twin.args, twin.extra) == (OwnError, ("mine",), 5)


class OwnError(AiorunstreamError):
    """What a user may hang below ours: its own constructor need not take what `args` holds."""

    def __init__(self, message: str, /, *, extra: int = 5) -> None:
        super().__init__(message)
        self.extra = extra
