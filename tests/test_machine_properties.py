"""Whatever an engine says, in whatever order: everything that is begun ends once, and deltas add up to the whole."""

from collections import Counter
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from machine_bench import Bench, waiting
from test_machine_items import JSON, kept

from aiorunstream.events import ThreadMessageDelta, ThreadRunStepDelta
from aiorunstream.items import (
    ITEMS,
    AskApproval,
    BreakOff,
    CallTool,
    Cancel,
    Cite,
    CiteURL,
    DrawImage,
    EndStep,
    Expire,
    Fail,
    Item,
    LinkFile,
    MoreArguments,
    MoreCode,
    Pause,
    PrintLogs,
    Refuse,
    RunCode,
    Say,
    SearchFiles,
    SendError,
    ShowImage,
    UseTool,
)
from aiorunstream.models import (
    Message,
    RunStep,
    Usage,
)

TEXTS = st.text(max_size=3)
IDS = st.sampled_from([None, "a", "b"])
EACH: dict[type[Item], st.SearchStrategy[Item]] = {
    str: TEXTS,
    Say: st.builds(Say, TEXTS),
    Refuse: st.builds(Refuse, TEXTS),
    ShowImage: st.builds(ShowImage, TEXTS),
    Cite: st.builds(Cite, TEXTS, TEXTS, st.none() | TEXTS),
    CiteURL: st.builds(CiteURL, TEXTS, TEXTS, st.none() | TEXTS),
    LinkFile: st.builds(LinkFile, TEXTS, TEXTS),
    CallTool: st.builds(CallTool, TEXTS, TEXTS, IDS),
    MoreArguments: st.builds(MoreArguments, TEXTS),
    RunCode: st.builds(RunCode, TEXTS, IDS),
    MoreCode: st.builds(MoreCode, TEXTS),
    PrintLogs: st.builds(PrintLogs, TEXTS),
    DrawImage: st.builds(DrawImage, TEXTS),
    SearchFiles: st.builds(SearchFiles, st.just(()), IDS),
    UseTool: st.builds(
        UseTool,
        st.fixed_dictionaries({"type": st.just("openapi")}, optional={"id": TEXTS, "openapi": st.just({"a": 1})}),
    ),
    AskApproval: st.builds(AskApproval, TEXTS, TEXTS, TEXTS, TEXTS, IDS),
    EndStep: st.just(EndStep()),
    Fail: st.just(Fail("no")),
    BreakOff: st.just(BreakOff()),
    Expire: st.just(Expire()),
    Cancel: st.just(Cancel()),
    SendError: st.just(SendError("no")),
    Pause: st.just(Pause(1)),
    Usage: st.just(Usage(1, 2, 3)),
}
ENDS = (Fail, BreakOff, Expire, Cancel)
GOING_ON = st.one_of([strategy for kind, strategy in EACH.items() if kind not in ENDS])


def test_every_kind_of_item_is_tried() -> None:
    assert set(EACH) == set(ITEMS)


def joined(deltas: list[JSON], kind: str) -> list[JSON]:
    """What fragments of a list add up to, by their `index`: text is joined, lists are merged, all else is set."""
    whole: dict[int, JSON] = {}
    for delta in deltas:
        _merge(whole.setdefault(delta["index"], {}), {name: value for name, value in delta.items() if name != "index"})
    assert list(whole) == list(range(len(whole))), kind
    return [whole[index] for index in sorted(whole)]


def _merge(into: JSON, delta: JSON) -> None:
    for name, value in delta.items():
        if name in ("annotations", "outputs"):
            into.setdefault(name, []).extend(value)
        elif isinstance(value, dict):
            _merge(into.setdefault(name, {}), cast("JSON", value))
        elif name in ("value", "refusal", "arguments", "input"):
            into[name] = into.get(name, "") + value
        else:
            into[name] = value


def settled(part: JSON) -> JSON:
    """A part of deltas as the final object would have it."""
    if (text := part.get("text")) is not None:
        bare = [{k: v for k, v in note.items() if k != "index"} for note in text["annotations"]]
        for note in bare:
            note.get("file_citation", {}).pop("quote", None)
            for file in ("file_citation", "file_path"):
                if file in note:
                    note[file].setdefault("file_id", "")
        text["annotations"] = bare
    if (code := part.get("code_interpreter")) is not None:
        code["outputs"] = joined_outputs(code.get("outputs", []))
    if (function := part.get("function")) is not None:
        function.setdefault("output", None)
    return part


def joined_outputs(deltas: list[JSON]) -> list[JSON]:
    whole: dict[int, JSON] = {}
    for delta in deltas:
        output = whole.setdefault(delta["index"], {"type": delta["type"]})
        if delta["type"] == "logs":
            output["logs"] = output.get("logs", "") + delta["logs"]
        else:
            output["image"] = delta["image"]
    return list(whole.values())


@given(st.lists(GOING_ON, max_size=12), st.none() | st.one_of([EACH[kind] for kind in ENDS]))
def test_whatever_is_said_ends_well_and_its_deltas_add_up(items: list[Item], end: Item | None) -> None:
    bench = Bench()
    for item in [*items, *([end] if end is not None else [])]:
        try:
            bench.hear(item)
        except ValueError:
            continue  # the one thing an engine's fault may raise
    bench.finish()
    if bench.run.status == "requires_action":
        bench.submit(*((id, "out") for id in waiting(bench.run)))
        bench.events += bench.machine.work()
        bench.finish()
    assert bench.run.is_terminal

    begun = Counter(
        e.data.id
        for e in bench.events
        if e.event.endswith(("step.created", "message.created")) and isinstance(e.data, (RunStep, Message))
    )
    last = ("completed", "incomplete", "failed", "cancelled", "expired")
    over = Counter(e.data.id for e in bench.events if e.event.endswith(last) and isinstance(e.data, (RunStep, Message)))
    assert begun == over, "everything that is begun ends, once"
    assert set(begun.values()) <= {1}
    assert {message.status for message in bench.answers} <= {"completed", "incomplete"}
    assert "in_progress" not in {step.status for step in bench.steps}

    for message in bench.answers:
        deltas = [e.data for e in bench.events if isinstance(e, ThreadMessageDelta) and e.data.id == message.id]
        told = joined([part for delta in deltas for part in kept(delta.delta)["content"]], "content")
        whole = kept(message.content)
        if told:
            assert [settled(part) for part in told] == [defaulted(part) for part in whole]
        else:
            assert whole == [{"type": "text", "text": {"value": "", "annotations": []}}]
    for step in bench.steps:
        told_of = [e.data for e in bench.events if isinstance(e, ThreadRunStepDelta) and e.data.id == step.id]
        calls = joined([call for delta in told_of for call in kept(delta.delta)["step_details"]["tool_calls"]], "calls")
        if step.type == "tool_calls":
            finals = kept(step.step_details)["tool_calls"]
            for final in finals:
                if "function" in final:
                    final["function"]["output"] = None
                if "file_search" in final:
                    final["file_search"] = {}
                if final["type"] == "mcp":
                    final.pop("output", None)  # it comes once the call was allowed
            assert [settled(call) for call in calls] == finals


def defaulted(part: JSON) -> JSON:
    for note in part.get("text", {}).get("annotations", []):
        for file in ("file_citation", "file_path"):
            if file in note:
                note[file].setdefault("file_id", "")
    return part
