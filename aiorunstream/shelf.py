"""What the store keeps its objects on: by id, in order of creation, given out a page at a time."""

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from .intake import Paging, StoreError, invalid
from .models import Message, Page, Run, RunStep, Thread


class _Kept(Protocol):
    @property
    def id(self) -> str: ...


K = TypeVar("K", bound=_Kept)


class Shelf(Generic[K]):
    """Objects of one kind by id, in order of creation. `noun` names the kind in errors."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._items: dict[str, K] = {}

    @property
    def last(self) -> K | None:
        """The newest."""
        return next(reversed(self._items.values()), None)

    def put(self, item: K) -> K:
        """Keeps an object, in place of the one with its id if there is one, and returns it."""
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

    def all(self) -> tuple[K, ...]:
        """Every object, oldest first."""
        return tuple(self._items.values())

    def page(self, paging: Paging, keep: Callable[[K], bool] | None = None) -> Page[K]:
        """One page of those that `keep` keeps. Raises `StoreError`: a cursor is not in the list."""
        items = [item for item in self._items.values() if keep is None or keep(item)]
        if paging.order == "desc":
            items.reverse()
        start = 0 if paging.after is None else self._place(items, "after", paging.after) + 1
        end = len(items) if paging.before is None else self._place(items, "before", paging.before)
        if paging.before is not None and paging.after is None:  # the page that ends where the caller's begins
            found, more = items[max(0, end - paging.limit) : end], end > paging.limit
        else:
            found, more = items[start:end][: paging.limit], end - start > paging.limit
        ends = (found[0].id, found[-1].id) if found else (None, None)
        return Page(tuple(found), first_id=ends[0], last_id=ends[1], has_more=more)

    def _place(self, items: Sequence[K], name: str, id: str) -> int:
        for place, item in enumerate(items):
            if item.id == id:
                return place
        raise invalid(f"{name}: no {self._noun} with id '{id:.128}' is in this list.", name)


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
