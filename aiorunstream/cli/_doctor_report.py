"""What the doctor found, and how it is told: in one screen, or as JSON."""

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from ._doctor_seen import Seen
from ._show import harmless

Verdict = Literal["yes", "no", "refused", "fails", "silent", "not asked"]
"""The route is there; there is none; the key may not use it; it answers with a 5xx, a 429 or what is none of the protocol's;
with nothing; it could not be tried."""

_GROUPS: Mapping[str, Mapping[str, str]] = {
    "assistants": {"list_assistants": "list", "create_assistant": "create", "delete_assistant": "delete"},
    "threads": {"create_thread": "create", "retrieve_thread": "retrieve", "delete_thread": "delete"},
    "messages": {"create_message": "create", "list_messages": "list"},
    "runs": {
        "create_run": "stream",
        "retrieve_run": "retrieve",
        "list_runs": "list",
        "cancel_run": "cancel",
        "submit_tool_outputs": "tool outputs",
        "create_thread_and_run": "with a thread",
    },
    "steps": {"list_run_steps": "list"},
    "responses": {"create_response": "create"},
    "conversations": {"create_conversation": "create"},
}
ROUTES: tuple[str, ...] = tuple(name for group in _GROUPS.values() for name in group)
"""Every route that is looked for, by the name of its operation."""

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "streaming": ("create_run",),
    "tools": ("submit_tool_outputs",),
    "recover": ("retrieve_run", "list_messages", "list_run_steps"),
    "cancel_on_exit": ("cancel_run",),
    "reconcile": ("list_runs",),
    "if_active": ("retrieve_run", "list_runs"),
    "create_and_run": ("create_thread_and_run",),
}
"""What this client can do, and the routes that each takes."""

_BRIDGE = ("create_response", "create_conversation")


class Route(msgspec.Struct, frozen=True):
    """One route: the verdict, and the status that it was answered with."""

    verdict: Verdict = "not asked"
    status: int | None = None


class Streamed(msgspec.Struct, frozen=True):
    """The run that was streamed: the status it stopped with, and its figures; `problem` is what was raised in the end."""

    outcome: str | None
    events: int
    kinds: int
    size: int
    first_event_ms: float | None
    problem: str | None = None


class Report(msgspec.Struct, kw_only=True):
    """What is known of a server.

    Attributes:
        problem: why nothing more could be found out; None where nothing was in the way.
        routes: by the names of their operations.
        streamed, seen: of the run that was streamed, if one was.
        left_behind: what could not be taken away again.
    """

    base_url: str
    server: str | None = None
    model: str | None = None
    problem: str | None = None
    routes: dict[str, Route]
    streamed: Streamed | None = None
    seen: Seen | None = None
    left_behind: list[str]

    @property
    def streams(self) -> bool:
        """Whether events came."""
        return self.streamed is not None and self.streamed.events > 0

    @property
    def has_nothing(self) -> bool:
        """Whether every route that was asked for is not there."""
        return {route.verdict for route in self.routes.values()} <= {"no", "not asked"}

    @property
    def failing(self) -> dict[str, str]:
        """What will not work with this client, and why."""
        found = {name: why for name, needed in _NEEDS.items() if (why := self._lacking(needed))}
        if self.streamed is None or self.streamed.problem is not None:
            found.setdefault("streaming", self._stream_problem(recovers="recover" not in found))
        return found

    @property
    def advice(self) -> list[str]:
        """What to set, or to use."""
        return list(self._advice())

    def _stream_problem(self, *, recovers: bool) -> str:
        if self.streamed is None or self.streamed.problem is None:
            return "no run could be begun"
        if self.seen is not None and "no_stop" in self.seen.marks and "error" not in self.seen.marks:
            return f"streams end before their runs do{', but recover=True makes up for it' if recovers else ''}"
        return self.streamed.problem

    def _lacking(self, needed: tuple[str, ...]) -> str:
        told = {"no": "no route", "refused": "refused", "fails": "the server fails", "silent": "no answer"}
        lacking = [(name, self.routes[name].verdict) for name in needed if self.routes[name].verdict in told]
        return "; ".join(f"{told[verdict]} for {name}" for name, verdict in lacking)

    def _advice(self) -> Iterator[str]:
        marks = () if self.seen is None else self.seen.marks
        failing = self.failing
        if "growing_index" in marks or (self.seen is not None and self.seen.dialect == "astra"):
            yield 'AsyncClient(dialect="astra") puts the pieces of one text together'
        if self.seen is not None and self.seen.dialect == "litellm" and failing:
            yield "LiteLLM passes everything on below /openai in place of /v1"
        has = {name for name in _BRIDGE if self.routes[name].verdict == "yes"}
        if "create_response" in has and ("streaming" in failing or "tools" in failing):
            threads = "conversation" if "create_conversation" in has else "previous_response_id"
            yield f'the bridge may do more: ResponsesBackend(base_url, threads="{threads}")'

    def as_json(self) -> bytes:
        """All of it as one line of JSON."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        return msgspec.json.encode({**fields, "will_not_work": self.failing, "advice": self.advice}) + b"\n"

    def as_text(self) -> str:
        """All of it for people."""
        return "\n".join(harmless(line) for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.base_url}{f' ({self.server})' if self.server else ''}"
        if self.problem is not None:
            yield f"  {self.problem}"
        yield ""
        for group, names in _GROUPS.items():
            yield f"{group:<15}" + "   ".join(f"{what} {_told(self.routes[name])}" for name, what in names.items())
        yield ""
        yield from self._lines_of_stream()
        failing = self.failing
        yield f"{'will not work':<15}{'' if failing else 'nothing: all of this client can be used'}".rstrip()
        yield from (f"  {name:<15}{' '.join(why.split())}" for name, why in failing.items())
        yield from (f"{'try':<15}{advice}" for advice in self.advice)
        yield from (f"{'left behind':<15}{what}" for what in self.left_behind or ["nothing"])

    def _lines_of_stream(self) -> Iterator[str]:
        if (found := self.streamed) is None:
            yield f"{'stream':<15}none"
            return
        first = "" if found.first_event_ms is None else f", the first after {found.first_event_ms:,.0f} ms"
        model = f"; model {self.model}" if self.model else ""
        yield (
            f"{'stream':<15}{found.outcome or 'no outcome'}; {found.events} events of {found.kinds} kinds{first}; "
            f"{found.size:,} bytes{model}"
        )
        if found.problem is not None:
            yield f"  {' '.join(found.problem.split())}"
        if self.seen is not None and found.size:
            yield f"{'dialect':<15}{self.seen.dialect}"
            yield from (f"  {what}" for what in self.seen.told)


def _told(route: Route) -> str:
    return f"{route.verdict} ({route.status})" if route.verdict in ("fails", "refused") else route.verdict
