"""One page of a list."""

from typing import Generic, Literal, TypeVar

import msgspec

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """One page of a list, newest first unless `order` said otherwise; the next begins `after=last_id`."""

    data: tuple[T, ...] = ()
    object: Literal["list"] | str = "list"
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False
