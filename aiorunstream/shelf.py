"""What the store keeps its objects on: by id, in order of creation, given out a page at a time."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from .intake import Paging, StoreError, invalid
from .models import Message, Page, Run, RunStep, Thread


class _Kept(Protocol):
    @property
    def id(self) -> str: ...


K = TypeVar("K", bound=_Kept)

MOST_REMOVED = 10_000
"""Of how many removed objects a shelf knows where they stood: of the last ones, some 2 MB. Whoever lists and removes needs the
last page's."""


class Shelf(Generic[K]):
    """Objects of one kind by id, in order of creation. `noun` names the kind in errors.

    Each has a number, larger than any before. It is known for a while after the object is gone, so that a list can go on
    from there: those who list a page and remove what is on it ask for what comes after the last of them.
    """

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._items: dict[str, K] = {}
        self._numbers: dict[str, int] = {}
        self._removed: dict[str, int] = {}
        self._made = 0

    @property
    def last(self) -> K | None:
        """The newest."""
        return next(reversed(self._items.values()), None)

    def put(self, item: K) -> K:
        """Keeps an object, in place of the one with its id if there is one, and returns it."""
        if item.id not in self._items:
            self._made += 1
            self._numbers[item.id] = self._made
            self._removed.pop(item.id, None)
        self._items[item.id] = item
        return item

    def find(self, id: str) -> K | None:
        """The object, or None."""
        return self._items.get(id)

    def get(self, id: str) -> K:
        """The object. Raises `StoreError`: there is none."""
        try:
            return self._items[id]
        except KeyError:
            raise StoreError("not_found", f"No {self._noun} found with id '{id:.128}'.") from None

    def remove(self, id: str) -> None:
        """Forgets the object. Raises `StoreError`: there is none."""
        self.get(id)
        del self._items[id]
        self._removed[id] = self._numbers.pop(id)
        if len(self._removed) > MOST_REMOVED:
            del self._removed[next(iter(self._removed))]

    def all(self) -> tuple[K, ...]:
        """Every object, oldest first."""
        return tuple(self._items.values())

    def page(self, paging: Paging, keep: Callable[[K], bool] | None = None) -> Page[K]:
        """One page of those that `keep` keeps. Raises `StoreError`: a cursor was never on this shelf, or too long ago."""
        items = [item for item in self._items.values() if keep is None or keep(item)]
        sign = 1
        if paging.order == "desc":
            items.reverse()
            sign = -1
        start, end = 0, len(items)
        numbers = [] if paging.after is paging.before is None else [sign * self._numbers[item.id] for item in items]
        if paging.after is not None:
            start = bisect_right(numbers, sign * self._number("after", paging.after))
        if paging.before is not None:
            end = bisect_left(numbers, sign * self._number("before", paging.before))
        if paging.before is not None and paging.after is None:  # the page that ends where the caller's begins
            found, more = items[max(0, end - paging.limit) : end], end > paging.limit
        else:
            found, more = items[start:end][: paging.limit], end - start > paging.limit
        ends = (found[0].id, found[-1].id) if found else (None, None)
        return Page(tuple(found), first_id=ends[0], last_id=ends[1], has_more=more)

    def _number(self, name: str, id: str) -> int:
        number = self._numbers.get(id) or self._removed.get(id)
        if number is None:
            raise invalid(f"{name}: no {self._noun} with id '{id:.128}' is in this list.", name)
        return number


class ThreadRecord:
    """All that belongs to one thread. `steps` are kept by run id."""

    def __init__(self, thread: Thread) -> None:
        self.thread = thread
        self.messages: Shelf[Message] = Shelf("message")
        self.runs: Shelf[Run] = Shelf("run")
        self.steps: dict[str, Shelf[RunStep]] = {}

    @property
    def id(self) -> str:
        """The thread's."""
        return self.thread.id

    @property
    def active_run(self) -> Run | None:
        """The run that is not over. Only the newest can be: another is refused while there is one."""
        run = self.runs.last
        return None if run is None or run.is_terminal else run

    def steps_of(self, run_id: str) -> Shelf[RunStep]:
        """The steps of a run. Raises `StoreError`: there is no such run."""
        self.runs.get(run_id)
        return self.steps.setdefault(run_id, Shelf("run step"))
