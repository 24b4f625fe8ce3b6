"""The store without a server: what is kept, listed, changed and refused."""

import itertools
from collections.abc import Callable, Mapping

import pytest

from aiorunstream.intake import Paging, StoreError, read_params
from aiorunstream.models import (
    Assistant,
    FunctionTool,
    ImageURLContentBlock,
    Message,
    ResponseFormatJSONSchema,
    Run,
    Text,
    TextContentBlock,
    Thread,
)
from aiorunstream.params import (
    AssistantCreateParams,
    AssistantUpdateParams,
    MessageCreateParams,
    MessageUpdateParams,
    RunCreateParams,
    RunUpdateParams,
    ThreadCreateAndRunParams,
    ThreadCreateParams,
    ThreadUpdateParams,
)
from aiorunstream.store import Store

WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}


@pytest.fixture
def store() -> Store:
    numbers = itertools.count(1)
    return Store(clock=lambda: 1_700_000_000.9, new_id=lambda prefix: f"{prefix}_{next(numbers)}", expires_after=600)


@pytest.fixture
def assistant(store: Store) -> Assistant:
    return store.create_assistant(AssistantCreateParams(model="parrot", instructions="Be kind.", tools=[WEATHER]))


@pytest.fixture
def thread(store: Store) -> Thread:
    return store.create_thread(ThreadCreateParams())


def ids(store: Store, thread: Thread, **paging: object) -> list[str]:
    page = store.list_messages(thread.id, Paging(**paging))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return [message.id for message in page.data]


def put(store: Store, thread: Thread, text: str = "hi") -> Message:
    return store.create_message(thread.id, MessageCreateParams(role="user", content=text))


def refused(do: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        do()
    return caught.value


# -- assistants and threads ------------------------------------------------------------------------------------------


def test_an_assistant_gets_the_defaults_of_what_was_left_out(store: Store) -> None:
    made = store.create_assistant(AssistantCreateParams(model="parrot"))
    assert made == Assistant(
        "asst_1", created_at=1_700_000_000, model="parrot", metadata={}, temperature=1, top_p=1, response_format="auto"
    )
    assert store.retrieve_assistant("asst_1") == made


def test_an_update_changes_what_was_given_and_null_empties_it(store: Store, assistant: Assistant) -> None:
    changed = store.update_assistant(assistant.id, AssistantUpdateParams(name="Polly", instructions=None))
    assert (changed.name, changed.instructions, changed.model) == ("Polly", None, "parrot")
    assert changed.tools == assistant.tools
    assert store.retrieve_assistant(assistant.id) == changed


def test_tools_given_as_dicts_are_kept_as_typed_objects(assistant: Assistant) -> None:
    (tool,) = assistant.tools
    assert isinstance(tool, FunctionTool)
    assert tool.function.name == "get_weather"


def test_an_assistant_may_be_kept_under_a_given_id(store: Store) -> None:
    params = AssistantCreateParams(model="parrot")
    made = store.create_assistant(params, id="asst_mine")
    assert store.retrieve_assistant("asst_mine") == made
    assert store.list_assistants(Paging()).data == (made,)
    for bad in ("asst_mine", "", "a/b", "..", "two words"):
        with pytest.raises(StoreError) as caught:
            store.create_assistant(params, id=bad)
        assert (caught.value.kind, caught.value.param) == ("invalid", "id")
    assert len(store.list_assistants(Paging()).data) == 1


@pytest.mark.parametrize(
    ("resources", "place"),
    [
        ({"file_search": {"vector_stores": []}}, "file_search.vector_stores"),
        ({"file_search": {"vector_store_ids": ["a", "b"]}}, "file_search.vector_store_ids"),
        ({"code_interpreter": {"file_ids": ["a"] * 21}}, "code_interpreter.file_ids"),
        ({"code_interpreter": {"file_ids": "a"}}, "code_interpreter.file_ids"),
        ({"file_search": 3}, "file_search"),
    ],
)
def test_tool_resources_that_are_not_to_be_had_are_refused_by_name(
    store: Store, assistant: Assistant, resources: dict[str, object], place: str
) -> None:
    def on_a_thread() -> object:
        return store.create_thread(ThreadCreateParams(tool_resources=resources))

    def with_a_run() -> object:
        thread = {"tool_resources": resources}
        return store.create_thread_and_run(ThreadCreateAndRunParams(assistant_id=assistant.id, thread=thread))

    assert refused(on_a_thread).param == f"tool_resources.{place}"
    assert refused(with_a_run).param == f"thread.tool_resources.{place}"


def test_tool_resources_may_be_empty(store: Store) -> None:
    resources = {"file_search": {"vector_stores": None, "vector_store_ids": ["vs_1"]}, "code_interpreter": None}
    thread = store.create_thread(ThreadCreateParams(tool_resources=resources))
    assert thread.tool_resources is not None
    assert thread.tool_resources.file_search is not None
    assert thread.tool_resources.file_search.vector_store_ids == ("vs_1",)


def test_a_response_format_is_read(store: Store) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "answer"}}
    made = store.create_assistant(AssistantCreateParams(model="m", response_format=schema))
    assert isinstance(made.response_format, ResponseFormatJSONSchema)


def test_what_was_deleted_is_not_found(store: Store, assistant: Assistant, thread: Thread) -> None:
    assert store.delete_assistant(assistant.id).deleted
    assert store.delete_thread(thread.id).id == thread.id
    for gone in (
        lambda: store.retrieve_assistant(assistant.id),
        lambda: store.delete_assistant(assistant.id),
        lambda: store.retrieve_thread(thread.id),
        lambda: store.list_messages(thread.id, Paging()),
    ):
        assert refused(gone).kind == "not_found"


def test_a_thread_begins_with_its_messages_in_order(store: Store) -> None:
    messages: list[MessageCreateParams | Mapping[str, object]] = [
        {"role": "user", "content": "one"},
        MessageCreateParams(role="assistant", content="two"),
    ]
    thread = store.create_thread(ThreadCreateParams(messages=messages, metadata={"a": "b"}))
    page = store.list_messages(thread.id, Paging(order="asc"))
    assert [(message.role, message.text, message.status) for message in page.data] == [
        ("user", "one", "completed"),
        ("assistant", "two", "completed"),
    ]
    assert thread.metadata == {"a": "b"}


def test_a_thread_with_one_bad_message_is_not_kept_at_all(store: Store) -> None:
    messages = [{"role": "user", "content": "one"}, {"role": "system", "content": "two"}]
    error = refused(lambda: store.create_thread(ThreadCreateParams(messages=messages)))
    assert (error.kind, error.param) == ("invalid", "messages[1].role")
    assert refused(lambda: store.retrieve_thread("thread_1")).kind == "not_found"


def test_metadata_is_replaced_as_a_whole_and_otherwise_left_alone(store: Store) -> None:
    thread = store.create_thread(ThreadCreateParams(metadata={"a": "1", "b": "2"}))
    assert store.update_thread(thread.id, ThreadUpdateParams()).metadata == {"a": "1", "b": "2"}
    assert store.update_thread(thread.id, ThreadUpdateParams(metadata={"c": "3"})).metadata == {"c": "3"}
    assert store.update_thread(thread.id, ThreadUpdateParams(metadata=None)).metadata == {}


# -- messages --------------------------------------------------------------------------------------------------------


def test_content_is_text_or_parts(store: Store, thread: Thread) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    message = store.create_message(
        thread.id, MessageCreateParams(role="user", content=[{"type": "text", "text": "look"}, picture])
    )
    assert message.content[0] == TextContentBlock(Text("look"))
    assert isinstance(message.content[1], ImageURLContentBlock)


@pytest.mark.parametrize(
    ("content", "param"),
    [
        ("", "content"),
        ([{"type": "text"}], "content[0]"),
        ([{"type": "smell"}], "content[0].type"),
        ([{"type": "image_url", "image_url": {"url": 3}}], "content[0].image_url.url"),
        ([{"type": "image_url", "image_url": {"url": "a", "detail": "vast"}}], "content[0].image_url.detail"),
        ([{"type": "image_file", "image_file": {"file_id": "a", "detail": "vast"}}], "content[0].image_file.detail"),
    ],
)
def test_content_that_is_none_is_refused_by_place(store: Store, thread: Thread, content: object, param: str) -> None:
    params = read_params(MessageCreateParams, {"role": "user", "content": content})
    error = refused(lambda: store.create_message(thread.id, params))
    assert (error.kind, error.param) == ("invalid", param)
    assert ids(store, thread) == []


def test_a_message_changes_only_its_metadata(store: Store, thread: Thread) -> None:
    message = put(store, thread)
    changed = store.update_message(thread.id, message.id, MessageUpdateParams(metadata={"k": "v"}))
    assert changed.metadata == {"k": "v"}
    assert changed.text == "hi"
    assert store.delete_message(thread.id, message.id).id == message.id
    assert refused(lambda: store.retrieve_message(thread.id, message.id)).kind == "not_found"


def test_an_object_of_another_thread_is_not_found(store: Store, thread: Thread, assistant: Assistant) -> None:
    other = store.create_thread(ThreadCreateParams())
    message = put(store, other)
    run = store.create_run(other.id, RunCreateParams(assistant_id=assistant.id))
    assert refused(lambda: store.retrieve_message(thread.id, message.id)).kind == "not_found"
    assert refused(lambda: store.retrieve_run(thread.id, run.id)).kind == "not_found"
    assert refused(lambda: store.list_run_steps(thread.id, run.id, Paging())).kind == "not_found"


# -- lists -----------------------------------------------------------------------------------------------------------


def test_a_list_is_newest_first_unless_asked_otherwise(store: Store, thread: Thread) -> None:
    made = [put(store, thread).id for _ in range(3)]
    assert ids(store, thread) == made[::-1]
    assert ids(store, thread, order="asc") == made


def test_pages_follow_each_other_without_gap_or_repeat(store: Store, thread: Thread) -> None:
    made = [put(store, thread).id for _ in range(7)]
    seen: list[str] = []
    after = None
    while True:
        page = store.list_messages(thread.id, Paging(limit=3, order="asc", after=after))
        assert (page.first_id, page.last_id) == (page.data[0].id, page.data[-1].id)
        seen += [message.id for message in page.data]
        if not page.has_more:
            break
        after = page.last_id
    assert seen == made


def test_before_gives_the_page_that_ends_just_before(store: Store, thread: Thread) -> None:
    made = [put(store, thread).id for _ in range(7)]
    page = store.list_messages(thread.id, Paging(limit=2, order="asc", before=made[4]))
    assert [message.id for message in page.data] == made[2:4]
    assert page.has_more
    page = store.list_messages(thread.id, Paging(limit=4, order="asc", before=made[4]))
    assert [message.id for message in page.data] == made[:4]
    assert not page.has_more
    assert ids(store, thread, order="asc", after=made[0], before=made[3]) == made[1:3]


def test_a_cursor_that_is_not_in_the_list_is_refused(store: Store, thread: Thread) -> None:
    put(store, thread)
    error = refused(lambda: store.list_messages(thread.id, Paging(after="msg_unheard")))
    assert (error.kind, error.param) == ("invalid", "after")


def test_an_empty_list_has_no_ends(store: Store, thread: Thread) -> None:
    page = store.list_messages(thread.id, Paging())
    assert (page.data, page.first_id, page.last_id, page.has_more) == ((), None, None, False)


# -- runs ------------------------------------------------------------------------------------------------------------


def test_a_run_takes_from_the_assistant_what_it_was_not_given(
    store: Store, thread: Thread, assistant: Assistant
) -> None:
    run = store.create_run(thread.id, RunCreateParams(assistant_id=assistant.id, additional_instructions="And short."))
    assert (run.status, run.model, run.instructions) == ("queued", "parrot", "Be kind.\nAnd short.")
    assert (run.tools, run.tool_choice, run.parallel_tool_calls) == (assistant.tools, "auto", True)
    assert (run.created_at, run.expires_at) == (1_700_000_000, 1_700_000_600)
    assert run.usage is None


def test_what_a_run_was_given_wins(store: Store, thread: Thread, assistant: Assistant) -> None:
    run = store.create_run(
        thread.id,
        RunCreateParams(assistant_id=assistant.id, model="owl", instructions="", tools=[], temperature=0, top_p=None),
    )
    assert (run.model, run.instructions, run.tools, run.temperature, run.top_p) == ("owl", "", (), 0, 1)


def test_a_thread_has_one_active_run(store: Store, thread: Thread, assistant: Assistant) -> None:
    params = RunCreateParams(assistant_id=assistant.id, additional_messages=[{"role": "user", "content": "go"}])
    run = store.create_run(thread.id, params)
    error = refused(lambda: store.create_run(thread.id, params))
    assert error.kind == "busy"
    assert error.message == f"Thread {thread.id} already has an active run {run.id}."
    assert len(ids(store, thread)) == 1, "the refused run's messages are not kept"
    error = refused(lambda: put(store, thread))
    assert error.kind == "busy"
    assert error.message == f"Can't add messages to {thread.id} while a run {run.id} is active."


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"tool_choice": "perhaps"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.function"),
        ({"tool_choice": {"type": "function", "function": {"name": "nope"}}}, "tool_choice.function.name"),
        ({"tool_choice": {"type": "magic"}}, "tool_choice.type"),
        ({"truncation_strategy": {"type": "half"}}, "truncation_strategy.type"),
        ({"truncation_strategy": {"type": "last_messages"}}, "truncation_strategy.last_messages"),
        ({"truncation_strategy": {"type": 3}}, "truncation_strategy.type"),
        ({"response_format": "xml"}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"tools": [{"type": "magic"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "no spaces"}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "file_search", "file_search": {"max_num_results": 51}}]},
            "tools[0].file_search.max_num_results",
        ),
        (
            {"tools": [{"type": "file_search", "file_search": {"ranking_options": {"ranker": "auto"}}}]},
            "tools[0].file_search.ranking_options.score_threshold",
        ),
        (
            {
                "tools": [
                    {"type": "file_search", "file_search": {"ranking_options": {"score_threshold": 0, "ranker": "x"}}}
                ]
            },
            "tools[0].file_search.ranking_options.ranker",
        ),
        ({"truncation_strategy": {"type": "auto", "last_messages": 0}}, "truncation_strategy.last_messages"),
        ({"additional_messages": [{"role": "user"}]}, "additional_messages[0].content"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_prompt_tokens": 1}, "max_prompt_tokens"),
        ({"flavour": "sweet"}, "flavour"),
        ({"assistant_id": ""}, "assistant_id"),
    ],
)
def test_a_run_that_cannot_be_meant_is_refused_by_name_and_leaves_nothing(
    store: Store, thread: Thread, assistant: Assistant, given: dict[str, object], param: str
) -> None:
    body = {"assistant_id": assistant.id, **given}
    error = refused(lambda: store.create_run(thread.id, read_params(RunCreateParams, body)))
    assert (error.kind, error.param) == ("invalid", param)
    assert store.list_runs(thread.id, Paging()).data == ()


def test_a_missing_parameter_is_named() -> None:
    error = refused(lambda: read_params(RunCreateParams, {}))
    assert (error.param, error.code) == ("assistant_id", "missing_parameter")


def test_a_run_of_an_unknown_assistant_is_refused(store: Store, thread: Thread) -> None:
    error = refused(lambda: store.create_run(thread.id, RunCreateParams(assistant_id="asst_x")))
    assert (error.kind, error.message) == ("not_found", "No assistant found with id 'asst_x'.")


@pytest.mark.parametrize("kind", [dict, ThreadCreateParams], ids=["dict", "struct"])
def test_a_thread_and_its_run_are_made_together_or_not_at_all(
    store: Store, assistant: Assistant, kind: Callable[..., ThreadCreateParams]
) -> None:
    params = ThreadCreateAndRunParams(
        assistant_id=assistant.id,
        thread=kind(messages=[{"role": "user", "content": "hello"}]),
        tool_resources={"file_search": {"vector_store_ids": ["vs_1"]}},
    )
    run = store.create_thread_and_run(params)
    assert store.retrieve_run(run.thread_id, run.id) == run
    assert store.list_messages(run.thread_id, Paging()).data[0].text == "hello"

    bad = ThreadCreateAndRunParams(assistant_id=assistant.id, thread={"messages": [{"role": "user", "content": ""}]})
    assert refused(lambda: store.create_thread_and_run(bad)).param == "thread.messages[0].content"


def test_a_run_changes_only_its_metadata(store: Store, thread: Thread, assistant: Assistant) -> None:
    run = store.create_run(thread.id, RunCreateParams(assistant_id=assistant.id))
    changed = store.update_run(thread.id, run.id, RunUpdateParams(metadata={"k": "v"}))
    assert isinstance(changed, Run)
    assert (changed.metadata, changed.status) == ({"k": "v"}, "queued")
    assert store.list_runs(thread.id, Paging()).data == (changed,)


def test_errors_that_quote_what_came_are_short(store: Store) -> None:
    error = refused(lambda: store.retrieve_thread("x" * 10_000))
    assert len(error.message) < 300


def test_a_thread_without_runs_is_not_busy(store: Store, thread: Thread) -> None:
    assert store.record(thread.id).active_run is None
    assert store.record(thread.id).runs.last is None
