"""A message of a response's output, as it comes."""

from ...drafts import Mark
from ...items import Refuse
from ...models import JSONObject
from ._json import object_of, objects_of, place_of, text_of
from ._live import LiveItem, PiecedText
from ._said import Annotate, BeginMessage, Said


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
        self._length = 0  # a text that follows is one of its own
        return [Refuse(self._text(at, "refusal").add(piece))]

    def _rest(self, at: int, part: JSONObject) -> list[Said]:
        """What a part that is whole shows beyond what was said; not where another part was said meanwhile."""
        if any(known > at for known, _ in self._texts):
            return []
        if part.get("type") == "refusal":
            rest = self._text(at, "refusal").rest(text_of(part, "refusal"))
            self._length = 0 if rest else self._length
            return [Refuse(rest)] if rest else []
        said: list[Said] = []
        if rest := self._text(at, "output_text").rest(text_of(part, "text")):
            self._starts.setdefault(at, self._length)
            self._length += len(rest)
            said.append(rest)
        for annotation in objects_of(part, "annotations")[self._marks.get(at, 0) :]:
            said += self._annotate(at, annotation)
        return said

    def _annotate(self, at: int, annotation: JSONObject) -> list[Said]:
        self._marks[at] = self._marks.get(at, 0) + 1
        return [Annotate(_mark(annotation, self._starts.get(at, 0)))]


def _mark(annotation: JSONObject, offset: int) -> Mark:
    """An annotation in the protocol's words. What cites a file tells where it stands, and not how much it is about."""
    at, start, end = (offset + place_of(annotation, name) for name in ("index", "start_index", "end_index"))
    file_id = text_of(annotation, "file_id")
    match annotation.get("type"):
        case "url_citation":
            title = annotation.get("title")
            title = title if isinstance(title, str) else None
            return Mark("url_citation", start, end, url=text_of(annotation, "url"), title=title)
        case "container_file_citation":
            return Mark("file_path", start, end, file_id)
        case "file_path":
            return Mark("file_path", at, at, file_id)
        case "file_citation":
            return Mark("file_citation", at, at, file_id)
        case _:
            return Mark("other", other=annotation)
