"""The lines of a batch: which key each has, which request it is, and what is said of one that cannot be meant."""

import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiorunstream.cli._batch_requests import MARKER, Line, Requests, key_of


def lines_of(path: Path, lines: Iterable[bytes | dict[str, object]], skip: Iterable[str] = ()) -> list[Line]:
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    return read(path, skip)


def read(path: Path, skip: Iterable[str] = (), *, assistant_id: str | None = "asst_1") -> list[Line]:
    with path.open("rb") as file:
        requests = Requests(file, name=path.name, batch="b1", assistant_id=assistant_id)
        return list(requests.lines(skip=frozenset(skip)))


def problem_of(path: Path, line: bytes | dict[str, object]) -> str:
    (found,) = lines_of(path, [line])
    assert found.request is None
    assert found.problem is not None
    return found.problem


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "requests.jsonl"


def test_a_line_is_a_run_on_a_new_thread_or_on_one_that_is_there(path: Path) -> None:
    new, there, made = lines_of(path, [
        {"key": "a", "content": "Hello", "temperature": 0.5},
        {"key": "b", "thread_id": "thread_1", "messages": [{"role": "user", "content": "Hi"}], "assistant_id": "asst_2"},
        {"key": "c", "thread": {"messages": [{"role": "user", "content": "Hey"}], "metadata": {"a": "b"}}},
    ])  # fmt: skip
    assert new.request is not None
    assert there.request is not None
    assert made.request is not None
    assert new.request.thread == {"messages": [{"role": "user", "content": "Hello"}]}
    assert (new.request.assistant_id, new.request.temperature) == ("asst_1", 0.5)
    assert (there.request.thread_id, there.request.assistant_id) == ("thread_1", "asst_2")
    assert there.request.additional_messages == [{"role": "user", "content": "Hi"}]
    assert there.request.if_active == "wait"  # two lines may have one thread
    assert made.request.thread == {"messages": [{"role": "user", "content": "Hey"}], "metadata": {"a": "b"}}


def test_a_run_says_in_its_metadata_which_line_it_is_for(path: Path) -> None:
    (line,) = lines_of(path, [{"key": "ticket 1", "content": "x", "metadata": {"mine": "too"}}])
    assert line.request is not None
    assert line.request.metadata == {"mine": "too", MARKER: "b1 ticket 1"}
    assert key_of(f"b1 {'ticket 1'}") == "ticket 1"


def test_a_line_without_a_key_has_its_number_and_a_number_is_a_key(path: Path) -> None:
    lines = lines_of(path, [{"content": "x"}, b"", {"key": 17, "content": "x"}, {"content": "x"}])
    assert [line.key for line in lines] == ["1", "17", "4"]


def test_lines_whose_key_is_done_are_not_looked_into(path: Path) -> None:
    done, left = lines_of(path, [{"key": "a", "no such field": 1}, {"key": "b", "content": "x"}], skip=["a"])
    assert (done.key, done.request, done.problem) == ("a", None, None)
    assert left.request is not None


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_a_line(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf{"key": "a", "content": "x"}\r\n\r\n{"key": "b", "content": "y"}\r\n')
    lines = read(path)
    assert [(line.key, line.problem) for line in lines] == [("a", None), ("b", None)]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{", "line 1: this is no JSON"),
        (b"\xff", "line 1: this is no JSON"),
        (b"[1]", "line 1: this is no JSON object"),
        (b"[" * 100_000, "line 1: this is no JSON"),
        ({"key": "", "content": "x"}, "key: must be non-empty text"),
        ({"key": True, "content": "x"}, "key: must be non-empty text"),
        ({"key": "x" * 401, "content": "x"}, "key: must be at most 400 characters long, not 401"),
        ({"key": "a"}, "content: the line needs it, or messages, thread or thread_id"),
        ({"key": "a", "content": "x", "messages": []}, "content: must be left out with messages"),
        ({"key": "a", "content": 7}, "content"),
        ({"key": "a", "messages": "x"}, "messages: must be a list of messages"),
        ({"key": "a", "messages": [{"role": "user"}]}, "messages[0]: needs content"),
        ({"key": "a", "messages": [{"role": "user", "content": "x", "colour": 1}]}, "messages[0].colour: there is no such"),
        ({"key": "a", "content": "x", "temprature": 1}, "temprature: there is no such field"),
        ({"key": "a", "content": "x", "temperature": 3}, "temperature must be a number from 0 to 2, not 3"),
        ({"key": "a", "content": "x", "thread": {}}, "thread: must be left out with messages or content"),
        ({"key": "a", "thread": {"colour": 1}}, "thread.colour: there is no such field"),
        ({"key": "a", "thread": {}, "thread_id": "thread_1"}, "thread: must be left out with thread_id"),
        ({"key": "a", "thread_id": "a/b"}, "thread_id"),
        ({"key": "a", "content": "x", "metadata": {str(number): "x" for number in range(15)}}, "must have 14 pairs at most"),
        ({"key": "a", "content": "x", "metadata": {MARKER: "x"}}, f"{MARKER} is added by the batch itself"),
        ({"key": "a", "content": "x", "metadata": 7}, "metadata"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_meant_is_named_with_its_field(
    path: Path, line: bytes | dict[str, object], told: str
) -> None:
    problem = problem_of(path, line)
    assert problem.startswith("requests.jsonl, line 1: ")
    assert told in problem


def test_a_line_that_needs_an_assistant_says_so(path: Path) -> None:
    path.write_text('{"key": "a", "content": "x"}')
    (line,) = read(path, assistant_id=None)
    assert line.problem == "requests.jsonl, line 1: assistant_id: the line needs one, or the command --assistant"


def test_two_lines_with_one_key_are_named_and_the_first_keeps_it(path: Path) -> None:
    first, second = lines_of(path, [{"key": "a", "content": "x"}, {"key": "a", "content": "y"}])
    assert first.request is not None
    assert second.request is None
    assert second.problem == "requests.jsonl, line 2: key: line 1 has 'a' too"
    assert second.key != "a"  # so that the failure of the one is not the result of the other


def test_a_broken_line_does_not_take_the_key_of_a_sound_one_after_it(path: Path) -> None:
    lines = lines_of(path, [{"key": 0, "content": "x"}, b"{", {"key": 2, "content": "x"}, {"key": 3, "content": "x"}])
    assert [line.key for line in lines] == ["0", "line 2", "2", "3"]
    assert [line.problem is None for line in lines] == [True, False, True, True]


def test_a_file_of_any_length_is_read_line_by_line(path: Path) -> None:
    with path.open("wb") as file:
        for number in range(400):
            file.write(json.dumps({"key": str(number), "content": "x" * 100_000}).encode() + b"\n")
    with path.open("rb") as file:
        requests = Requests(file, name=path.name, batch="b1", assistant_id="asst_1")
        tracemalloc.start()
        try:
            assert sum(line.request is not None for line in requests.lines()) == 400
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 4_000_000 < path.stat().st_size // 9


LINES = st.lists(
    st.one_of(
        st.just(b"{"), st.just(b""), st.just(b'{"content": "x"}'),
        st.sampled_from(["1", "2", "line 2", "a"]).map(lambda key: json.dumps({"key": key, "content": "x"}).encode()),
    ),
    max_size=8,
)  # fmt: skip


@given(lines=LINES)
def test_each_line_has_a_key_of_its_own_that_lines_after_it_do_not_change(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("lines") / "requests.jsonl"
    keys = [line.key for line in lines_of(path, lines)]
    assert len(keys) == len(set(keys)) == len([line for line in lines if line])
    assert [line.key for line in lines_of(path, lines[:4])] == keys[: len([line for line in lines[:4] if line])]
