"""Random finished runs, as a server would list them."""

from random import Random

import msgspec
from hypothesis import strategies as st

from aiorunstream.models import (
    CodeInterpreter,
    CodeInterpreterLogs,
    CodeInterpreterOutputImage,
    CodeInterpreterOutputImageFile,
    CodeInterpreterToolCall,
    FileCitation,
    FileCitationAnnotation,
    FilePath,
    FilePathAnnotation,
    FileSearch,
    FileSearchRankingOptions,
    FileSearchResult,
    FileSearchResultContent,
    FileSearchToolCall,
    FunctionCall,
    FunctionToolCall,
    ImageFile,
    ImageFileContentBlock,
    ImageURL,
    ImageURLContentBlock,
    Message,
    MessageCreation,
    MessageCreationStepDetails,
    MessageIncompleteDetails,
    RefusalContentBlock,
    Run,
    RunStep,
    Text,
    TextContentBlock,
    ToolCall,
    ToolCallsStepDetails,
    UnknownPart,
    Usage,
)

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
IDS = st.sampled_from(["file_a", "file_b"])
DETAILS = st.none() | st.sampled_from(["low", "high"])
PLACES = st.integers(0, 9)


def note(text: str, n: int) -> UnknownPart:
    return UnknownPart({"type": "tomorrow", "text": text, "n": n})


def video(caption: str, tags: list[str | int], n: float) -> UnknownPart:
    return UnknownPart({"type": "video", "video": {"url": "v", "caption": caption}, "tags": tags, "n": n, "none": None})


def thought(text: str) -> UnknownPart:
    return UnknownPart({"type": "thinking", "thinking": {"text": text}})


ANNOTATIONS = st.one_of(
    st.builds(FileCitationAnnotation, WORDS, st.builds(FileCitation, IDS, st.none() | WORDS), PLACES, PLACES),
    st.builds(FilePathAnnotation, WORDS, st.builds(FilePath, IDS), PLACES, PLACES),
    st.builds(note, WORDS, PLACES),
)
PARTS = st.one_of(
    st.builds(TextContentBlock, st.builds(Text, WORDS, st.lists(ANNOTATIONS, max_size=2).map(tuple))),
    st.builds(RefusalContentBlock, WORDS),
    st.builds(ImageFileContentBlock, st.builds(ImageFile, IDS, DETAILS)),
    st.builds(ImageURLContentBlock, st.builds(ImageURL, st.just("https://example.org/a.png"), DETAILS)),
    st.builds(video, WORDS, st.lists(WORDS | PLACES, max_size=2), PLACES | st.booleans()),
)
THOUGHTS = st.builds(thought, WORDS)
OUTPUTS = st.one_of(
    st.builds(CodeInterpreterLogs, WORDS),
    st.builds(CodeInterpreterOutputImage, st.builds(CodeInterpreterOutputImageFile, IDS)),
)
FOUND = st.builds(
    FileSearchResult,
    IDS,
    st.just("a.txt"),
    st.sampled_from([0.25, 0.5]),
    st.none() | st.just((FileSearchResultContent(text="so it is"),)),
)
RANKING = st.none() | st.just(FileSearchRankingOptions(0.5, "auto"))


@st.composite
def tool_calls(draw: st.DrawFn) -> tuple[ToolCall, ...]:
    calls: list[ToolCall] = []
    for place in range(draw(st.integers(0, 3))):
        id = f"call_{place}"
        match draw(st.sampled_from(["function", "code", "search", "unknown"])):
            case "function":
                calls.append(FunctionToolCall(id, FunctionCall("get", draw(WORDS), draw(st.none() | WORDS))))
            case "code":
                outputs = tuple(draw(st.lists(OUTPUTS, max_size=2)))
                calls.append(CodeInterpreterToolCall(id, CodeInterpreter(draw(WORDS), outputs)))
            case "search":
                found = draw(st.none() | st.lists(FOUND, max_size=2).map(tuple))
                calls.append(FileSearchToolCall(id, FileSearch(draw(RANKING), found)))
            case _:
                calls.append(UnknownPart({"type": "mcp", "id": id, "mcp": {"server_url": "u", "log": draw(WORDS)}}))
    return tuple(calls)


class FinishedRun(msgspec.Struct):
    """A run that has stopped, as a server would list it. `rng` says how its events are cut and mixed."""

    run: Run
    messages: tuple[Message, ...]
    steps: tuple[RunStep, ...]
    rng: Random


@st.composite
def finished_runs(draw: st.DrawFn) -> FinishedRun:
    messages: list[Message] = []
    steps: list[RunStep] = []
    for place in range(draw(st.integers(0, 3))):
        status = draw(st.sampled_from(["completed", "incomplete", "in_progress", None]))
        messages.append(
            Message(
                f"msg_{place}",
                created_at=1,
                thread_id="t",
                status=status,
                completed_at=2 if status in ("completed", None) else None,
                incomplete_details=MessageIncompleteDetails("max_tokens") if status == "incomplete" else None,
                role="assistant",
                content=tuple(draw(st.lists(PARTS, max_size=3))),
                run_id="run_1",
                metadata={},
            )
        )
    for place in range(draw(st.integers(0, 3))):
        written = [*messages, None][place % (len(messages) + 1)]
        status = draw(st.sampled_from(["completed", "failed", "cancelled", "expired", "in_progress"]))
        details = draw(
            st.sampled_from([MessageCreationStepDetails(MessageCreation(written.id))])
            if written is not None and draw(st.booleans())
            else st.builds(ToolCallsStepDetails, tool_calls()) | THOUGHTS
        )
        ended = status != "in_progress"
        steps.append(
            RunStep(
                f"step_{place}",
                created_at=1,
                thread_id="t",
                run_id="run_1",
                type="tool_calls",
                status=status,
                step_details=details,
                completed_at=2 if ended else None,
                usage=Usage(1, 2, 3) if ended else None,
            )
        )
    status = draw(st.sampled_from(["completed", "incomplete", "failed", "cancelled", "expired", "requires_action"]))
    run = Run("run_1", thread_id="t", status=status, started_at=draw(st.none() | st.just(1)), usage=Usage(1, 2, 3))
    return FinishedRun(run, tuple(messages), tuple(steps), draw(st.randoms(use_true_random=False)))
