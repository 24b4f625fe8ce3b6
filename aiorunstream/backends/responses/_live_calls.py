"""Calls in a response's output, as they come: of functions, and of the server's own tools."""

from collections.abc import Iterable

from ...items import (
    AskApproval,
    CallTool,
    DrawImage,
    MoreArguments,
    MoreCode,
    PrintLogs,
    RunCode,
    SearchFiles,
    UseTool,
)
from ...models import FileSearchResult, FileSearchResultContent, JSONObject
from ._json import object_of, objects_of, text_of
from ._live import LiveItem, PiecedText
from ._said import Answered, Said

_KNOWN_TOOLS = ("", "function", "code_interpreter", "file_search")


class CallItem(LiveItem):
    """A call that the caller answers: of a function, or of a tool whose input is plain text."""

    def __init__(self, id: str, input_name: str) -> None:
        super().__init__(id)
        self._input_name = input_name  # in the item, and in the event that shows it whole
        self._said = PiecedText()
        self._early: list[str] = []  # pieces that came before it was known what is called
        self._begun = False
        self._called: JSONObject = {}

    def go_on(self, type: str, event: JSONObject) -> list[Said]:
        if type == "response.output_item.added":
            return self._begin(object_of(event, "item"))
        if type.endswith(".delta"):
            if self._begun:
                return self._argue(text_of(event, "delta"))
            self._early.append(text_of(event, "delta"))
        elif type.endswith(".done") and self._begun:
            self.is_over = True
            return self._argue_rest(event)
        return []

    def end(self, item: JSONObject) -> list[Said]:
        if not item and not self._begun and not self._early:
            return []  # nothing is known of it
        return [*self._begin(item, at_last=True), *self._argue_rest(item)]

    def told(self) -> JSONObject:
        return {**self._called, self._input_name: self._said.text} if text_of(self._called, "call_id") else {}

    def _begin(self, item: JSONObject, *, at_last: bool = False) -> list[Said]:
        """Makes the call, once it is known what is called; at its end, whatever is known."""
        name = text_of(item, "name")
        if self._begun or not (name or at_last):
            return []
        self._begun = True
        self._called = {**item, "status": "completed"}
        call = CallTool(name, id=text_of(item, "call_id") or text_of(item, "id") or None)
        return [call, *self._argue("".join(self._early))]

    def _argue(self, piece: str) -> list[Said]:
        return [MoreArguments(self._said.add(piece))] if piece else []

    def _argue_rest(self, part: JSONObject) -> list[Said]:
        rest = self._said.rest(text_of(part, self._input_name))
        return [MoreArguments(rest)] if rest else []


class CodeItem(LiveItem):
    """A use of the code interpreter."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self._code = PiecedText()
        self._begun = False

    def go_on(self, type: str, event: JSONObject) -> list[Said]:
        said = self._begin()
        if type == "response.code_interpreter_call_code.delta":
            piece = self._code.add(text_of(event, "delta"))
            return [*said, *([MoreCode(piece)] if piece else [])]
        return [*said, *self._rest(event)]

    def end(self, item: JSONObject) -> list[Said]:
        return [*self._begin(), *self._rest(item), *_outputs(objects_of(item, "outputs"))]

    def _begin(self) -> list[Said]:
        if self._begun:
            return []
        self._begun = True
        return [RunCode(id=self.id or None)]

    def _rest(self, part: JSONObject) -> list[Said]:
        rest = self._code.rest(text_of(part, "code"))
        return [MoreCode(rest)] if rest else []


def _outputs(outputs: Iterable[JSONObject]) -> list[Said]:
    said: list[Said] = []
    for output in outputs:
        if output.get("type") == "logs":
            said.append(PrintLogs(text_of(output, "logs")))
        elif output.get("type") == "image":
            said.append(DrawImage(text_of(output, "url")))
    return said


class SearchItem(LiveItem):
    """A use of file search, told whole."""

    def go_on(self, type: str, event: JSONObject) -> list[Said]:
        del type, event
        return []

    def end(self, item: JSONObject) -> list[Said]:
        found = tuple(_found(result) for result in objects_of(item, "results"))
        return [SearchFiles(found, self.id or None)]


def _found(result: JSONObject) -> FileSearchResult:
    file_id, score, text = text_of(result, "file_id"), result.get("score"), text_of(result, "text")
    content = (FileSearchResultContent("text", text),) if text else ()
    # Some servers rank with numbers of their own, which a run cannot show.
    shown = min(1.0, max(0.0, float(score))) if isinstance(score, (int, float)) else 0.0
    return FileSearchResult(file_id, text_of(result, "filename"), shown, content)


class NativeItem(LiveItem):
    """An item that runs do not know, such as a web search or what a model thought: told whole, as it is."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self._first: JSONObject = {}

    def go_on(self, type: str, event: JSONObject) -> list[Said]:
        if type == "response.output_item.added":
            self._first = object_of(event, "item")
        return []

    def end(self, item: JSONObject) -> list[Said]:
        item = item or self._first
        kind = text_of(item, "type")
        if kind == "mcp_approval_request":
            asked = AskApproval(
                text_of(item, "name"),
                text_of(item, "arguments"),
                text_of(item, "server_label"),
                id=self.id or None,
            )
            return [asked]
        if kind == "function_call_output":
            return [Answered(text_of(item, "call_id"), text_of(item, "output"))]
        return [] if kind in _KNOWN_TOOLS else [UseTool({**item, "id": self.id})]
