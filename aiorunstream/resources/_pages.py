"""Lists: awaited they are one page, iterated they are every item of every page."""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from typing import Any, Generic, Literal, Self, TypeVar

from msgspec import UNSET, UnsetType

from .. import checks
from ..errors import InvalidArgumentError
from ..models import Page

T = TypeVar("T")
Order = Literal["asc", "desc"]
Fetch = Callable[[Mapping[str, str]], Awaitable[Page[T]]]

_LIMIT = checks.whole(1, 100)


class AsyncPage(Generic[T]):
    """One page of a list. `async for` goes over its items and those of every page after it.

    Attributes:
        data: the items of this page.
        first_id, last_id: of its first and last item.
        has_more: whether there is another page.
    """

    def __init__(self, page: Page[T], query: Mapping[str, str], fetch: Fetch[T]) -> None:
        self._query = query
        self._fetch = fetch
        self.data = page.data
        self.has_more = page.has_more
        self.first_id = page.first_id
        self.last_id = page.last_id or _id_of(page.data[-1] if page.data else None)

    def has_next_page(self) -> bool:
        """Whether `get_next_page` would find something."""
        # A server that ignores `after` would give the same page for ever.
        return self.has_more and self.last_id not in (None, self._query.get("after")) and bool(self.data)

    async def get_next_page(self) -> "AsyncPage[T]":
        """Fetches the page after this one, in the same order.

        Raises:
            InvalidArgumentError: this is the last one.
        """
        if not self.has_next_page():
            raise InvalidArgumentError("this is the last page")
        # Paging goes on from `after`; a `before` of the first request has been used up.
        query = {name: value for name, value in self._query.items() if name != "before"}
        query["after"] = str(self.last_id)
        return AsyncPage(await self._fetch(query), query, self._fetch)

    def __aiter__(self) -> AsyncIterator[T]:
        return _Items(self)

    def __repr__(self) -> str:
        return f"<AsyncPage of {len(self.data)} items, has_more={self.has_more}>"


class _Items(AsyncIterator[T]):
    """All items from one page on. Holds no connection between two items; a cancelled step loses nothing."""

    def __init__(self, page: AsyncPage[T] | None, first: "ListCall[T] | None" = None) -> None:
        self._page = page
        self._first = first
        self._place = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._page is None:
            assert self._first is not None
            self._page = await self._first
        while self._place >= len(self._page.data):
            if not self._page.has_next_page():
                raise StopAsyncIteration
            self._page = await self._page.get_next_page()
            self._place = 0
        self._place += 1
        return self._page.data[self._place - 1]


class ListCall(Awaitable[AsyncPage[T]], Generic[T]):
    """A list that has not been asked for: await it for one page, or iterate it with `async for` for all of them."""

    def __init__(self, query: Mapping[str, str], fetch: Fetch[T]) -> None:
        self._query = query
        self._fetch = fetch

    def __await__(self) -> Generator[Any, Any, AsyncPage[T]]:
        return self._first().__await__()

    def __aiter__(self) -> AsyncIterator[T]:
        return _Items(None, self)

    async def _first(self) -> AsyncPage[T]:
        return AsyncPage(await self._fetch(self._query), self._query, self._fetch)


def list_query(
    *,
    limit: int | UnsetType,
    order: Order | UnsetType,
    after: str | UnsetType,
    before: str | UnsetType,
    run_id: str | UnsetType = UNSET,
) -> dict[str, str]:
    """The query of a list. Raises `InvalidArgumentError`, naming the parameter."""
    given = {"limit": limit, "order": order, "after": after, "before": before, "run_id": run_id}
    query: dict[str, str] = {}
    for name, value in given.items():
        if value is UNSET:
            continue
        if name == "limit":
            _LIMIT(name, value)
        elif name == "order":
            checks.one_of("asc", "desc")(name, value)
        else:
            checks.path_id(name, value)
        query[name] = str(value)
    return query


def _id_of(item: object) -> str | None:
    found: object = getattr(item, "id", None)
    return found if isinstance(found, str) else None
