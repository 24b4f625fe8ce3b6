"""Messages that a run has begun to write and not yet ended, and what every such draft shares.

A draft takes pieces and returns the delta that tells of each; at the end it gives the whole. Pieces are joined once.
"""

from typing import Literal

import msgspec

from .models import (
    Annotation,
    AnnotationDelta,
    FileCitation,
    FileCitationAnnotation,
    FileCitationDelta,
    FileCitationDeltaAnnotation,
    FilePath,
    FilePathAnnotation,
    FilePathDelta,
    FilePathDeltaAnnotation,
    ImageFile,
    ImageFileContentBlock,
    ImageFileDelta,
    ImageFileDeltaBlock,
    JSONObject,
    Message,
    MessageContent,
    MessageContentDelta,
    MessageDelta,
    MessageDeltaEvent,
    RefusalContentBlock,
    RefusalDeltaBlock,
    Text,
    TextContentBlock,
    TextDelta,
    TextDeltaBlock,
    UnknownPart,
    Usage,
)
from .spent import add_usage


class _Shown(tuple[AnnotationDelta, ...]):
    """An empty tuple that is written as `[]`: optional parts are left out where they are their default, by identity."""

    __slots__ = ()


_NO_ANNOTATIONS_YET = _Shown()


class Draft:
    """What is open in the step `step_id`, and what the step has spent."""

    def __init__(self, step_id: str) -> None:
        self.step_id = step_id
        self.usage: Usage | None = None

    def spend(self, usage: Usage) -> None:
        """Adds to what was spent."""
        self.usage = add_usage(self.usage, usage)


MarkKind = Literal["file_citation", "file_path", "url_citation", "other"]


class Mark(msgspec.Struct, frozen=True):
    """An annotation of a text of the message, from `start` to `end` in its characters.

    Files have `file_id`, and pages `url` and `title`. `quote` is only in the delta, as at OpenAI. One of another kind
    stays as it is.
    """

    kind: MarkKind
    start: int = 0
    end: int = 0
    file_id: str | None = None
    quote: str | None = None
    url: str | None = None
    title: str | None = None
    other: JSONObject | None = None

    def annotations(self, text: str, index: int) -> tuple[Annotation, AnnotationDelta]:
        """It, around the text it is about, for the message and for the delta."""
        start, end, file_id = self.start, self.end, self.file_id or ""
        if self.kind == "file_citation":
            whole = FileCitationAnnotation(text, FileCitation(file_id), start, end)
            return whole, FileCitationDeltaAnnotation(index, text, FileCitationDelta(file_id, self.quote), start, end)
        if self.kind == "file_path":
            link = FilePathAnnotation(text, FilePath(file_id), start, end)
            return link, FilePathDeltaAnnotation(index, text, FilePathDelta(file_id), start, end)
        if self.other is not None:
            return UnknownPart(self.other), UnknownPart({**self.other, "index": index})
        place = {"type": self.kind, "text": text, "start_index": start, "end_index": end}
        cited: dict[str, object] = {**place, "url_citation": {"url": self.url, "title": self.title}}
        return UnknownPart(cited), UnknownPart({"index": index, **cited})


class _TextPart:
    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self.annotations: list[Annotation] = []

    def whole(self) -> MessageContent:
        return TextContentBlock(Text("".join(self.pieces), tuple(self.annotations)))


class _RefusalPart:
    def __init__(self) -> None:
        self.pieces: list[str] = []

    def whole(self) -> MessageContent:
        return RefusalContentBlock("".join(self.pieces))


class _ImagePart:
    def __init__(self, image: ImageFile) -> None:
        self.image = image

    def whole(self) -> MessageContent:
        return ImageFileContentBlock(self.image)


class MessageDraft(Draft):
    """A message that is being written. `message` is it at its beginning.

    Its parts follow each other as they are said: a piece of text goes to the last part, if that is text, or begins one.
    """

    def __init__(self, step_id: str, message: Message) -> None:
        super().__init__(step_id)
        self.message = message
        self._parts: list[_TextPart | _RefusalPart | _ImagePart] = []

    def say(self, value: str) -> MessageDeltaEvent:
        """Adds text. The first delta of each text shows that there are no annotations, as OpenAI's does."""
        return self._text(value, ())

    def cite(self, value: str, file_id: str, quote: str | None) -> MessageDeltaEvent:
        """Adds text that cites a file."""
        return self._marked(value, Mark("file_citation", file_id=file_id, quote=quote))

    def cite_url(self, value: str, url: str, title: str | None) -> MessageDeltaEvent:
        """Adds text that cites a page."""
        return self._marked(value, Mark("url_citation", url=url, title=title))

    def link(self, value: str, file_id: str) -> MessageDeltaEvent:
        """Adds text that stands for a file."""
        return self._marked(value, Mark("file_path", file_id=file_id))

    def _marked(self, value: str, mark: Mark) -> MessageDeltaEvent:
        part = self._text_part()
        mark = msgspec.structs.replace(mark, start=part.length, end=part.length + len(value))
        whole, delta = mark.annotations(value, len(part.annotations))
        part.annotations.append(whole)
        return self._text(value, (delta,))

    def annotate(self, mark: Mark) -> MessageDeltaEvent:
        """Adds an annotation of what the last text, if the last part is one, says already."""
        part = self._text_part()
        whole, delta = mark.annotations("".join(part.pieces)[mark.start : mark.end], len(part.annotations))
        part.annotations.append(whole)
        return self._delta(TextDeltaBlock(self._index, TextDelta(None, (delta,))))

    def refuse(self, value: str) -> MessageDeltaEvent:
        """Adds to a refusal."""
        part = self._parts[-1] if self._parts else None
        if not isinstance(part, _RefusalPart):
            part = _RefusalPart()
            self._parts.append(part)
        part.pieces.append(value)
        return self._delta(RefusalDeltaBlock(self._index, value))

    def show(self, file_id: str, detail: str | None) -> MessageDeltaEvent:
        """Adds an image."""
        self._parts.append(_ImagePart(ImageFile(file_id, detail)))
        return self._delta(ImageFileDeltaBlock(self._index, ImageFileDelta(file_id, detail)))

    def content(self) -> tuple[MessageContent, ...]:
        """What the message has come to; an empty text where nothing was said."""
        return tuple(part.whole() for part in self._parts) or (TextContentBlock(Text("")),)

    @property
    def _index(self) -> int:
        return len(self._parts) - 1

    def _text_part(self) -> _TextPart:
        part = self._parts[-1] if self._parts else None
        if not isinstance(part, _TextPart):
            part = _TextPart()
            self._parts.append(part)
        return part

    def _text(self, value: str, annotations: tuple[AnnotationDelta, ...]) -> MessageDeltaEvent:
        part = self._text_part()
        first = not part.pieces
        part.pieces.append(value)
        part.length += len(value)
        shown = annotations or (_NO_ANNOTATIONS_YET if first else ())
        return self._delta(TextDeltaBlock(self._index, TextDelta(value, shown)))

    def _delta(self, part: MessageContentDelta) -> MessageDeltaEvent:
        return MessageDeltaEvent(self.message.id, delta=MessageDelta(content=(part,)))
