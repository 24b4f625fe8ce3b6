"""Items of a response's output that are being written: messages, calls of functions, uses of the server's own tools.

As with the drafts of a run, each piece gives the events that tell of it, and the end gives the whole. The events are
JSON objects as `/v1/responses` streams them, without a `sequence_number`: `responses_machine` numbers them.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Literal
from urllib.parse import quote

from .models import FileSearchResult, JSONObject

Told = list[JSONObject]
ItemStatus = Literal["in_progress", "completed", "incomplete"]


def event(type: str, **fields: object) -> JSONObject:
    """An event of that type."""
    return {"type": type, **fields}


class OutputItem(ABC):
    """One item, at its place in the output."""

    def __init__(self, id: str, output_index: int) -> None:
        self.id = id
        self.output_index = output_index

    @abstractmethod
    def whole(self, status: ItemStatus) -> JSONObject:
        """The item as far as it has come."""

    def begin(self) -> Told:
        """The item is there."""
        added = event("response.output_item.added", output_index=self.output_index, item=self.whole("in_progress"))
        return [added, *self._begun()]

    def end(self, status: ItemStatus) -> Told:
        """Nothing more comes; "incomplete" where it broke off."""
        done = event("response.output_item.done", output_index=self.output_index, item=self.whole(status))
        return [*self._ended(status), done]

    def _begun(self) -> Told:
        return []

    @abstractmethod
    def _ended(self, status: ItemStatus) -> Told:
        """What its end tells before the item itself is done."""

    def _tell(self, type: str, **fields: object) -> JSONObject:
        return event(type, item_id=self.id, output_index=self.output_index, **fields)


# -- messages --------------------------------------------------------------------------------------------------------


class _Part:
    def __init__(self, type: Literal["output_text", "refusal"]) -> None:
        self.type = type
        self.pieces: list[str] = []
        self.length = 0
        self.annotations: list[JSONObject] = []

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def whole(self) -> JSONObject:
        if self.type == "refusal":
            return {"type": self.type, "refusal": self.text}
        return {"type": self.type, "text": self.text, "annotations": list(self.annotations), "logprobs": []}


class MessageItem(OutputItem):
    """A message. A piece of text goes to the last part, if that is text, or begins one; so does one of a refusal."""

    def __init__(self, id: str, output_index: int, container_id: str) -> None:
        super().__init__(id, output_index)
        self._container_id = container_id
        self._parts: list[_Part] = []

    def whole(self, status: ItemStatus) -> JSONObject:
        """The message as far as it has come."""
        content = [part.whole() for part in self._parts]
        return {"id": self.id, "type": "message", "status": status, "role": "assistant", "content": content}

    def say(self, value: str) -> Told:
        """Adds text."""
        return self._add("output_text", value)

    def refuse(self, value: str) -> Told:
        """Adds to a refusal."""
        return self._add("refusal", value)

    def cite(self, value: str, file_id: str) -> Told:
        """Adds text that cites a file. All that the annotation tells of the text is where it begins."""
        told = self.say(value)
        start = self._parts[-1].length - len(value)
        return [
            *told,
            self._annotate({"type": "file_citation", "file_id": file_id, "index": start, "filename": file_id}),
        ]

    def link(self, value: str, file_id: str) -> Told:
        """Adds text that stands for a file of the container."""
        told = self.say(value)
        end = self._parts[-1].length
        return [
            *told,
            self._annotate(
                {
                    "type": "container_file_citation",
                    "container_id": self._container_id,
                    "file_id": file_id,
                    "start_index": end - len(value),
                    "end_index": end,
                    "filename": value.rpartition("/")[2] or file_id,
                }
            ),
        ]

    def cite_url(self, value: str, url: str, title: str | None) -> Told:
        """Adds text that cites a page."""
        told = self.say(value)
        end = self._parts[-1].length
        place: JSONObject = {"start_index": end - len(value), "end_index": end}
        return [*told, self._annotate({"type": "url_citation", "url": url, **place, "title": title or url})]

    def _annotate(self, annotation: JSONObject) -> JSONObject:
        part = self._parts[-1]
        part.annotations.append(annotation)
        return self._tell(
            "response.output_text.annotation.added",
            content_index=len(self._parts) - 1,
            annotation_index=len(part.annotations) - 1,
            annotation=annotation,
        )

    def _add(self, type: Literal["output_text", "refusal"], value: str) -> Told:
        told: Told = []
        if not self._parts or self._parts[-1].type != type:
            told += self._end_part()
            self._parts.append(_Part(type))
            told.append(self._of_part("response.content_part.added", part=self._parts[-1].whole()))
        part = self._parts[-1]
        part.pieces.append(value)
        part.length += len(value)
        if not value:
            return told
        if type == "refusal":
            return [*told, self._of_part("response.refusal.delta", delta=value)]
        return [*told, self._of_part("response.output_text.delta", delta=value, logprobs=[])]

    def _ended(self, status: ItemStatus) -> Told:
        del status
        return self._end_part()

    def _end_part(self) -> Told:
        if not self._parts:
            return []
        part = self._parts[-1]
        done = (
            self._of_part("response.refusal.done", refusal=part.text)
            if part.type == "refusal"
            else self._of_part("response.output_text.done", text=part.text, logprobs=[])
        )
        return [done, self._of_part("response.content_part.done", part=part.whole())]

    def _of_part(self, type: str, **fields: object) -> JSONObject:
        return self._tell(type, content_index=len(self._parts) - 1, **fields)


# -- calls -----------------------------------------------------------------------------------------------------------


class FunctionCallItem(OutputItem):
    """A call of one of the caller's functions."""

    def __init__(self, id: str, output_index: int, call_id: str, name: str) -> None:
        super().__init__(id, output_index)
        self._call_id = call_id
        self._name = name
        self._pieces: list[str] = []

    def whole(self, status: ItemStatus) -> JSONObject:
        """The call as far as it has come."""
        return {
            "id": self.id,
            "type": "function_call",
            "status": status,
            "arguments": "".join(self._pieces),
            "call_id": self._call_id,
            "name": self._name,
        }

    def argue(self, value: str) -> Told:
        """Adds to the arguments."""
        self._pieces.append(value)
        return [self._tell("response.function_call_arguments.delta", delta=value)] if value else []

    def _ended(self, status: ItemStatus) -> Told:
        del status
        arguments = "".join(self._pieces)
        return [self._tell("response.function_call_arguments.done", name=self._name, arguments=arguments)]


class CodeItem(OutputItem):
    """A use of the code interpreter. Its outputs come with its end, for those who asked to include them."""

    def __init__(self, id: str, output_index: int, container_id: str, *, with_outputs: bool) -> None:
        super().__init__(id, output_index)
        self._container_id = container_id
        self._with_outputs = with_outputs
        self._pieces: list[str] = []
        self._outputs: list[JSONObject | list[str]] = []  # images whole, logs in pieces

    def whole(self, status: ItemStatus) -> JSONObject:
        """The use as far as it has come."""
        outputs = [_logs(output) if isinstance(output, list) else output for output in self._outputs]
        return {
            "id": self.id,
            "type": "code_interpreter_call",
            "status": status,
            "code": "".join(self._pieces),
            "container_id": self._container_id,
            "outputs": outputs if self._with_outputs and status != "in_progress" else None,
        }

    def code(self, value: str) -> Told:
        """Adds to the code."""
        self._pieces.append(value)
        return [self._tell("response.code_interpreter_call_code.delta", delta=value)] if value else []

    def log(self, value: str) -> Told:
        """Adds to what the code printed."""
        if value:
            last = self._outputs[-1] if self._outputs else None
            if isinstance(last, list):
                last.append(value)
            else:
                self._outputs.append([value])
        return []

    def draw(self, file_id: str) -> Told:
        """Adds an image that the code drew. Outputs have addresses, not ids: the id is the last part of one."""
        self._outputs.append({"type": "image", "url": f"https://files.invalid/{quote(file_id, safe='')}"})
        return []

    def _begun(self) -> Told:
        return [self._tell("response.code_interpreter_call.in_progress")]

    def _ended(self, status: ItemStatus) -> Told:
        written = self._tell("response.code_interpreter_call_code.done", code="".join(self._pieces))
        if status == "incomplete":
            return [written]
        ran = [self._tell(f"response.code_interpreter_call.{word}") for word in ("interpreting", "completed")]
        return [written, *ran]


def _logs(pieces: Iterable[str]) -> JSONObject:
    return {"type": "logs", "logs": "".join(pieces)}


class SearchItem(OutputItem):
    """A use of file search. What it finds comes with its end, for those who asked to include it."""

    def __init__(
        self, id: str, output_index: int, results: tuple[FileSearchResult, ...], *, with_results: bool
    ) -> None:
        super().__init__(id, output_index)
        self._results = [_found(result) for result in results] if with_results else None

    def whole(self, status: ItemStatus) -> JSONObject:
        """The search as far as it has come."""
        results = None if status == "in_progress" else self._results
        return {"id": self.id, "type": "file_search_call", "status": status, "queries": [], "results": results}

    def _begun(self) -> Told:
        return [self._tell(f"response.file_search_call.{word}") for word in ("in_progress", "searching")]

    def _ended(self, status: ItemStatus) -> Told:
        return [] if status == "incomplete" else [self._tell("response.file_search_call.completed")]


def _found(result: FileSearchResult) -> JSONObject:
    return {
        "attributes": {},
        "file_id": result.file_id,
        "filename": result.file_name or result.file_id,
        "score": result.score or 0.0,
        "text": "\n".join(content.text or "" for content in result.content or ()),
    }
