"""The ways in which a server may tell of a finished run: its deltas cut and mixed."""

from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar, cast

import msgspec
from finished_runs import FinishedRun, thought

from aiorunstream.events import (
    REGISTRY,
    AssistantStreamEvent,
    ThreadMessageCompleted,
    ThreadMessageCreated,
    ThreadMessageDelta,
    ThreadMessageIncomplete,
    ThreadMessageInProgress,
    ThreadRunStepCreated,
    ThreadRunStepDelta,
    ThreadRunStepInProgress,
)
from aiorunstream.models import (
    Annotation,
    AnnotationDelta,
    CodeInterpreterDelta,
    CodeInterpreterLogs,
    CodeInterpreterLogsDelta,
    CodeInterpreterOutputDelta,
    CodeInterpreterOutputImage,
    CodeInterpreterOutputImageDelta,
    CodeInterpreterOutputImageFileDelta,
    CodeInterpreterToolCall,
    CodeInterpreterToolCallDelta,
    FileCitationDelta,
    FileCitationDeltaAnnotation,
    FilePathAnnotation,
    FilePathDelta,
    FilePathDeltaAnnotation,
    FileSearchToolCall,
    FileSearchToolCallDelta,
    FunctionCallDelta,
    FunctionToolCall,
    FunctionToolCallDelta,
    ImageFileContentBlock,
    ImageFileDelta,
    ImageFileDeltaBlock,
    ImageURLContentBlock,
    ImageURLDelta,
    ImageURLDeltaBlock,
    Message,
    MessageContent,
    MessageContentDelta,
    MessageDelta,
    MessageDeltaEvent,
    RefusalContentBlock,
    RefusalDeltaBlock,
    RunStep,
    RunStepDelta,
    RunStepDeltaEvent,
    StepDetailsDelta,
    TextContentBlock,
    TextDelta,
    TextDeltaBlock,
    ToolCall,
    ToolCallDelta,
    ToolCallsDeltaObject,
    ToolCallsStepDetails,
    UnknownPart,
)

T = TypeVar("T")
Events = list[AssistantStreamEvent]


def cut(rng: Random, text: str) -> list[str]:
    """The text in one piece or more; some may be empty."""
    places = sorted(rng.randrange(len(text) + 1) for _ in range(rng.randrange(3)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def mixed(rng: Random, ways: Sequence[Sequence[T]]) -> list[T]:
    """One way from several, each in its own order."""
    left: list[list[T]] = [list(way) for way in ways if way]
    whole: list[T] = []
    while left:
        way = rng.choice(left)
        whole.append(way.pop(0))
        left = [way for way in left if way]
    return whole


def note_fragments(rng: Random, index: int, note: Annotation) -> list[AnnotationDelta]:
    if isinstance(note, UnknownPart):
        first, *rest = cut(rng, cast(str, note["text"]))
        return [
            UnknownPart({**note, "index": index, "text": first}),
            *(UnknownPart({"type": "tomorrow", "index": index, "text": piece}) for piece in rest),
        ]
    first, *rest = cut(rng, note.text)
    if isinstance(note, FilePathAnnotation):
        path = FilePathDelta(note.file_path.file_id)
        return [
            FilePathDeltaAnnotation(index, first, path, note.start_index),
            *(FilePathDeltaAnnotation(index, piece) for piece in rest),
            FilePathDeltaAnnotation(index, file_path=path, end_index=note.end_index),
        ]
    quotes = [] if note.file_citation.quote is None else cut(rng, note.file_citation.quote)
    cited = [FileCitationDeltaAnnotation(index, file_citation=FileCitationDelta(quote=quote)) for quote in quotes]
    pieces = [FileCitationDeltaAnnotation(index, piece) for piece in rest]
    return [
        FileCitationDeltaAnnotation(
            index, first, FileCitationDelta(note.file_citation.file_id), note.start_index, note.end_index
        ),
        *mixed(rng, [cited, pieces]),
    ]


def part_fragments(rng: Random, index: int, part: MessageContent) -> list[MessageContentDelta]:
    """The fragments of one part of a message, in an order in which they may come."""
    match part:
        case TextContentBlock():
            ways: list[list[TextDelta]] = [[TextDelta(piece) for piece in cut(rng, part.text.value)]]
            for place, note in enumerate(part.text.annotations):
                ways.append([TextDelta(annotations=(fragment,)) for fragment in note_fragments(rng, place, note)])
            return [TextDeltaBlock(index, text) for text in mixed(rng, ways)]
        case RefusalContentBlock():
            return [RefusalDeltaBlock(index, piece) for piece in cut(rng, part.refusal)]
        case ImageFileContentBlock():
            image = part.image_file
            return [
                ImageFileDeltaBlock(index, ImageFileDelta(image.file_id)),
                ImageFileDeltaBlock(index, ImageFileDelta(image.file_id, image.detail)),
            ]
        case ImageURLContentBlock():
            return [ImageURLDeltaBlock(index, ImageURLDelta(part.image_url.url, part.image_url.detail))]
        case _:
            return [*unknown_fragments(rng, index, cast(dict[str, Any], part))]


def unknown_fragments(rng: Random, index: int, part: dict[str, Any]) -> list[UnknownPart]:
    video: dict[str, Any] = part["video"]
    first, *rest = cut(rng, video["caption"])
    tags: list[object] = part["tags"]
    return [
        UnknownPart({**part, "index": index, "video": {**video, "caption": first}, "tags": tags[:1], "n": 99}),
        *mixed(
            rng,
            [
                [UnknownPart({"type": "video", "index": index, "video": {"caption": piece}}) for piece in rest],
                [UnknownPart({"type": "video", "index": index, "tags": [tag], "video": None}) for tag in tags[1:]],
                [UnknownPart({"index": index, "n": part["n"]})],
            ],
        ),
    ]


def call_fragments(rng: Random, index: int, call: ToolCall) -> list[ToolCallDelta]:
    match call:
        case FunctionToolCall():
            function = call.function
            outputs = [] if function.output is None else cut(rng, function.output)
            return [
                FunctionToolCallDelta(index, call.id, FunctionCallDelta(function.name, "")),
                *(
                    FunctionToolCallDelta(index, None, FunctionCallDelta(arguments=p))
                    for p in cut(rng, function.arguments)
                ),
                *(FunctionToolCallDelta(index, None, FunctionCallDelta("", None, p)) for p in outputs),
            ]
        case CodeInterpreterToolCall():
            code = call.code_interpreter
            ways = [[CodeInterpreterDelta(piece) for piece in cut(rng, code.input)]]
            for place, output in enumerate(code.outputs):
                fragments: list[CodeInterpreterOutputDelta]
                if isinstance(output, CodeInterpreterLogs):
                    fragments = [CodeInterpreterLogsDelta(place, piece) for piece in cut(rng, output.logs)]
                else:
                    assert isinstance(output, CodeInterpreterOutputImage)
                    image = CodeInterpreterOutputImageFileDelta(output.image.file_id)
                    fragments = [CodeInterpreterOutputImageDelta(place, image)]
                ways.append([CodeInterpreterDelta(outputs=(fragment,)) for fragment in fragments])
            return [
                CodeInterpreterToolCallDelta(index, call.id, CodeInterpreterDelta("")),
                *(CodeInterpreterToolCallDelta(index, None, delta) for delta in mixed(rng, ways)),
            ]
        case FileSearchToolCall():
            whole: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(call.file_search))
            found: list[object] | None = whole.pop("results", None)
            pieces: list[dict[str, object]] = [whole]
            if found is not None:
                pieces.append({"results": found[:1]})
                for one in found[1:]:
                    pieces.append({"results": [one]})
            return [*(FileSearchToolCallDelta(index, piece, call.id) for piece in pieces)]
        case _:
            part = cast(dict[str, Any], call)
            first, *rest = cut(rng, part["mcp"]["log"])
            return [
                UnknownPart({**part, "index": index, "mcp": {**part["mcp"], "log": first}}),
                *(UnknownPart({"type": "mcp", "index": index, "mcp": {"log": piece}}) for piece in rest),
            ]


def message_deltas(rng: Random, message: Message) -> Events:
    fragments = mixed(rng, [part_fragments(rng, place, part) for place, part in enumerate(message.content)])
    deltas: list[MessageDelta] = []
    while fragments:
        size = rng.randrange(1, 3)
        role = rng.choice([None, None, message.role])
        deltas.append(MessageDelta(role, tuple(fragments[:size])))
        fragments = fragments[size:]
    return [ThreadMessageDelta(MessageDeltaEvent(message.id, delta=delta)) for delta in deltas]


def step_deltas(rng: Random, step: RunStep) -> Events:
    details = step.step_details
    deltas: list[StepDetailsDelta] = []
    if isinstance(details, ToolCallsStepDetails):
        if rng.random() < 0.2:  # every call is numbered 0, as some servers do, and then they cannot be mixed
            one_by_one = [call_fragments(rng, 0, call) for call in details.tool_calls]
            fragments = [fragment for call in one_by_one for fragment in call]
        else:
            fragments = mixed(rng, [call_fragments(rng, place, call) for place, call in enumerate(details.tool_calls)])
        while fragments:
            size = rng.randrange(1, 3)
            deltas.append(ToolCallsDeltaObject(tuple(fragments[:size])))
            fragments = fragments[size:]
    elif isinstance(details, UnknownPart):
        pieces = cut(rng, cast(dict[str, str], details["thinking"])["text"])
        deltas = [thought(piece) for piece in pieces]
    return [ThreadRunStepDelta(RunStepDeltaEvent(step.id, delta=RunStepDelta(delta))) for delta in deltas]


def message_events(rng: Random, message: Message) -> Events:
    begun = msgspec.structs.replace(
        message, status="in_progress", content=(), completed_at=None, incomplete_details=None
    )
    empty = Message(message.id, created_at=0, status="in_progress", role="assistant")
    ends: Events = []
    if message.status in ("completed", None):
        ends = [ThreadMessageCompleted(message)]
    elif message.status == "incomplete":
        ends = [ThreadMessageIncomplete(message)]
    progress: Events = [ThreadMessageInProgress(empty)]
    return [ThreadMessageCreated(begun), *mixed(rng, [progress, message_deltas(rng, message)]), *ends]


def step_events(rng: Random, step: RunStep) -> Events:
    details = step.step_details
    details = ToolCallsStepDetails() if isinstance(details, ToolCallsStepDetails) else details
    if isinstance(details, UnknownPart):
        details = None
    begun = msgspec.structs.replace(step, status="in_progress", step_details=details, completed_at=None, usage=None)
    empty = RunStep(step.id, created_at=0, type=step.type, status="in_progress", step_details=details)
    ends = [] if step.status == "in_progress" else [REGISTRY[f"thread.run.step.{step.status}"].around(step)]
    progress: Events = [ThreadRunStepInProgress(empty)]
    return [ThreadRunStepCreated(begun), *mixed(rng, [progress, step_deltas(rng, step)]), *ends]


def run_events(finished: FinishedRun) -> Events:
    """All events of the run; those of its messages and steps are mixed."""
    rng, run = finished.rng, finished.run
    begun = msgspec.structs.replace(run, status="queued", started_at=None, usage=None)
    working = msgspec.structs.replace(run, status="in_progress", usage=None)
    ways = [message_events(rng, message) for message in finished.messages]
    ways += [step_events(rng, step) for step in finished.steps]
    return [
        REGISTRY["thread.run.created"].around(begun),
        REGISTRY["thread.run.queued"].around(begun),
        REGISTRY["thread.run.in_progress"].around(working),
        *mixed(rng, ways),
        REGISTRY[f"thread.run.{run.status}"].around(run),
    ]
