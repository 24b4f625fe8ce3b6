"""Items of a response's output that are told whole: uses of tools that runs do not know, and what a model thought."""

from collections.abc import Mapping
from typing import cast

from .models import JSONObject
from .responses_items import ItemStatus, OutputItem, Told

_BEGIN: Mapping[str, tuple[str, ...]] = {
    "web_search_call": ("in_progress", "searching"),
    "image_generation_call": ("in_progress", "generating"),
    "mcp_call": ("in_progress",),
    "mcp_list_tools": ("in_progress",),
}
"""The kinds that tell how far they are, and in which words; the last word is "completed" or "failed"."""


class NativeItem(OutputItem):
    """An item that is there at once, as it is. `item` is its JSON, with `type` and `id`."""

    def __init__(self, output_index: int, item: JSONObject) -> None:
        super().__init__(str(item["id"]), output_index)
        self._item = item
        self._type = str(item["type"])

    def whole(self, status: ItemStatus) -> JSONObject:
        """The item; at its beginning without what a model thought."""
        if status != "in_progress":
            return self._item
        hidden: JSONObject = {"summary": []} if self._type == "reasoning" else {}
        if "status" in self._item:
            hidden["status"] = status
        shown = {name: value for name, value in self._item.items() if self._type != "reasoning" or name != "content"}
        return {**shown, **hidden}

    def _begun(self) -> Told:
        words = [self._tell(f"response.{self._type}.{word}") for word in _BEGIN.get(self._type, ())]
        if self._type != "mcp_call":
            return words
        arguments = str(self._item.get("arguments", ""))
        delta = [self._tell("response.mcp_call_arguments.delta", delta=arguments)] if arguments else []
        return [*words, *delta, self._tell("response.mcp_call_arguments.done", arguments=arguments)]

    def _ended(self, status: ItemStatus) -> Told:
        del status
        if self._type == "reasoning":
            return self._thought()
        if self._type not in _BEGIN:
            return []
        failed = self._type.startswith("mcp") and bool(self._item.get("error"))
        return [self._tell(f"response.{self._type}.{'failed' if failed else 'completed'}")]

    def _thought(self) -> Told:
        told: Told = []
        for place, part in enumerate(self._parts("summary")):
            text = str(part.get("text", ""))
            empty: JSONObject = {**part, "text": ""}
            told += [
                self._tell("response.reasoning_summary_part.added", summary_index=place, part=empty),
                self._tell("response.reasoning_summary_text.delta", summary_index=place, delta=text),
                self._tell("response.reasoning_summary_text.done", summary_index=place, text=text),
                self._tell("response.reasoning_summary_part.done", summary_index=place, part=part),
            ]
        for place, part in enumerate(self._parts("content")):
            text = str(part.get("text", ""))
            empty = {**part, "text": ""}
            told += [
                self._tell("response.content_part.added", content_index=place, part=empty),
                self._tell("response.reasoning_text.delta", content_index=place, delta=text),
                self._tell("response.reasoning_text.done", content_index=place, text=text),
                self._tell("response.content_part.done", content_index=place, part=part),
            ]
        return told

    def _parts(self, name: str) -> list[JSONObject]:
        return cast("list[JSONObject]", self._item.get(name) or [])
