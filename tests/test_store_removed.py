"""Lists that go on behind what was removed, so that those who list and remove get to the end."""

import itertools
from collections.abc import Callable

import pytest

from aiorunstream import shelf
from aiorunstream.intake import Paging, StoreError
from aiorunstream.models import Message, Thread
from aiorunstream.params import AssistantCreateParams, MessageCreateParams, RunCreateParams, ThreadCreateParams
from aiorunstream.store import Store


@pytest.fixture
def store() -> Store:
    numbers = itertools.count(1)
    return Store(clock=lambda: 1_700_000_000, new_id=lambda prefix: f"{prefix}_{next(numbers)}")


@pytest.fixture
def thread(store: Store) -> Thread:
    return store.create_thread(ThreadCreateParams())


def put(store: Store, thread: Thread, id: str) -> Message:
    return store.create_message(thread.id, MessageCreateParams(role="user", content="hi"), id=id)


def ids(store: Store, thread: Thread, **paging: object) -> str:
    page = store.list_messages(thread.id, Paging(**paging))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return "".join(message.id for message in page.data)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_whoever_lists_a_page_and_removes_it_gets_to_the_end(store: Store, thread: Thread, order: str) -> None:
    made = [put(store, thread, id).id for id in "abcdefg"]
    seen: list[str] = []
    after, more = None, True
    while more:
        page = store.list_messages(thread.id, Paging(limit=3, order=order, after=after))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        for message in page.data:
            store.delete_message(thread.id, message.id)
            seen.append(message.id)
        after, more = page.last_id, page.has_more
    assert sorted(seen) == made
    assert ids(store, thread) == ""


def test_a_cursor_stands_where_the_removed_one_stood(store: Store, thread: Thread) -> None:
    for id in "abcde":
        put(store, thread, id)
    for id in "bd":
        store.delete_message(thread.id, id)
    put(store, thread, "f")
    assert [ids(store, thread, order="asc", after=id) for id in "abd"] == ["cef", "cef", "ef"]
    assert [ids(store, thread, order="asc", before=id) for id in "bcd"] == ["a", "a", "ac"]
    assert [ids(store, thread, order="desc", after=id) for id in "db"] == ["ca", "a"]
    assert [ids(store, thread, order="desc", before=id) for id in "db"] == ["fe", "fec"]
    assert ids(store, thread, order="asc", after="b", before="d") == "c"


def test_what_comes_back_stands_at_the_end(store: Store, thread: Thread) -> None:
    for id in "abc":
        put(store, thread, id)
    store.delete_message(thread.id, "a")
    put(store, thread, "a")
    assert ids(store, thread, order="asc") == "bca"
    assert ids(store, thread, order="asc", after="a") == ""
    assert ids(store, thread, order="asc", after="c") == "a"


def test_a_cursor_of_another_run_has_its_place_in_a_runs_list(store: Store, thread: Thread) -> None:
    store.create_assistant(AssistantCreateParams(model="m"), id="asst_1")
    message = put(store, thread, "a")
    run = store.create_run(thread.id, RunCreateParams(assistant_id="asst_1"))
    assert store.list_messages(thread.id, Paging(after=message.id), run.id).data == ()


def refused(do: Callable[[], object]) -> str | None:
    with pytest.raises(StoreError, match="is in this list") as caught:
        do()
    return caught.value.param


def test_a_shelf_knows_the_place_of_the_last_removed_only(
    store: Store, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "MOST_REMOVED", 2)
    for id in "abcde":
        put(store, thread, id)
    for id in "cab":
        store.delete_message(thread.id, id)
    assert [ids(store, thread, order="asc", after=id) for id in "ab"] == ["de", "de"]
    assert refused(lambda: ids(store, thread, after="c")) == "after"
    assert refused(lambda: ids(store, thread, before="c")) == "before"
