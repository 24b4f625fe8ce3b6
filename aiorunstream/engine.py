"""What a run asks of a model. An engine is given a turn and says, item by item, what the model would say.

    class Parrot:
        def reply(self, turn: Turn) -> Iterator[Item]:
            yield Say(turn.user_text)

An engine knows nothing of ids, statuses or events: `machine` makes those of what it says. It may be an ordinary
generator or an asynchronous one. It is asked once for each turn: when a run begins, and again when the outputs of its
tool calls have come.
"""

import json
import re
from collections.abc import AsyncIterable, Iterable, Iterator
from typing import Protocol

import msgspec

from .items import CallTool, Item, MoreArguments, Say
from .made_up import made_up
from .models import (
    Assistant,
    AssistantToolChoice,
    FunctionCall,
    FunctionDefinition,
    FunctionTool,
    FunctionToolCall,
    Message,
    Run,
    RunStep,
    ToolCallsStepDetails,
    Usage,
)


class Turn(msgspec.Struct, frozen=True):
    """What an engine is given.

    Attributes:
        assistant, run: the run has what counts: its model, instructions and tools may differ from the assistant's.
        messages: of the thread, oldest first, as many as the run's truncation strategy lets through.
        steps: of this run so far, oldest first; those that called functions hold the outputs.
    """

    assistant: Assistant
    run: Run
    messages: tuple[Message, ...]
    steps: tuple[RunStep, ...] = ()

    @property
    def user_text(self) -> str:
        """The text of the last message of the user; empty where there is none."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    @property
    def functions(self) -> tuple[FunctionDefinition, ...]:
        """The functions the run may call."""
        return tuple(tool.function for tool in self.run.tools if isinstance(tool, FunctionTool))

    @property
    def tool_outputs(self) -> tuple[FunctionCall, ...]:
        """The calls whose outputs have just come: those of the run's last step, if it called functions."""
        details = self.steps[-1].step_details if self.steps else None
        calls = details.tool_calls if isinstance(details, ToolCallsStepDetails) else ()
        return tuple(call.function for call in calls if isinstance(call, FunctionToolCall))


class Engine(Protocol):
    """Anything that can answer a turn."""

    def reply(self, turn: Turn, /) -> Iterable[Item] | AsyncIterable[Item]:
        """Says what the model would say. An exception ends the run as failed, and so does what cannot be told as JSON."""
        ...


# -- the engine that needs no model ----------------------------------------------------------------------------------

_PIECES = re.compile(r"\s*\S+(?:\s+\Z)?|\s+")
_ARGUMENT_PIECE = 12


class DefaultEngine:
    """Answers without a model: the same conversation always gets the same answer.

    It says the user's message back in a sentence, a word at a time. Where that message names functions of the run, or
    `tool_choice` asks for one, it calls them first, with arguments made up from their schemas, and then quotes what
    they returned.
    """

    def reply(self, turn: Turn, /) -> Iterator[Item]:
        """Says the answer word by word, or the calls, and what it has cost in words."""
        outputs = turn.tool_outputs
        calls = [] if outputs else _wanted(turn)
        said: list[Item] = []
        if calls:
            for function in calls:
                said.append(CallTool(function.name))
                arguments = json.dumps(made_up(function.parameters, _short(turn.user_text, 80)), ensure_ascii=False)
                said.extend(
                    MoreArguments(arguments[at : at + _ARGUMENT_PIECE])
                    for at in range(0, len(arguments), _ARGUMENT_PIECE)
                )
        else:
            said.extend(Say(piece) for piece in _PIECES.findall(_about(outputs) if outputs else _answer(turn)))
        yield from said
        heard = sum(len(message.text.split()) for message in turn.messages)
        yield Usage(completion_tokens=len(said), prompt_tokens=heard, total_tokens=heard + len(said))


def _answer(turn: Turn) -> str:
    text = _short(turn.user_text, 160)
    if not text:
        return "There is no text from you on this thread yet. Put a message on it, and I will say it back."
    if text.endswith("?"):
        return f"You asked: “{text}” I have no model to ask, but I can say it back to you one word at a time."
    return f"You wrote “{text}”, and here it comes back to you one word at a time, with no model behind it."


def _about(outputs: Iterable[FunctionCall]) -> str:
    told = [f"{call.name} returned “{_short(call.output or '', 400)}”" for call in outputs]
    return f"I asked around: {', and '.join(told)}."


def _short(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _wanted(turn: Turn) -> list[FunctionDefinition]:
    """The functions to call: the one that is demanded, else those the user names, else the first if one must be."""
    choice, functions = turn.run.tool_choice, turn.functions
    if choice == "none":
        return []
    if isinstance(choice, AssistantToolChoice) and choice.function is not None:
        demanded = choice.function.name
        return [function for function in functions if function.name == demanded][:1]
    named = [function for function in functions if _is_named(function.name, turn.user_text)]
    if not named and choice == "required":
        named = list(functions[:1])
    return named[:1] if turn.run.parallel_tool_calls is False else named


def _is_named(name: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None
