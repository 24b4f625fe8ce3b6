"""What the protocol promises of threads, messages, runs and lists, told in dicts and lists: the model itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from aiorunstream import RunStream

BEGINNING = ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
AGAIN = ["thread.run.step.completed", "thread.run.queued", "thread.run.in_progress"]
STEP = ["thread.run.step.created", "thread.run.step.in_progress"]
MESSAGE = ["thread.message.created", "thread.message.in_progress"]

Order = Literal["asc", "desc"]
Hold = Literal["never", "first", "second"]
"""In which of its turns a run is held. The second is the one that has tool outputs."""


@dataclass
class Note:
    """A message; its id is learnt from the first list it is in."""

    role: str
    text: str | None
    status: str = "completed"
    run: "Job | None" = None
    id: str = ""


@dataclass
class Talk:
    """A thread."""

    id: str
    notes: list[Note] = field(default_factory=list["Note"])
    jobs: list["Job"] = field(default_factory=list["Job"])
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    deleted: bool = False
    note_ids: list[str] = field(default_factory=list[str])
    """Of all messages that were ever seen on it, in their order."""

    @property
    def active(self) -> "Job | None":
        return next((job for job in self.jobs if job.active), None)


@dataclass
class Job:
    """A run."""

    id: str
    talk: Talk
    tool: bool
    hold: Hold
    turn: Literal["first", "second"] = "first"
    status: str = "in_progress"
    steps: list[list[str]] = field(default_factory=list[list[str]])
    note: Note | None = None
    calls: tuple[str, ...] = ()
    stream: RunStream | None = None
    heard: list[str] = field(default_factory=list[str])

    @property
    def active(self) -> bool:
        return self.status in ("in_progress", "requires_action")

    def begin_turn(self) -> None:
        """The engine has said the first thing of a turn."""
        self.status = "in_progress"
        if self.tool and self.turn == "first":
            self.steps.append(["tool_calls", "in_progress"])
            return
        self.steps.append(["message_creation", "in_progress"])
        self.note = Note("assistant", None, "in_progress", self)
        self.talk.notes.append(self.note)

    def end_turn(self) -> None:
        """The engine has said all of a turn."""
        if self.tool and self.turn == "first":
            self.status = "requires_action"
        else:
            self.end("completed", "completed")

    def end(self, status: str, note_status: str) -> None:
        self.status = status
        if self.steps[-1][1] == "in_progress":
            self.steps[-1][1] = status
        if self.note is not None:
            self.note.status = note_status

    def expected_events(self) -> list[str]:
        """What a stream of the present turn must have shown once it has ended, deltas left out."""
        names = [*(AGAIN if self.turn == "second" else BEGINNING), *STEP]
        asks = self.tool and self.turn == "first"
        if not asks:
            names += MESSAGE
        if self.status == "requires_action":
            return [*names, "thread.run.requires_action"]
        if self.status == "cancelled":
            names += ["thread.run.cancelling", *([] if asks else ["thread.message.incomplete"])]
            return [*names, "thread.run.step.cancelled", "thread.run.cancelled"]
        return [*names, "thread.message.completed", "thread.run.step.completed", "thread.run.completed"]


@dataclass
class Helper:
    """An assistant."""

    id: str
    deleted: bool = False


def active(job: Job) -> bool:
    return job.active


def held(job: Job) -> bool:
    return job.status == "in_progress"


def waiting(job: Job) -> bool:
    return job.status == "requires_action"


def streaming(job: Job) -> bool:
    return job.stream is not None


Place = int | Literal["unknown", "foreign"]
"""Where a cursor stands in a list, or why it does not."""


def expected_page(
    ever: Sequence[str], ids: Sequence[str], limit: int, order: str, after: str | None, before: str | None
) -> tuple[list[str], bool]:
    """One page of a list that is in order of creation, and whether there is more.

    Args:
        ever: all that have ever been in the list; a cursor may be any of them.
        ids: those that still are.
    """
    rest = list(ever) if order == "asc" else list(reversed(ever))
    if before is not None:
        rest = rest[: rest.index(before)]
    if after is not None:
        # What comes before the cursor is gone; where `before` has cut the cursor itself off, so is all.
        rest = rest[rest.index(after) + 1 :] if after in rest else []
    rest = [id for id in rest if id in ids]
    backwards = before is not None and after is None
    return (rest[-limit:] if backwards else rest[:limit]), len(rest) > limit
