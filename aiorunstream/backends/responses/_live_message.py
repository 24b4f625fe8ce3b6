"""A message of a response's output, as it comes."""

from ...items import Refuse
from ...models import JSONObject
from ._json import object_of, objects_of, place_of, text_of
from ._live import LiveItem, PiecedText
from ._marks import mark
from ._said import Annotate, BeginMessage, Said

_SHOWN = ("", "output_text", "text", "refusal")


def is_shown(part: JSONObject) -> bool:
    """Whether a part of a message is one that a reader sees. Some servers tell thoughts as a part of what follows them."""
    return text_of(part, "type") in _SHOWN


class MessageItem(LiveItem):
    """A message. Texts that follow each other are one text for a run: annotations are moved along."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self._begun = False
        self._texts: dict[tuple[int, str], PiecedText] = {}
        self._starts: dict[int, int] = {}  # of each part, in the text that it became a piece of
        self._length = 0  # of the text that is being said
        self._marks: dict[int, int] = {}

    def go_on(self, type: str, event: JSONObject) -> list[Said]:
        at = place_of(event, "content_index")
        said = self._begin()
        match type:
            case "response.output_text.delta":
                return [*said, *self._say(at, text_of(event, "delta"))]
            case "response.output_text.done":
                return [*said, *self._rest(at, {"type": "output_text", "text": event.get("text")})]
            case "response.refusal.delta":
                return [*said, *self._refuse(at, text_of(event, "delta"))]
            case "response.refusal.done":
                return [*said, *self._rest(at, {"type": "refusal", "refusal": event.get("refusal")})]
            case "response.output_text.annotation.added":
                return [*said, *self._annotate(at, object_of(event, "annotation"))]
            case "response.content_part.done":
                return [*said, *self._rest(at, object_of(event, "part"))]
            case _:
                return said

    def end(self, item: JSONObject) -> list[Said]:
        said = self._begin()
        for at, part in enumerate(objects_of(item, "content")):
            said += self._rest(at, part)
        return said

    def told(self) -> JSONObject:
        parts: list[JSONObject] = [
            {"type": "refusal", "refusal": said.text} if kind == "refusal" else {"type": kind, "text": said.text}
            for (_, kind), said in sorted(self._texts.items(), key=lambda part: part[0])
            if said.text
        ]
        told = {"type": "message", "role": "assistant", "status": "completed", "content": parts}
        return {**({"id": self.id} if self.id else {}), **told} if parts else {}

    def _begin(self) -> list[Said]:
        if self._begun:
            return []
        self._begun = True
        return [BeginMessage(self.id or None)]

    def _text(self, at: int, kind: str) -> PiecedText:
        return self._texts.setdefault((at, kind), PiecedText())

    def _say(self, at: int, piece: str) -> list[Said]:
        if not piece:
            return []
        self._starts.setdefault(at, self._length)
        self._length += len(piece)
        return [self._text(at, "output_text").add(piece)]

    def _refuse(self, at: int, piece: str) -> list[Said]:
        if not piece:
            return []
        self._end_text()
        return [Refuse(self._text(at, "refusal").add(piece))]

    def _end_text(self) -> None:
        """A text that follows is one of its own, and nothing is added to the one before."""
        self._length = 0
        self._starts.clear()

    def _rest(self, at: int, part: JSONObject) -> list[Said]:
        """What a part that is whole shows beyond what was said; no words, where another part was said meanwhile."""
        if not is_shown(part):
            return []
        said: list[Said] = []
        if not self._is_passed(at):
            said += self._rest_of_refusal(at, part) if part.get("type") == "refusal" else self._rest_of_text(at, part)
        for annotation in objects_of(part, "annotations")[self._marks.get(at, 0) :]:
            said += self._annotate(at, annotation)
        return said

    def _rest_of_text(self, at: int, part: JSONObject) -> list[Said]:
        if not (rest := self._text(at, "output_text").rest(text_of(part, "text"))):
            return []
        self._starts.setdefault(at, self._length)
        self._length += len(rest)
        return [rest]

    def _rest_of_refusal(self, at: int, part: JSONObject) -> list[Said]:
        if not (rest := self._text(at, "refusal").rest(text_of(part, "refusal"))):
            return []
        self._end_text()
        return [Refuse(rest)]

    def _is_passed(self, at: int) -> bool:
        return any(known > at for known, _ in self._texts)

    def _annotate(self, at: int, annotation: JSONObject) -> list[Said]:
        if self._is_passed(at) and at not in self._starts:
            return []  # its text is over: what is annotated now would be another
        self._marks[at] = self._marks.get(at, 0) + 1
        return [Annotate(mark(annotation, self._starts.get(at, 0)))]
