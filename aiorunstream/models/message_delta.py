"""What changed in a message while it streams.

`index` says which part of the message, or which annotation of a text, a fragment belongs to.
Fragments of text and of a refusal are concatenated.
"""

from typing import TYPE_CHECKING, ClassVar, Literal

from ._base import Model, Partial, UnknownPart
from .message import MessageRole


class FileCitationDelta(Partial, frozen=True):
    """The file that is cited."""

    file_id: str | None = None
    quote: str | None = None


class FileCitationDeltaAnnotation(Partial, frozen=True, tag="file_citation"):
    """A fragment of a citation."""

    type: ClassVar[Literal["file_citation"]] = "file_citation"
    index: int
    text: str | None = None
    file_citation: FileCitationDelta | None = None
    start_index: int | None = None
    end_index: int | None = None


class FilePathDelta(Partial, frozen=True):
    """The file that was made."""

    file_id: str | None = None


class FilePathDeltaAnnotation(Partial, frozen=True, tag="file_path"):
    """A fragment of a link to a file."""

    type: ClassVar[Literal["file_path"]] = "file_path"
    index: int
    text: str | None = None
    file_path: FilePathDelta | None = None
    start_index: int | None = None
    end_index: int | None = None


if TYPE_CHECKING:
    AnnotationDelta = FileCitationDeltaAnnotation | FilePathDeltaAnnotation | UnknownPart
else:
    AnnotationDelta = FileCitationDeltaAnnotation | FilePathDeltaAnnotation


class TextDelta(Partial, frozen=True):
    """More text; `value` may be missing where only annotations arrive."""

    value: str | None = None
    annotations: tuple[AnnotationDelta, ...] = ()


class TextDeltaBlock(Partial, frozen=True, tag="text"):
    """A fragment of a text part."""

    type: ClassVar[Literal["text"]] = "text"
    index: int
    text: TextDelta | None = None


class ImageFileDelta(Partial, frozen=True):
    """An image by file id."""

    file_id: str | None = None
    detail: Literal["auto", "low", "high"] | str | None = None


class ImageFileDeltaBlock(Partial, frozen=True, tag="image_file"):
    """An image that was uploaded or drawn."""

    type: ClassVar[Literal["image_file"]] = "image_file"
    index: int
    image_file: ImageFileDelta | None = None


class ImageURLDelta(Partial, frozen=True):
    """An image by address."""

    url: str | None = None
    detail: Literal["auto", "low", "high"] | str | None = None


class ImageURLDeltaBlock(Partial, frozen=True, tag="image_url"):
    """An image elsewhere."""

    type: ClassVar[Literal["image_url"]] = "image_url"
    index: int
    image_url: ImageURLDelta | None = None


class RefusalDeltaBlock(Partial, frozen=True, tag="refusal"):
    """A fragment of a refusal."""

    type: ClassVar[Literal["refusal"]] = "refusal"
    index: int
    refusal: str | None = None


if TYPE_CHECKING:
    MessageContentDelta = ImageFileDeltaBlock | TextDeltaBlock | RefusalDeltaBlock | ImageURLDeltaBlock | UnknownPart
else:
    MessageContentDelta = ImageFileDeltaBlock | TextDeltaBlock | RefusalDeltaBlock | ImageURLDeltaBlock


class MessageDelta(Partial, frozen=True):
    """What changed."""

    role: MessageRole | None = None
    content: tuple[MessageContentDelta, ...] = ()


class MessageDeltaEvent(Model, frozen=True):
    """What changed in the message `id`."""

    id: str
    object: Literal["thread.message.delta"] | str = "thread.message.delta"
    delta: MessageDelta = MessageDelta()

    @property
    def text(self) -> str:
        """The new text of all text parts, joined; empty where there is none."""
        return "".join(
            [
                part.text.value
                for part in self.delta.content
                if isinstance(part, TextDeltaBlock) and part.text is not None and part.text.value
            ]
        )
