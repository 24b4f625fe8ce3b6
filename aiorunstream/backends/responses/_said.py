"""What a response may say, for the machine of a run: all that an engine may, and what only a response does."""

import msgspec

from ...drafts import Mark
from ...items import Item


class BeginMessage(msgspec.Struct, frozen=True):
    """A message begins, although nothing of it was said. With an `id` it has that, unless it is taken."""

    id: str | None = None


class Annotate(msgspec.Struct, frozen=True):
    """An annotation of text that the message says already."""

    mark: Mark


class Answered(msgspec.Struct, frozen=True):
    """The server has called a function itself: nobody waits for its output."""

    call_id: str
    output: str


class Finish(msgspec.Struct, frozen=True):
    """All is said."""


Said = Item | BeginMessage | Annotate | Answered | Finish
