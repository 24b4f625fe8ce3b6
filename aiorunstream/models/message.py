"""A message of a thread, and the content it is made of."""

from typing import TYPE_CHECKING, ClassVar, Literal

from ._base import Metadata, Model, Partial, Seconds, UnknownPart
from .tool import CodeInterpreterTool, FileSearchTool

MessageStatus = Literal["in_progress", "incomplete", "completed"] | str
MessageRole = Literal["user", "assistant"] | str


class FileCitation(Partial, frozen=True):
    """The file that is cited. `quote` is sent by Azure."""

    file_id: str = ""
    quote: str | None = None


class FileCitationAnnotation(Model, frozen=True, tag="file_citation"):
    """A citation of a file. `text` stands in the message between `start_index` and `end_index`, in characters."""

    type: ClassVar[Literal["file_citation"]] = "file_citation"
    text: str = ""
    file_citation: FileCitation = FileCitation()
    start_index: int = 0
    end_index: int = 0


class FilePath(Model, frozen=True):
    """The file that was made."""

    file_id: str = ""


class FilePathAnnotation(Model, frozen=True, tag="file_path"):
    """A link to a file that the code interpreter made."""

    type: ClassVar[Literal["file_path"]] = "file_path"
    text: str = ""
    file_path: FilePath = FilePath()
    start_index: int = 0
    end_index: int = 0


if TYPE_CHECKING:
    Annotation = FileCitationAnnotation | FilePathAnnotation | UnknownPart
else:
    Annotation = FileCitationAnnotation | FilePathAnnotation


class Text(Model, frozen=True):
    """Text with its annotations."""

    value: str = ""
    annotations: tuple[Annotation, ...] = ()


class TextContentBlock(Model, frozen=True, tag="text"):
    """A part of a message that is text."""

    type: ClassVar[Literal["text"]] = "text"
    text: Text


class ImageFile(Partial, frozen=True):
    """An image by file id."""

    file_id: str
    detail: Literal["auto", "low", "high"] | str | None = None


class ImageFileContentBlock(Model, frozen=True, tag="image_file"):
    """A part of a message that is an uploaded image."""

    type: ClassVar[Literal["image_file"]] = "image_file"
    image_file: ImageFile


class ImageURL(Partial, frozen=True):
    """An image by address."""

    url: str
    detail: Literal["auto", "low", "high"] | str | None = None


class ImageURLContentBlock(Model, frozen=True, tag="image_url"):
    """A part of a message that is an image elsewhere."""

    type: ClassVar[Literal["image_url"]] = "image_url"
    image_url: ImageURL


class RefusalContentBlock(Model, frozen=True, tag="refusal"):
    """A part of a message in which the model declines."""

    type: ClassVar[Literal["refusal"]] = "refusal"
    refusal: str = ""


if TYPE_CHECKING:
    MessageContent = ImageFileContentBlock | ImageURLContentBlock | TextContentBlock | RefusalContentBlock | UnknownPart
    AttachmentTool = CodeInterpreterTool | FileSearchTool | UnknownPart
else:
    MessageContent = ImageFileContentBlock | ImageURLContentBlock | TextContentBlock | RefusalContentBlock
    AttachmentTool = CodeInterpreterTool | FileSearchTool


class Attachment(Partial, frozen=True):
    """A file that came with a message, and the tools that may read it."""

    file_id: str | None = None
    tools: tuple[AttachmentTool, ...] = ()


class MessageIncompleteDetails(Model, frozen=True):
    """Why a message ended incomplete."""

    reason: Literal["content_filter", "max_tokens", "run_cancelled", "run_expired", "run_failed"] | str | None = None


class Message(Model, frozen=True):
    """A message of a thread. All times are Unix seconds."""

    id: str
    object: Literal["thread.message"] | str = "thread.message"
    created_at: Seconds | None = None
    thread_id: str = ""
    status: MessageStatus | None = None
    incomplete_details: MessageIncompleteDetails | None = None
    completed_at: Seconds | None = None
    incomplete_at: Seconds | None = None
    role: MessageRole | None = None
    content: tuple[MessageContent, ...] = ()
    assistant_id: str | None = None
    run_id: str | None = None
    attachments: tuple[Attachment, ...] | None = None
    metadata: Metadata | None = None

    @property
    def text(self) -> str:
        """The text parts, joined; empty where there are none."""
        return "".join([part.text.value for part in self.content if isinstance(part, TextContentBlock)])


class MessageDeleted(Model, frozen=True):
    """The answer to the deletion of a message."""

    id: str
    object: Literal["thread.message.deleted"] | str = "thread.message.deleted"
    deleted: bool = True
