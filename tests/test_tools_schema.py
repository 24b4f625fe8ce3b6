"""From a signature to a schema: what each type becomes, what strict mode makes of it, where descriptions come from."""

import datetime as dt
import decimal
import enum
import functools
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict, cast

import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
import msgspec
import pytest
from msgspec import Meta

from aiorunstream.errors import ToolError
from aiorunstream.models import JSONObject
from aiorunstream.tools import CallableTool, function_tool


class Unit(enum.Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


class Place(msgspec.Struct):
    """Where it is."""

    lat: float
    lon: Annotated[float, Meta(ge=-180, le=180)] = 0.0
    unit: Annotated[Unit, Meta(description="how warm")] = Unit.CELSIUS


class Node(msgspec.Struct):
    children: list["Node"] = []
    parent: Optional["Node"] = None


class Circle(msgspec.Struct, tag="circle"):
    radius: float


class Square(msgspec.Struct, tag="square"):
    side: float


@dataclass
class Point:
    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list[str])


class Options(TypedDict):
    depth: int
    note: NotRequired[str]


def made(hint: object, default: object = ..., *, strict: bool = False, doc: str | None = None) -> JSONObject:
    """The schema of a function with one parameter, `x`."""

    def of_one(x: Any) -> None:
        """Replaced below."""

    of_one.__doc__ = doc
    of_one.__annotations__ = {"x": hint}
    of_one.__defaults__ = None if default is ... else (default,)
    schema = CallableTool(of_one, strict=strict).parameters
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


def accepts(schema: JSONObject, value: Any) -> bool:
    validator: Any = jsonschema.Draft202012Validator(schema)
    return bool(validator.is_valid(value))


def one(hint: object, default: object = ..., *, strict: bool = False, doc: str | None = None) -> JSONObject:
    properties = cast("dict[str, JSONObject]", made(hint, default, strict=strict, doc=doc)["properties"])
    assert list(properties) == ["x"]
    return properties["x"]


NULL: JSONObject = {"type": "null"}
PAIR: JSONObject = {
    "type": "array", "minItems": 2, "maxItems": 2, "items": False,
    "prefixItems": [{"enum": ["a"], "type": "string"}, {"type": "integer"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (bool, {"type": "boolean"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (Any, {}),
        (Annotated[int, Meta(ge=1, le=7)], {"type": "integer", "minimum": 1, "maximum": 7}),
        (Annotated[str, Meta(max_length=3, pattern="^a")], {"type": "string", "maxLength": 3, "pattern": "^a"}),
        (int | None, {"anyOf": [{"type": "integer"}, NULL]}),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[int], {"type": "array", "items": {"type": "integer"}}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (Literal["b", "a"], {"enum": ["a", "b"], "type": "string"}),
        (Literal[True], {"enum": [True], "type": "boolean"}),
        (Literal["auto", False, True], {"enum": [False, True, "auto"], "type": ["boolean", "string"]}),
        (Literal["a", 1, None], {"enum": [None, 1, "a"], "type": ["integer", "null", "string"]}),  # noqa: PYI061
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (dt.date, {"type": "string", "format": "date"}),
        (dt.datetime, {"type": "string", "format": "date-time"}),
        (dt.datetime | None, {"anyOf": [{"type": "string", "format": "date-time"}, NULL]}),
        (Annotated[dt.datetime, "when"], {"type": "string", "format": "date-time", "description": "when"}),
        (decimal.Decimal, {"type": "string", "format": "decimal"}),
        (dict[str, Literal["a"]], {"type": "object", "additionalProperties": {"enum": ["a"], "type": "string"}}),
        (tuple[Literal["a"], int], PAIR),
        (list[Unit], {"type": "array", "items": {"$ref": "#/$defs/Unit"}}),
    ],
)
def test_a_type_becomes_its_schema(hint: object, schema: JSONObject) -> None:
    assert one(hint) == schema


def test_classes_stand_below_the_schema_and_nothing_else_is_needed() -> None:
    found = made(list[Place])
    assert found == {
        "type": "object",
        "properties": {"x": {"type": "array", "items": {"$ref": "#/$defs/Place"}}},
        "required": ["x"],
        "additionalProperties": False,
        "$defs": {
            "Place": {
                "title": "Place",
                "description": "Where it is.",
                "type": "object",
                "properties": {
                    "lat": {"type": "number"},
                    "lon": {"type": "number", "minimum": -180, "maximum": 180, "default": 0.0},
                    "unit": {"description": "how warm", "default": "c", "anyOf": [{"$ref": "#/$defs/Unit"}]},
                },
                "required": ["lat"],
            },
            "Unit": {"title": "Unit", "enum": ["c", "f"], "type": "string"},
        },
    }


def test_a_class_may_hold_itself() -> None:
    leaf: Any = {"children": [], "parent": None}
    for strict in (False, True):
        schema = made(Node, strict=strict)
        assert accepts(schema, {"x": {"children": [leaf], "parent": leaf}})
        assert not accepts(schema, {"x": {"children": [5], "parent": None}})


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    def ping() -> str:
        return "pong"

    empty: JSONObject = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    assert function_tool(ping).parameters == empty
    assert function_tool(ping, strict=True).parameters == empty


class Unsendable:
    """No JSON."""


@pytest.mark.parametrize(
    ("hint", "default", "shown"),
    [
        (int, 3, 3),
        (int | None, None, None),
        (Unit, Unit.FAHRENHEIT, "f"),
        (Point, Point(1, 2), {"x": 1, "y": 2, "tags": []}),
        (tuple[int, ...], (1, 2), [1, 2]),
        (dt.date, dt.date(2030, 1, 2), "2030-01-02"),
    ],
)
def test_a_default_is_shown_and_makes_the_parameter_optional(hint: object, default: object, shown: object) -> None:
    schema = made(hint, default)
    assert schema["required"] == []
    assert one(hint, default)["default"] == shown


@pytest.mark.parametrize("default", [Unsendable(), None, "text", float("nan")])
def test_a_default_that_is_none_of_its_type_is_not_shown(default: object) -> None:
    assert one(float, default) == {"type": "number"}
    assert made(float, default)["required"] == []


def test_an_annotation_may_be_text() -> None:
    assert made("list[Place] | None") == made(list[Place] | None)


# -- strict ------------------------------------------------------------------------------------------------------------


def check_strict(node: object) -> None:
    """What strict mode asks of every schema in a schema."""
    if isinstance(node, list):
        for inner in cast("list[object]", node):
            check_strict(inner)
    if not isinstance(node, dict):
        return
    schema = cast(JSONObject, node)
    assert not schema.keys() & {"default", "discriminator"}
    assert schema.keys() & {"type", "anyOf", "$ref"}
    if "$ref" in schema:
        assert len(schema) == 1
    if schema.get("type") == "object":
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(cast(JSONObject, schema["properties"]))
    for key in ("properties", "$defs"):
        for inner in cast(JSONObject, schema.get(key, {})).values():
            check_strict(inner)
    check_strict(schema.get("anyOf"))
    check_strict(schema.get("items"))
    check_strict(schema.get("prefixItems"))


@pytest.mark.parametrize(
    "hint", [int, Place, Node, list[Point], Options, Circle | Square, tuple[int, Place], Annotated[Place, "where"]]
)
@pytest.mark.parametrize("default", [..., None])
def test_a_strict_schema_is_strict_all_the_way_down(hint: object, default: object) -> None:
    check_strict(made(hint, default, strict=True))
    with pytest.raises(AssertionError):
        check_strict(made(dict[str, int]))


def test_a_default_makes_a_strict_parameter_nullable() -> None:
    assert one(Annotated[int, Meta(ge=1)], 3, strict=True) == {"anyOf": [{"type": "integer", "minimum": 1}, NULL]}
    assert one(int | None, 3, strict=True) == {"anyOf": [{"type": "integer"}, NULL]}
    assert one(int, strict=True) == {"type": "integer"}
    assert made(int, 3, strict=True)["required"] == ["x"]


def test_a_field_with_a_default_inside_a_class_is_required_and_not_nullable() -> None:
    point = cast("dict[str, JSONObject]", made(Point, strict=True)["$defs"])["Point"]
    assert point["required"] == ["x", "y", "tags"]
    assert point["properties"] == {
        "x": {"type": "integer"}, "y": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}},
    }  # fmt: skip


class Loose(msgspec.Struct):
    anything: Any


@pytest.mark.parametrize(
    ("hint", "says"),
    [
        (dict[str, int], "parameter 'x' holds a dict"),
        (list[dict[str, int]] | None, "parameter 'x' holds a dict"),
        (Any, "parameter 'x' holds a value of any type"),
        (list[Any], "parameter 'x' holds a list of anything"),
        (Loose, "type Loose holds a value of any type"),
    ],
)
def test_what_has_no_shape_cannot_be_strict(hint: object, says: str) -> None:
    made(hint)
    with pytest.raises(ToolError, match=says) as caught:
        made(hint, strict=True)
    assert "of_one" in str(caught.value)


# -- refusals ----------------------------------------------------------------------------------------------------------


def takes_any_number(*cities: str) -> None: ...
def takes_any_name(**cities: str) -> None: ...
def takes_by_place(city: str, /) -> None: ...
def takes_object(city: object) -> None: ...
def takes_callable(city: Callable[[], int]) -> None: ...
def takes_two_dicts(city: Place | Point) -> None: ...
def takes_deep(city: list[dict[str, Unsendable]]) -> None: ...


def takes_untyped(city: int) -> None: ...
def takes_unknown(city: int) -> None: ...
def takes_broken(city: int) -> None: ...


del takes_untyped.__annotations__["city"]
takes_unknown.__annotations__["city"] = "Nowhere"
takes_broken.__annotations__["city"] = "list["


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (takes_any_number, "any number"),
        (takes_any_name, "any number"),
        (takes_by_place, "positional-only"),
        (takes_untyped, "no annotation"),
        (takes_unknown, "Nowhere"),
        (takes_broken, r"list\["),
        (takes_object, "object"),
        (takes_callable, "Callable"),
        (takes_two_dicts, "Place"),
        (takes_deep, "Unsendable"),
    ],
)
def test_what_a_model_cannot_give_is_refused_with_both_names(function: Callable[..., object], says: str) -> None:
    with pytest.raises(ToolError, match=says) as caught:
        function_tool(function)
    assert function.__name__ in str(caught.value)
    assert "cit" in str(caught.value)
    assert caught.value.tool == function.__name__


def test_the_return_type_need_not_be_there_at_run_time() -> None:
    def here(city: str) -> None: ...

    here.__annotations__["return"] = "Nowhere"
    assert function_tool(here).parameters["required"] == ["city"]


def test_what_a_partial_fills_in_is_hidden_from_the_model() -> None:
    def search(key: str, query: str, limit: int = 5) -> str:
        return f"{key}{query}{limit}"

    for filled in (functools.partial(search, "sk-planted"), functools.partial(search, key="sk-planted")):
        tool = function_tool(filled)
        assert tool.name == "search"
        assert list(cast(JSONObject, tool.parameters["properties"])) == ["query", "limit"]
        assert "planted" not in str(tool.definition)
        assert tool(**cast(Any, tool.decode_arguments('{"query": "q"}'))) == "sk-plantedq5"


# -- descriptions ------------------------------------------------------------------------------------------------------

HINTS: list[tuple[Any, str]] = [
    (str, "from the docstring"),
    (Annotated[str, "a text"], "a text"),
    (Annotated[str, Meta(description="a Meta", min_length=1)], "a Meta"),
    (Annotated[str, Meta(min_length=1)], "from the docstring"),
    (Optional[Annotated[str, "a text"]], "a text"),  # noqa: UP045  # pyright reads no `|` after it
    (list[Annotated[str, "of an item"]], "from the docstring"),
    (Annotated[Place, "a text"], "a text"),
]


@pytest.mark.parametrize(("hint", "said"), HINTS)
@pytest.mark.parametrize("strict", [False, True])
def test_an_annotation_describes_better_than_the_docstring(hint: object, said: str, *, strict: bool) -> None:
    doc = "Does.\n\nArgs:\n    x: from the docstring"
    assert one(hint, strict=strict, doc=doc)["description"] == said
    assert one(hint, None, strict=strict, doc=doc)["description"] == said
    assert "$ref" not in one(hint, doc=doc)
