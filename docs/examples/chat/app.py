"""A chat in the browser. What is said streams from a run, functions are called here, and Stop cancels the run.

    pip install "aiorunstream[web]"
    python app.py

By itself it starts a server of the protocol that needs no model. With a server of yours:

    OPENAI_BASE_URL=http://localhost:4000/v1 OPENAI_API_KEY=... CHAT_MODEL=... python app.py

`CHAT_ASSISTANT` names an assistant that exists; without it, one is made with `CHAT_MODEL`, and deleted at the end.
"""

import asyncio
import json
import os
import re
import secrets
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

from aiorunstream import (
    AiorunstreamError,
    APIError,
    APIStatusError,
    AsyncClient,
    Message,
    NotFoundError,
    RunStep,
    ToolSet,
    Usage,
    function_tool,
)
from aiorunstream.relay import RunStreamResponse
from aiorunstream.server import AssistantsServer, CallTool, Item, MoreArguments, Pause, Say, Turn

PAGE = Path(__file__).with_name("index.html")
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; img-src data:; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}

# -- what the assistant may call -------------------------------------------------------------------------------------

SKIES = ("a clear sky", "a few clouds", "rain until the evening", "fog in the morning", "thunder", "sun and wind")


@function_tool(timeout=10)
async def get_weather(city: str) -> dict[str, str | int]:
    """The weather in a city. It is made up.

    Args:
        city: where.
    """
    await asyncio.sleep(0.7)  # so that there is something to see
    number = zlib.crc32(city.casefold().encode())
    return {"city": city, "degrees": number % 29 - 2, "sky": SKIES[number % len(SKIES)]}


@function_tool
def roll_dice(
    count: Annotated[int, msgspec.Meta(ge=1, le=20)] = 2, sides: Annotated[int, msgspec.Meta(ge=2, le=100)] = 6
) -> list[int]:
    """Rolls dice, and returns what each shows.

    Args:
        count: how many.
        sides: of each.
    """
    return [secrets.randbelow(sides) + 1 for _ in range(count)]


TOOLS = ToolSet([get_weather, roll_dice])

# -- what the page asks for ------------------------------------------------------------------------------------------

EVENTS = (  # all that the page shows; the rest stays here
    "thread.message.delta",
    "thread.message.completed",
    "thread.message.incomplete",
    "thread.run.step.delta",
    "thread.run.step.completed",
    "thread.run.requires_action",
    "thread.run.completed",
    "thread.run.failed",
    "thread.run.incomplete",
    "thread.run.cancelled",
    "thread.run.expired",
)


class Chat(NamedTuple):
    """What every request works with."""

    client: AsyncClient
    assistant_id: str


class Question(BaseModel):
    """What somebody typed."""

    text: str = Field(min_length=1, max_length=8000)


def get_chat(request: Request) -> Chat:
    """The chat that was opened with the app."""
    chat: Chat = request.state.chat
    return chat


CurrentChat = Annotated[Chat, Depends(get_chat)]
routes = APIRouter()


@routes.get("/")
async def page() -> FileResponse:
    """The page itself; everything is in it."""
    return FileResponse(PAGE, headers=PAGE_HEADERS)


@routes.post("/api/threads")
async def create_thread(chat: CurrentChat) -> dict[str, str]:
    """Begins a conversation. In an app with users, note here whose it is, and check that in the two handlers below."""
    return {"id": (await chat.client.threads.create()).id}


@routes.get("/api/threads/{thread_id}")
async def read_thread(thread_id: str, chat: CurrentChat) -> Response:
    """What was said so far, oldest first: messages, and before those of a run the steps in which it called functions."""
    said: list[Message | RunStep] = []
    runs: set[str] = set()
    async for found in chat.client.threads.messages.list(thread_id, order="asc", limit=100):
        message = await whole(chat.client, thread_id, found)
        if message.run_id is not None and message.run_id not in runs:
            runs.add(message.run_id)
            said.extend(await tool_steps(chat.client, thread_id, message.run_id))
        said.append(message)
    return Response(msgspec.json.encode(said), media_type="application/json")


@routes.post("/api/threads/{thread_id}/runs")
async def ask(thread_id: str, question: Question, chat: CurrentChat) -> RunStreamResponse:
    """Answers, event by event. A page that leaves, by Stop or for good, cancels the run.

    So does the next question: the server may need a moment until it has seen that a page has left.
    """
    stream = chat.client.threads.runs.stream(
        thread_id,
        assistant_id=chat.assistant_id,
        additional_messages=[{"role": "user", "content": question.text}],
        tools=TOOLS,
        if_active="cancel",
    )
    return RunStreamResponse(stream, only=EVENTS)


async def whole(client: AsyncClient, thread_id: str, message: Message) -> Message:
    """A message that is still being written as it is once its run is over, if that is soon.

    The page that has just left ends the run, and until then a server may show nothing of what was said.
    """
    if message.status != "in_progress" or message.run_id is None:
        return message
    with suppress(APIError):
        await client.threads.runs.poll(message.run_id, thread_id=thread_id, timeout=3)
        return await client.threads.messages.retrieve(message.id, thread_id=thread_id)
    return message


async def tool_steps(client: AsyncClient, thread_id: str, run_id: str) -> list[RunStep]:
    """The steps of a run that called tools; none where the server does not list them."""
    try:
        steps = client.threads.runs.steps.list(run_id, thread_id=thread_id, order="asc", limit=100)
        return [step async for step in steps if step.type == "tool_calls"]
    except APIStatusError:
        return []


async def refuse(_request: Request, error: Exception) -> JSONResponse:
    """The answer to the page where the server would not answer us. It says nothing of what the server said."""
    if isinstance(error, NotFoundError):
        return JSONResponse({"error": {"message": "The server does not know this conversation. Begin a new one."}}, 404)
    return JSONResponse({"error": {"message": "The server could not answer."}}, 502)


# -- putting it together ---------------------------------------------------------------------------------------------


BASE_URL = os.environ.get("OPENAI_BASE_URL")


def make_app(base_url: str | None = BASE_URL) -> FastAPI:
    """The app, for a server of the protocol; None starts one that needs no model."""
    model, assistant_id = os.environ.get("CHAT_MODEL"), os.environ.get("CHAT_ASSISTANT")
    if base_url is None:
        opened = open_demo()
    elif model or assistant_id:
        opened = open_chat(base_url, model or "", assistant_id)
    else:
        raise SystemExit("OPENAI_BASE_URL needs CHAT_MODEL or CHAT_ASSISTANT beside it, to say what answers there")

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[dict[str, Chat]]:
        async with opened as chat:
            yield {"chat": chat}

    app = FastAPI(title="Chat", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(routes)
    app.add_exception_handler(AiorunstreamError, refuse)
    return app


@asynccontextmanager
async def open_chat(
    base_url: str, model: str, assistant_id: str | None = None, api_key: str | None = None
) -> AsyncGenerator[Chat]:
    """The client, and the assistant if there is none. Without a key, that of the environment is sent."""
    async with AsyncClient(base_url=base_url, api_key=api_key) as client:
        if assistant_id is not None:
            yield Chat(client, assistant_id)
            return
        assistant = await client.assistants.create(model=model, name="Chat")
        yield Chat(client, assistant.id)
        await client.assistants.delete(assistant.id)


@asynccontextmanager
async def open_demo() -> AsyncGenerator[Chat]:
    """The same with a server of its own."""
    async with AssistantsServer(engine=ScriptedAssistant(), delay=0.04) as server:
        print(f"A server of the protocol listens at {server.base_url}", flush=True)  # noqa: T201
        async with open_chat(server.base_url, "none", api_key="") as chat:  # the environment's key is for somebody else
            yield chat


# -- who answers where there is no model -----------------------------------------------------------------------------

HELLO = """\
Hello! I am a script on your own machine. There is no model behind me, but everything between us is real: your message \
went to a server of the Assistants protocol, a run began, and its events stream to this page as they happen.

Ask me about the weather in a city, have me roll some dice, or ask for a long story and press Stop in the middle of it."""

STORY = """\
Once there was a lighthouse keeper who counted ships. Every evening she wrote the number into a book, and every morning \
a boat took the page to the harbour, where nobody read it.

One winter the boat stopped coming. She went on counting. Four ships on the first night, none on the second, eleven on \
the third, with their lamps in a row like a necklace that somebody had laid out on the water. She wrote it all down, for \
a number that is not written down is only a feeling.

In the harbour they began to notice. Without the pages nobody knew how many ships were still to come, how much bread to \
bake, or when it was safe to put out the lamp on the pier. They had never read the numbers, but they had always looked \
at how thick the pile was.

So in spring they sent two boats instead of one. The first brought bread. The second brought an empty book, a good one, \
bound in blue, and a letter with a single line: please send each page as soon as it is written, and do not wait for \
the last.

She did. And that, they say on the coast, is how streaming began."""

WORDS = re.compile(r"\S+\s*|\s+")


class ScriptedAssistant:
    """Answers a word at a time, and calls the functions that the question is about."""

    async def reply(self, turn: Turn, /) -> AsyncIterator[Item]:
        """Says the calls, or else the answer, and what it has cost in words."""
        yield Pause(0.3)
        heard = turn.user_text
        calls = [] if turn.tool_outputs else wanted_calls(heard)
        for name, arguments in calls:
            yield CallTool(name)
            for piece in re.findall(r".{1,4}", json.dumps(arguments, ensure_ascii=False)):
                yield MoreArguments(piece)
        words: list[str] = [] if calls else WORDS.findall(answer(turn))
        for word in words:
            yield Say(word)
        cost = len(words) + len(calls)
        yield Usage(prompt_tokens=len(heard.split()), completion_tokens=cost, total_tokens=len(heard.split()) + cost)


def wanted_calls(text: str) -> list[tuple[str, dict[str, str | int]]]:
    """The functions that a question is about, with arguments."""
    calls: list[tuple[str, dict[str, str | int]]] = []
    if re.search(r"\bweather\b", text, re.IGNORECASE):
        cities = re.search(r"\b(?:in|of|for)\s+((?:[^\W\d_][\w'-]*|,|\s)+)", text)
        named = re.split(r",|\band\b", cities[1]) if cities else ["Oslo"]
        calls += [("get_weather", {"city": city.strip().title()}) for city in named[:4] if city.strip()]
    if re.search(r"\b(?:dice|die|roll)\b", text, re.IGNORECASE):
        count = re.search(r"\b(1\d|[1-9])\b", text)
        words = {"one": 1, "a": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
        spelt = next((number for word, number in words.items() if re.search(rf"\b{word}\b", text, re.IGNORECASE)), 2)
        calls.append(("roll_dice", {"count": int(count[1]) if count else spelt, "sides": 6}))
    return calls


def answer(turn: Turn) -> str:
    """The whole of an answer."""
    if turn.tool_outputs:
        return " ".join(about(call.name, call.output or "") for call in turn.tool_outputs)
    text = " ".join(turn.user_text.split())
    if re.search(r"\b(?:story|long)\b", text, re.IGNORECASE):
        return STORY
    if re.match(r"(?:hi|hello|hey)\b", text, re.IGNORECASE):
        return HELLO
    short = text if len(text) <= 200 else text[:199].rstrip() + "…"
    return (
        f"You wrote: “{short}” I have no model to think about it with, so I can only hand it back, word by word. "
        "What I can do is look up the weather in a city, roll dice, or tell a long story."
    )


def about(name: str, output: str) -> str:
    """What a function returned, in a sentence."""
    try:
        found = json.loads(output)
        if name == "get_weather":
            return f"In {found['city']} it is {found['degrees']} °C, with {found['sky']}."
        total = f", which makes {sum(found)}" if len(found) > 1 else ""
        return f"You rolled {', '.join(map(str, found))}{total}."
    except (ValueError, KeyError, TypeError):
        return f"{name} did not work: {output}"


if __name__ == "__main__":
    uvicorn.run(make_app(), port=8000)
