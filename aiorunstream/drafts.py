"""Messages that a run has begun to write and not yet ended, and what every such draft shares.

A draft takes pieces and returns the delta that tells of each; at the end it gives the whole. Pieces are joined once.
"""

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
    Usage,
)


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
        part, start, end, index = self._room_for(value)
        part.annotations.append(FileCitationAnnotation(value, FileCitation(file_id), start, end))
        cited = FileCitationDelta(file_id, quote)
        return self._text(value, (FileCitationDeltaAnnotation(index, value, cited, start, end),))

    def link(self, value: str, file_id: str) -> MessageDeltaEvent:
        """Adds text that stands for a file."""
        part, start, end, index = self._room_for(value)
        part.annotations.append(FilePathAnnotation(value, FilePath(file_id), start, end))
        return self._text(value, (FilePathDeltaAnnotation(index, value, FilePathDelta(file_id), start, end),))

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

    def _room_for(self, value: str) -> tuple[_TextPart, int, int, int]:
        """The part that the text goes to, where in it, and which of its annotations comes next."""
        part = self._text_part()
        return part, part.length, part.length + len(value), len(part.annotations)

    def _text(self, value: str, annotations: tuple[AnnotationDelta, ...]) -> MessageDeltaEvent:
        part = self._text_part()
        first = not part.pieces
        part.pieces.append(value)
        part.length += len(value)
        shown = annotations or (_NO_ANNOTATIONS_YET if first else ())
        return self._delta(TextDeltaBlock(self._index, TextDelta(value, shown)))

    def _delta(self, part: MessageContentDelta) -> MessageDeltaEvent:
        return MessageDeltaEvent(self.message.id, delta=MessageDelta(content=(part,)))


def add_usage(one: Usage | None, two: Usage) -> Usage:
    """Both together."""
    one = one or Usage()
    return Usage(
        one.completion_tokens + two.completion_tokens,
        one.prompt_tokens + two.prompt_tokens,
        one.total_tokens + two.total_tokens,
    )
