"""Arguments made up from schemas: they fit what `ToolSet` writes, so that the engine without a model can call any function."""

import datetime as dt
import decimal
import enum
import json
import uuid
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
import msgspec
import pytest
from msgspec import Meta

from aiorunstream.made_up import made_up
from aiorunstream.tools import function_tool


class Unit(enum.Enum):
    CELSIUS = "c"


class Place(msgspec.Struct):
    city: str
    unit: Unit
    inside: "Place | None"


class Options(TypedDict):
    depth: int
    note: NotRequired[str]


class Pair(NamedTuple):
    x: int
    y: float


HINTS: list[Any] = [
    *(str, int, float, bool, Unit, Place, Options, Pair),
    *(dt.datetime, dt.date, dt.timedelta, uuid.UUID, decimal.Decimal, bytes),
    *(float | None, int | str, Literal["x", 3] | None, dict[str, int], list[Options], tuple[int, str]),
    *(Annotated[int, Meta(ge=5)], Annotated[int, Meta(gt=5)], Annotated[int, Meta(lt=1)], Annotated[int, Meta(le=-3)]),
    *(Annotated[float, Meta(gt=0, lt=0.5)], Annotated[float, Meta(gt=0.2, le=0.3)]),
    *(Annotated[float, Meta(le=0.5)], Annotated[int, Meta(multiple_of=7)], Annotated[int, Meta(ge=8, multiple_of=7)]),
    *(Annotated[str, Meta(max_length=3)], Annotated[str, Meta(min_length=40)]),
    *(Annotated[list[int], Meta(min_length=2)], Annotated[list[Place], Meta(min_length=1)]),
]


@pytest.mark.parametrize("hint", HINTS, ids=str)
def test_what_is_made_up_for_a_function_can_be_called_with(hint: Any) -> None:
    def work(value: Any) -> str:
        return "done"

    work.__annotations__["value"] = hint
    tool = function_tool(work)
    arguments = made_up(tool.parameters, "some text")
    jsonschema.validate(arguments, tool.parameters)  # pyright: ignore[reportUnknownMemberType]
    tool.decode_arguments(json.dumps(arguments))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 3}, 3),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": "string", "examples": ["b"]}, "b"),
        ({"type": "integer", "default": None}, None),
        ({"type": ["null", "string"]}, None),
        ({"oneOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ({"type": "number", "exclusiveMinimum": 0.5, "maximum": 9}, 1.5),
        ({"$ref": "#/$defs/nothing"}, {}),
        (None, {}),
        (True, {}),
    ],
)
def test_the_least_that_fits_is_made_up(schema: object, value: object) -> None:
    assert made_up(schema, "some text") == value


def test_a_schema_without_an_end_gets_one() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert str(made_up(node, "")).count("next") < 20
    assert str(made_up({"type": "array", "minItems": 1, "items": {"$ref": "#"}}, "")).count("[") < 20
