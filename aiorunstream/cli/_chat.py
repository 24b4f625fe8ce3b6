"""`aiorunstream chat`: a thread kept going in the terminal.

The main thread reads lines, the event loop has a thread of its own: so a prompt that waits keeps nothing else waiting, and
Ctrl-C always lands where it can be told what to do.
"""

import asyncio
import queue
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Annotated, NamedTuple

import typer
from anyio.from_thread import BlockingPortal, start_blocking_portal
from msgspec import UNSET

from ..client import AsyncClient
from ..errors import AiorunstreamError
from ..helper import AssistantStream
from ..models import RequiredActionFunctionToolCall
from ..server import AssistantsServer
from ..tools import ToolSet
from ._chat_show import AnswerDisplay, TalkConsole
from ._chat_tools import DEMO_TOOLS, load_tools
from ._options import OptionalBaseURL
from ._show import in_a_line, in_one_line
from ._terminal import Terminal

_DEMO_DELAY = 0.04
_PROMPT = "> "


class _Settings(NamedTuple):
    base_url: str | None
    assistant_id: str | None
    model: str | None
    instructions: str | None
    thread_id: str | None
    tools: ToolSet | None
    approve: bool


class _Question(NamedTuple):
    """Whether a call may be made; the main thread answers."""

    text: str
    answer: "Future[bool]"


def chat(
    *,
    base_url: OptionalBaseURL = None,
    assistant_id: Annotated[
        str | None, typer.Option("--assistant", "--assistant-id", "-a", help="The assistant; else one is made.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model, in place of the assistant's.")] = None,
    instructions: Annotated[str | None, typer.Option(help="What it is told, in place of the assistant's.")] = None,
    thread_id: Annotated[
        str | None, typer.Option("--thread", "--thread-id", "-t", help="The thread to go on with; else a new one.")
    ] = None,
    tools: Annotated[
        str | None, typer.Option(metavar="MODULE:TOOLSET", help="Functions it may call, in place of the assistant's.")
    ] = None,
    approve: Annotated[bool, typer.Option("--approve", help="Ask before each call.")] = False,
) -> None:
    """Talk with an assistant. The key comes from OPENAI_API_KEY.

    Ctrl-C stops an answer. At the prompt, Ctrl-C and Ctrl-D leave.
    """
    if base_url is None and (assistant_id or thread_id):
        raise typer.BadParameter("the server that is started here has neither: give --base-url too")
    if base_url is not None and not (assistant_id or model):
        raise typer.BadParameter("give --assistant, or --model for one that is made for this chat")
    toolset = load_tools(tools) if tools is not None else DEMO_TOOLS if base_url is None else None
    settings = _Settings(base_url, assistant_id, model, instructions, thread_id, toolset, approve)
    terminal = Terminal()
    try:
        with (
            terminal.listening(),
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(_opened(settings)) as talk,
        ):
            all_well = _keep_going(portal, talk, terminal)
    except AiorunstreamError as error:
        typer.echo(in_a_line(error), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:  # before it had begun
        raise typer.Exit(130) from None
    if not all_well and not terminal.is_interactive:
        raise typer.Exit(1)


# -- the main thread -------------------------------------------------------------------------------------------------


def _keep_going(portal: BlockingPortal, talk: "_Talk", terminal: Terminal) -> bool:
    """Line by line, answer by answer. Returns whether there was an answer to each."""
    if terminal.is_interactive:
        typer.echo(talk.welcome)
    all_well = True
    with suppress(KeyboardInterrupt):  # of the moment between two lines; the loop's thread must not hear of it
        while (line := terminal.line(_PROMPT)) is not None:
            if line.strip():
                all_well = _have_answered(portal, talk, terminal, line) and all_well
    return all_well


def _have_answered(portal: BlockingPortal, talk: "_Talk", terminal: Terminal, line: str) -> bool:
    with terminal.interrupting(lambda: portal.start_task_soon(talk.stop)):
        answered = portal.start_task_soon(talk.answer, line)
        while (question := _next(talk.questions)) is not None:
            said = terminal.line(f"{question.text} [y/N] ")
            if said is None:
                portal.start_task_soon(talk.stop)
            if question.answer.set_running_or_notify_cancel():
                question.answer.set_result(said is not None and said.strip().lower() in ("y", "yes"))
    return answered.result()


def _next(questions: "queue.SimpleQueue[_Question | None]") -> _Question | None:
    # A signal that comes just before a wait does not end it: it is handled when the wait is over, so none is long.
    while True:
        with suppress(queue.Empty):
            return questions.get(timeout=0.2)


# -- the loop's thread -----------------------------------------------------------------------------------------------


class _Talk:
    """A thread of a server, and how it goes on.

    Attributes:
        welcome: says where it is, and how to leave.
        questions: for the main thread, while there is an answer; None at its end.
    """

    def __init__(self, client: AsyncClient, thread_id: str, assistant_id: str, settings: _Settings) -> None:
        self._client = client
        self._thread_id = thread_id
        self._assistant_id = assistant_id
        self._settings = settings
        self._console = TalkConsole()
        self._answering: asyncio.Task[bool] | None = None
        self.questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self.welcome = f"{_where(thread_id, settings)} Ctrl-C stops an answer, Ctrl-D leaves."

    def stop(self) -> None:
        """Breaks the answer off; its run is cancelled."""
        if self._answering is not None:
            self._answering.cancel()

    async def answer(self, line: str) -> bool:
        """Shows what the assistant says to a line. Returns whether it was not an error; never raises one of ours."""
        # In a task of its own, so that breaking it off ends nothing else.
        self._answering = asyncio.get_running_loop().create_task(self._show_answer(line))
        try:
            await asyncio.wait({self._answering})
            return True if self._answering.cancelled() else self._answering.result()
        finally:
            self._answering = None
            self.questions.put(None)

    async def _show_answer(self, line: str) -> bool:
        display = AnswerDisplay(self._console)
        settings, tools = self._settings, self._settings.tools
        try:
            call = self._client.threads.runs.create_stream(
                self._thread_id,
                assistant_id=self._assistant_id,
                additional_messages=[{"role": "user", "content": line}],
                model=settings.model or UNSET,
                instructions=settings.instructions or UNSET,
                tools=UNSET if tools is None else tools.definitions,
                if_active="wait",
            )
            # Without tools of ours, a function that is asked for is answered as unknown, and the thread stays usable.
            approve = self._approve if settings.approve else None
            stream = AssistantStream(call, tools=tools or ToolSet(), event_handler=display, approve=approve)
            async with stream:
                async for piece in stream.text_deltas():
                    display.text(piece)
            display.end(stream)
        except AiorunstreamError as error:
            display.broke_off()
            typer.echo(in_a_line(error), err=True)
            return False
        except asyncio.CancelledError:
            display.stopped()
            raise
        return True

    async def _approve(self, call: RequiredActionFunctionToolCall) -> bool:
        question = _Question(in_one_line(f"Call {call.function.name} with {call.function.arguments}?"), Future())
        self.questions.put(question)
        return await asyncio.wrap_future(question.answer)


def _where(thread_id: str, settings: _Settings) -> str:
    if settings.base_url is not None:
        return f"This is {thread_id}."
    names = " or ".join(tool.name for tool in settings.tools or ())
    return "A server on this machine answers, without a model." + (f" Name {names}, and it is called." if names else "")


@asynccontextmanager
async def _opened(settings: _Settings) -> AsyncGenerator[_Talk]:
    """The client, and the server, assistant and thread as far as nobody has named them. An assistant is taken down again."""
    async with AsyncExitStack() as stack:
        base_url, key = settings.base_url, None
        if base_url is None:
            server = await stack.enter_async_context(AssistantsServer(delay=_DEMO_DELAY))
            base_url, key = server.base_url, ""  # the environment's key is for somebody else
        client = await stack.enter_async_context(
            AsyncClient(base_url=base_url, api_key=key, recover=True, cancel_on_exit=True)
        )
        if settings.thread_id is None:
            thread = await client.threads.create()
        else:
            thread = await client.threads.retrieve(settings.thread_id)
        assistant_id = settings.assistant_id
        if assistant_id is None:
            assistant_id = (await client.assistants.create(model=settings.model or "demo", name="aiorunstream chat")).id
            stack.push_async_callback(client.assistants.delete, assistant_id)
        yield _Talk(client, thread.id, assistant_id, settings)
