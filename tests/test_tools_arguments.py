"""What a model wrote, as the values to call with: misfits told so that a model can mend them, and properties of it all."""

import datetime as dt
import enum
import json
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict, cast

import jsonschema  # type: ignore[import-untyped]  # its stubs are a package of their own
import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import Meta

from aiorunstream.errors import ToolError
from aiorunstream.tools import CallableTool, function_tool


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


class Options(TypedDict):
    depth: int
    note: NotRequired[str]


@function_tool
def add(a: int, b: int = 1) -> int:
    """Adds two numbers."""
    return a + b


@function_tool(strict=True)
def look_up(city: str, days: int = 3, unit: Literal["c", "f"] | None = None) -> str:
    """Looks."""
    return f"{city} {days} {unit}"


# -- arguments ---------------------------------------------------------------------------------------------------------


@function_tool
def travel(
    place: Place,
    levels: list[Level],
    how: Literal["train", "foot"] = "foot",
    pair: tuple[int, Unit] = (0, Unit.CELSIUS),
) -> None:
    """Travels."""


def test_arguments_become_the_types_of_the_signature() -> None:
    given = travel.decode_arguments('{"place": {"lat": 1, "unit": "f"}, "levels": [1], "pair": [1, "c"]}')
    assert given == {
        "place": Place(1.0, Unit.FAHRENHEIT), "levels": [Level.LOW], "pair": (1, Unit.CELSIUS),
    }  # fmt: skip


def test_a_default_is_the_function_s_own() -> None:
    seen: list[int] = []

    def collect(into: list[int] = seen) -> list[int]:
        return into

    tool = function_tool(collect)
    assert tool.decode_arguments("{}") == {}
    assert tool(**cast(Any, tool.decode_arguments("{}"))) is seen
    assert tool.decode_arguments('{"into": [1]}') == {"into": [1]}


@pytest.mark.parametrize("arguments", ["", "  \n", "{}"])
def test_no_text_is_no_arguments(arguments: str) -> None:
    assert function_tool(lambda: 1, name="one").decode_arguments(arguments) == {}
    with pytest.raises(ToolError, match="missing required field `a`"):
        add.decode_arguments(arguments)


MISFITS = {
    '{"a": "1"}': "Expected `int`, got `str` - at `$.a`",
    '{"a": 1, "c": 2}': "Object contains unknown field `c`",
    '{"a": null}': "Expected `int`, got `null` - at `$.a`",
    '{"a": true}': "Expected `int`, got `bool` - at `$.a`",
    "[1]": "Expected `object`, got `array`",
    "null": "Expected `object`, got `null`",
    '"a"': "Expected `object`, got `str`",
}
PLACES = {
    '{"place": {"lat": 1, "unit": "x"}, "levels": []}': 'Expected one of "c", "f" - at `$.place.unit`',
    '{"place": {}, "levels": []}': "Object missing required field `lat` - at `$.place`",
    '{"place": {"lat": 1}, "levels": [1, 2]}': "Expected one of 1 - at `$.levels[1]`",
    '{"place": {"lat": 1}, "levels": [], "how": "fly"}': 'Expected one of "foot", "train" - at `$.how`',
    '{"place": {"lat": 1}, "levels": [], "pair": [1, "x"]}': 'Expected one of "c", "f" - at `$.pair[1]`',
    '{"place": {"lat": 1}, "levels": [], "pair": [1]}': "Expected `array` of length 2 - at `$.pair`",
}


@pytest.mark.parametrize(("arguments", "says"), [*MISFITS.items(), *PLACES.items()])
def test_arguments_that_do_not_fit_are_told_where_and_what_instead(arguments: str, says: str) -> None:
    tool: CallableTool[..., object] = add if arguments in MISFITS else travel
    with pytest.raises(ToolError) as caught:
        tool.decode_arguments(arguments)
    assert str(caught.value) == f"the arguments of {tool.name} do not fit: {says}"
    assert caught.value.tool == tool.name
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


class Even(msgspec.Struct):
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError("it must be even")


@pytest.mark.parametrize(
    ("hint", "value", "says"),
    [
        (dict[str, Unit], {"k": "planted"}, 'Expected one of "c", "f" - at `$.x[...]`'),
        (list[Unit | None], ["planted"], 'Expected one of "c", "f" - at `$.x[0]`'),
        (dict[Unit, int], {"planted": 1}, "Invalid value - at `key` in `$.x`"),
        (Even, {"number": 3}, "it must be even - at `$.x`"),
    ],
)
def test_a_value_that_is_not_allowed_is_not_quoted(hint: object, value: object, says: str) -> None:
    def takes(x: Any) -> None: ...

    takes.__annotations__["x"] = hint
    with pytest.raises(ToolError) as caught:
        function_tool(takes).decode_arguments(json.dumps({"x": value}))
    assert str(caught.value) == f"the arguments of takes do not fit: {says}"


@pytest.mark.parametrize(
    "arguments", ['{"a": 1', '{"a": 1}}', "{'a': 1}", "a=1", '{"a": NaN}', "\ud800", '{"\ud800": 1}']
)
def test_broken_json_is_said_to_be_broken(arguments: str) -> None:
    with pytest.raises(ToolError, match="the arguments of add are not JSON: ") as caught:
        add.decode_arguments(arguments)
    assert caught.value.__context__ is None


def test_arguments_nested_too_deep_are_refused_before_they_are_parsed() -> None:
    def anything(x: Any) -> None: ...

    tool = function_tool(anything)
    assert tool.decode_arguments('{"x": ' + "[" * 127 + "]" * 127 + "}")
    for depth in (128, 100_000):
        with pytest.raises(ToolError, match="nested deeper than 128"):
            tool.decode_arguments('{"x": ' + "[" * depth + "]" * depth + "}")
    assert tool.decode_arguments(json.dumps({"x": "[" * 1000})) == {"x": "[" * 1000}


def test_a_long_name_that_nobody_knows_makes_no_long_message() -> None:
    with pytest.raises(ToolError) as caught:
        add.decode_arguments(json.dumps({"a": 1, "z" * 100_000: 2}))
    assert len(str(caught.value)) < 2200


def test_in_strict_mode_null_is_the_default_unless_null_is_a_value() -> None:
    given = '{"city": "Oslo", "days": null, "unit": null}'
    assert look_up.decode_arguments(given) == {"city": "Oslo", "unit": None}
    assert look_up.decode_arguments('{"city": "Oslo", "days": 2, "unit": "c"}') == {
        "city": "Oslo",
        "days": 2,
        "unit": "c",
    }
    assert look_up.decode_arguments('{"city": "Oslo"}') == {"city": "Oslo"}
    with pytest.raises(ToolError, match=r"got `null` - at `\$\.city`"):
        look_up.decode_arguments('{"city": null, "days": null, "unit": null}')


# -- properties --------------------------------------------------------------------------------------------------------


class Kind(NamedTuple):
    """A type of a parameter, and values of it."""

    hint: Any
    values: st.SearchStrategy[Any]
    exact: bool = True  # False where more is read than the schema says: a Decimal from a number, a set with doubles


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INTS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
UNITS = st.sampled_from(Unit)
LEAVES = [
    Kind(int, INTS),
    Kind(bool, st.booleans()),
    Kind(str, TEXT),
    Kind(float, FLOATS),
    Kind(None, st.none()),
    Kind(Literal["a", 1, "b"], st.sampled_from(["a", 1, "b"])),
    Kind(Unit, UNITS),
    Kind(Level, st.just(Level.LOW)),
    Kind(Annotated[int, Meta(ge=-2, lt=9)], st.integers(-2, 8)),
    Kind(Annotated[str, Meta(min_length=1, max_length=2)], st.text("ab\U0001f600", min_size=1, max_size=2)),
    Kind(dt.date, st.dates()),
    Kind(dt.datetime, st.datetimes(timezones=st.just(dt.UTC))),
    Kind(uuid.UUID, st.uuids()),
    Kind(bytes, st.binary(max_size=8)),
    Kind(Decimal, st.decimals(allow_nan=False, allow_infinity=False), exact=False),
    Kind(set[int], st.sets(INTS, max_size=3), exact=False),
    Kind(Place, st.builds(Place, FLOATS, UNITS)),
    Kind(Point, st.builds(Point, INTS, FLOATS)),
    Kind(Options, st.fixed_dictionaries({"depth": INTS}, optional={"note": TEXT})),
]


def grown(kinds: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    """Types made of those types."""
    return st.one_of(
        kinds.map(lambda k: Kind(list[k.hint], st.lists(k.values, max_size=3), k.exact)),  # type: ignore[name-defined]
        kinds.map(lambda k: Kind(dict[str, k.hint], st.dictionaries(TEXT, k.values, max_size=3), k.exact)),  # type: ignore[name-defined]
        kinds.map(lambda k: Kind(k.hint | None if k.hint else None, st.none() | k.values, k.exact)),
        st.tuples(kinds, kinds).map(
            lambda two: Kind(
                tuple[two[0].hint, two[1].hint],  # type: ignore[misc]
                st.tuples(two[0].values, two[1].values),
                two[0].exact and two[1].exact,
            )
        ),
    )


KINDS = st.recursive(st.sampled_from(LEAVES), grown, max_leaves=4)


class Case(NamedTuple):
    """A function's parameters, and values for some of them."""

    tool: CallableTool[..., object]
    kinds: Sequence[Kind]
    defaults: Sequence[bool]
    exact: bool


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kinds = draw(st.lists(KINDS, max_size=4))
    defaults = [draw(st.booleans()) for _ in kinds]
    names = [f"p{place}" for place in range(len(kinds))]
    # Those with a default come after a `*`, so that any order of them is a signature.
    listed = ", ".join(f"{name}: {name}_type{' = None' * has}" for name, has in zip(names, defaults, strict=True))
    space: dict[str, Any] = {f"{name}_type": kind.hint for name, kind in zip(names, kinds, strict=True)}
    exec(f"def drawn({'*, ' if names else ''}{listed}): ...", space)
    return Case(function_tool(space["drawn"]), kinds, defaults, all(kind.exact for kind in kinds))


def is_valid(tool: CallableTool[..., object], arguments: str) -> bool:
    validator: Any = jsonschema.Draft202012Validator(tool.parameters)
    return bool(validator.is_valid(json.loads(arguments)))


@given(case=cases(), data=st.data())
def test_what_was_encoded_is_decoded_and_fits_the_schema(case: Case, data: st.DataObject) -> None:
    jsonschema.Draft202012Validator.check_schema(case.tool.parameters)
    values: dict[str, object] = {}
    for place, (kind, has_default) in enumerate(zip(case.kinds, case.defaults, strict=True)):
        if not has_default or data.draw(st.booleans()):
            values[f"p{place}"] = data.draw(kind.values)
    arguments = msgspec.json.encode(values).decode()
    assert case.tool.decode_arguments(arguments) == values
    assert is_valid(case.tool, arguments)


JSON = st.recursive(
    st.none() | st.booleans() | INTS | FLOATS | TEXT | st.sampled_from(["a", "c", 1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.sampled_from(["lat", "x", "depth"]), inner),
    max_leaves=5,
)


@given(case=cases(), data=st.data())
def test_what_the_schema_refuses_is_refused(case: Case, data: st.DataObject) -> None:
    assume(case.exact)
    values: dict[str, object] = {}
    for place in range(len(case.kinds) + data.draw(st.sampled_from([0, 0, 0, 0, 1, -1]))):
        values[f"p{place}"] = data.draw(JSON | data.draw(st.sampled_from([*case.kinds, *LEAVES])).values)
    arguments = msgspec.json.encode(values).decode()
    assume(not is_valid(case.tool, arguments))
    with pytest.raises(ToolError, match="the arguments of drawn do not fit: "):
        case.tool.decode_arguments(arguments)


@given(arguments=st.text(max_size=40) | st.text('{}[]":,ab1\\ ', max_size=40))
def test_whatever_is_written_is_decoded_or_a_tool_error(arguments: str) -> None:
    with suppress(ToolError):
        assert set(add.decode_arguments(arguments)) <= {"a", "b"}
