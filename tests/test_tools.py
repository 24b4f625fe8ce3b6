"""Functions as tools: what stays callable, what a model's arguments become, what results become, and sets of tools."""

import copy
import enum
import functools
import json
import math
import pickle
from collections import UserDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec
import pytest

from aiorunstream.errors import ToolError
from aiorunstream.json_writing import encode_body
from aiorunstream.models import FunctionDefinition, FunctionTool
from aiorunstream.params import AssistantCreateParams, RunCreateParams
from aiorunstream.tools import CallableTool, ToolSet, encode_output, function_tool


class Unit(enum.Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


class Level(enum.IntEnum):
    LOW = 1


class Place(msgspec.Struct):
    lat: float
    unit: Unit = Unit.CELSIUS


@dataclass
class Point:
    x: int
    y: float = 0.0


@function_tool
def add(a: int, b: int = 1) -> int:
    """Adds two numbers.

    Args:
        a: the first
    """
    return a + b


@function_tool(name="look-up", description="Looks.", strict=True, timeout=2.5)
async def look_up(city: str, days: int = 3, unit: Literal["c", "f"] | None = None) -> str:
    """Not this."""
    return f"{city} {days} {unit}"


def plain(x: int) -> int:
    """Plain."""
    return x


# -- one tool ----------------------------------------------------------------------------------------------------------


async def test_a_tool_is_called_as_its_function_is() -> None:
    assert add(1, b=2) == 3
    assert await look_up("Oslo", unit="c") == "Oslo 3 c"
    assert (add.function(1), add.__doc__) == (2, add.function.__doc__)
    assert (repr(add), repr(look_up)) == ("<CallableTool add>", "<CallableTool look-up>")


def test_a_bare_tool_takes_everything_from_its_function() -> None:
    assert (add.name, add.description, add.strict, add.timeout, add.is_async) == (
        "add", "Adds two numbers.", False, None, False,
    )  # fmt: skip
    assert add.definition == FunctionTool(
        FunctionDefinition(name="add", description="Adds two numbers.", parameters=add.parameters, strict=None)
    )


def test_what_is_given_by_keyword_overrules_the_function() -> None:
    assert (look_up.name, look_up.description, look_up.strict, look_up.timeout, look_up.is_async) == (
        "look-up", "Looks.", True, 2.5, True,
    )  # fmt: skip
    assert look_up.definition.function.strict is True


def test_a_description_may_be_missing_and_may_be_long() -> None:
    def silent() -> None: ...

    assert function_tool(silent).description is None
    assert "description" not in msgspec.json.encode(function_tool(silent).definition).decode()
    assert function_tool(silent, description="x" * 5000).description == "x" * 5000


class Shop:
    def __init__(self, owner: str) -> None:
        self.owner = owner

    def sell(self, what: str) -> str:
        """Sells."""
        return f"{self.owner} {what}"

    async def buy(self, what: str) -> str:
        return f"{self.owner} {what}"

    @classmethod
    def count(cls, what: str) -> str:
        return what

    @staticmethod
    def measure(what: str) -> str:
        return what

    async def __call__(self, what: str) -> str:
        """Does both."""
        return what


class Desk:
    """A desk."""

    def __call__(self, what: str) -> str:
        return what


def wrapped(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    return wrapper


SHOP = Shop("Ada")
KINDS: dict[str, tuple[Callable[..., object], str, str | None, bool]] = {
    "method": (SHOP.sell, "sell", "Sells.", False),
    "async method": (SHOP.buy, "buy", None, True),
    "class method": (Shop.count, "count", None, False),
    "static method": (Shop.measure, "measure", None, False),
    "wrapped": (wrapped(SHOP.sell), "sell", "Sells.", False),
    "cached": (functools.cache(Shop.measure), "measure", None, False),
    "partial": (functools.partial(Shop.sell, SHOP), "sell", "Sells.", False),
    "partial of async": (functools.partial(Shop.buy, SHOP), "buy", None, True),
    "tool": (function_tool(SHOP.buy), "buy", None, True),
    "partial of a tool": (functools.partial(function_tool(SHOP.buy)), "buy", None, True),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_can_be_called_becomes_a_tool(kind: str) -> None:
    function, name, description, is_async = KINDS[kind]
    tool = function_tool(function)
    assert (tool.name, tool.description, tool.is_async) == (name, description, is_async)
    assert tool.parameters["required"] == ["what"]
    result = tool.function(**tool.decode_arguments('{"what": "tea"}'))
    found = await cast(Any, result) if is_async else result
    assert found in ("Ada tea", "tea")


def orders(user_id: str, year: int) -> str:
    return f"{user_id} {year}"


OF_ADA = functools.partial(orders, user_id="ada")
FILLED_IN: dict[str, Callable[..., object]] = {
    "tool": function_tool(OF_ADA),
    "wrapped": wrapped(OF_ADA),
    "cached": functools.lru_cache(OF_ADA),
    "partial of a tool": functools.partial(function_tool(OF_ADA)),
    "partial of wrapped": functools.partial(wrapped(OF_ADA)),
    "two partials": functools.partial(wrapped(functools.partial(orders, year=1)), user_id="ada"),
}


@pytest.mark.parametrize("kind", FILLED_IN)
def test_what_a_partial_fills_in_is_hidden_below_whatever_is_around_it(kind: str) -> None:
    tool = function_tool(FILLED_IN[kind])
    names = [] if kind == "two partials" else ["year"]
    assert (list(cast(Any, tool.parameters["properties"])), tool.parameters["required"]) == (names, names)
    with pytest.raises(ToolError, match="unknown field `user_id`"):
        tool.decode_arguments('{"user_id": "eve", "year": 1}')
    assert tool.function(**tool.decode_arguments('{"year": 1}' if names else "{}")) == "ada 1"


async def test_an_object_that_can_be_called_becomes_a_tool_with_a_name() -> None:
    tool = function_tool(SHOP, name="both")
    assert (tool.is_async, tool.description, tool.parameters["required"]) == (True, "Does both.", ["what"])
    assert await tool(what="tea") == "tea"
    assert function_tool(Desk(), name="desk").description == "A desk."
    assert not function_tool(Desk(), name="desk").is_async
    with pytest.raises(ToolError, match=r"Desk needs a name"):
        function_tool(Desk())


def counts(to: int) -> Iterator[int]:
    yield to


async def ticks(to: int) -> AsyncIterator[int]:
    yield to


class Yields:
    async def __call__(self, to: int) -> AsyncIterator[int]:
        yield to


@pytest.mark.parametrize(
    ("function", "settings", "says"),
    [
        (counts, {}, "counts is a generator"),
        (ticks, {}, "ticks is a generator"),
        (Yields(), {"name": "y"}, "Yields is a generator"),
        (Shop, {}, "Shop is a class"),
        (Shop.sell, {}, r"Shop\.sell: parameter 'self' has no annotation \(wrap the bound method"),
        (5, {}, "not int"),
        (lambda: 1, {}, "<lambda>"),
        (len, {}, "len: parameter 'obj' is positional-only"),
        (max, {}, "max has no signature"),
        (plain, {"name": "a b"}, "'a b'"),
        (plain, {"name": ""}, "plain needs a name"),
        (plain, {"name": "x" * 65}, "plain needs a name"),
        (plain, {"name": "naïve"}, "plain needs a name"),
        (plain, {"name": "name\n"}, "plain needs a name"),
        (plain, {"name": 5}, "plain needs a name"),
        (plain, {"timeout": 0}, "plain: timeout"),
        (plain, {"timeout": True}, "plain: timeout"),
        (plain, {"timeout": math.nan}, "plain: timeout"),
        (plain, {"timeout": math.inf}, "plain: timeout"),
        (plain, {"timeout": "5"}, "plain: timeout"),
    ],
)
def test_what_is_no_tool_is_refused_when_it_is_wrapped(function: Any, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ToolError, match=says):
        CallableTool(function, **settings)
    with pytest.raises(ToolError, match=says):
        function_tool(**settings)(function)


def test_a_name_may_have_64_characters() -> None:
    assert function_tool(plain, name="aZ0_-" + "x" * 59).name == "aZ0_-" + "x" * 59


# -- results -----------------------------------------------------------------------------------------------------------


class Word(enum.StrEnum):
    YES = "yes"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ('as it is: "é" \x00', 'as it is: "é" \x00'),
        ("", ""),
        ("cut \ud83d", "cut \ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ([1, "a", None], '[1,"a",null]'),
        ({"a": (1, 2)}, '{"a":[1,2]}'),
        (Place(1.0), '{"lat":1.0,"unit":"c"}'),
        ([Point(1)], '[{"x":1,"y":0.0}]'),
        (Unit.CELSIUS, "c"),
        (Word.YES, "yes"),
        (Level.LOW, "1"),
        ([Unit.CELSIUS], '["c"]'),
        (UserDict({"a": deque([1])}), '{"a":[1]}'),
        (b"\xff", '"/w=="'),
    ],
)  # fmt: skip
def test_a_result_becomes_text(result: object, text: str) -> None:
    assert encode_output(result) == text


class Secret:
    def __repr__(self) -> str:
        return "sk-planted"


LOOP: list[object] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (Secret(), "type Secret cannot be written as JSON: Secret"),
        ([{"a": Secret()}], "type list cannot be written as JSON: Secret"),
        (math.nan, "type float cannot be written as JSON: NaN"),
        ([None, {"a": math.inf}], "type list cannot be written as JSON: NaN"),
        (Point(1, math.nan), "type Point cannot be written as JSON: NaN"),
        (["\ud800"], "type list cannot be written as JSON"),
        (LOOP, "type list cannot be written as JSON"),
        (iter([1]), "type list_iterator"),
    ],
)
def test_a_result_without_json_is_refused_by_its_type(result: object, says: str) -> None:
    with pytest.raises(ToolError, match=says) as caught:
        encode_output(result, tool="add")
    assert caught.value.tool == "add"
    assert "planted" not in str(caught.value)


# -- sets --------------------------------------------------------------------------------------------------------------


def test_a_set_holds_tools_in_their_order_and_wraps_plain_functions() -> None:
    tools, other = ToolSet([look_up, plain, add]), function_tool(plain)
    assert [tool.name for tool in tools] == ["look-up", "plain", "add"]
    assert tools["look-up"] is look_up
    assert tools.find("plain") is tools["plain"]
    assert tools.find("none") is None
    assert (len(tools), "add" in tools, add in tools, "none" in tools, other in tools) == (3, True, True, False, False)
    assert repr(tools) == "ToolSet([look-up, plain, add])"
    with pytest.raises(KeyError, match="none"):
        _ = tools["none"]


def test_an_empty_set_is_a_set() -> None:
    assert (list(ToolSet()), len(ToolSet()), ToolSet().definitions, bool(ToolSet())) == ([], 0, (), False)


def test_two_sets_make_one_and_stay_what_they_are() -> None:
    first, second = ToolSet([add]), ToolSet([look_up])
    assert list(first + second) == [add, look_up]
    assert list(first) == [add]
    assert list(first + first) == [add]


def test_two_tools_of_one_name_are_refused_with_both() -> None:
    other = function_tool(SHOP.sell, name="add")
    with pytest.raises(ToolError, match=r"two tools have the name add: add and Shop\.sell") as caught:
        ToolSet([add, other])
    assert caught.value.tool == "add"
    with pytest.raises(ToolError, match="two tools have the name add"):
        _ = ToolSet([other]) + ToolSet([add])


def test_definitions_are_what_requests_take() -> None:
    tools = ToolSet([add, look_up])
    for body in (
        RunCreateParams(assistant_id="asst_1", tools=tools.definitions).body(),
        AssistantCreateParams(model="m", tools=tools.definitions).body(),
    ):
        sent = json.loads(encode_body(body))["tools"]
        assert sent[0] == {
            "type": "function",
            "function": {
                "name": "add",
                "description": "Adds two numbers.",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "a": {"type": "integer", "description": "the first"}, "b": {"type": "integer", "default": 1},
                    },
                    "required": ["a"],
                    "additionalProperties": False,
                },
            },
        }  # fmt: skip
        assert sent[1]["function"]["strict"] is True


# -- the error ---------------------------------------------------------------------------------------------------------


def test_a_tool_error_says_which_tool_and_which_call_and_goes_through_a_copy() -> None:
    error = ToolError("no", tool="add", call_id="call_1")
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(twin), twin.tool, twin.call_id) == ("no", "add", "call_1")
    assert (ToolError("no").tool, ToolError("no").call_id) == (None, None)
