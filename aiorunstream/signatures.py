"""A function's signature as a tool's parameters: their JSON Schema, and a decoder for arguments that fit it.

Goes in: a function whose parameters are annotated with what msgspec can read from JSON. What cannot be a tool is
refused here, when the function is wrapped, and never when a model calls it.

The schema is msgspec's own, with these differences:

- the object of the arguments refuses unknown names; classes stay under `$defs`, so that it needs nothing else;
- an enumeration says its `type` too, and a `$ref` stands alone in its object: both are asked for by some servers;
- a datetime says `"format": "date-time"`, though one without a zone is read as well. (Where it is inside a list or
  a class, `Annotated[datetime, msgspec.Meta(tz=True)]` says so.)

With `strict`, every property is required, no object takes further names, and there are no defaults. A parameter with
a default becomes nullable, and null stands for its default (if its own type takes null, null is null). A field with
a default *inside* a class is required and not nullable: the model has to say it. What has no fixed shape (a dict, a
bare list, Any) is refused. Keywords that a server's strict mode may not know, such as `pattern`, `uniqueItems` or
the `prefixItems` of a tuple, are left in.
"""

import functools
import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from types import UnionType
from typing import Annotated, Any, NamedTuple, Optional, Union, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET
from msgspec import inspect as types

from . import docstrings
from .errors import ToolError
from .models import JSONObject

AnyFunction = Callable[..., object]


class Parameters(NamedTuple):
    """What a function takes: the JSON Schema, a decoder of arguments, and the names for which null is the default."""

    schema: JSONObject
    decoder: msgspec.json.Decoder[msgspec.Struct]
    null_is_default: frozenset[str]


class _Parameter(NamedTuple):
    name: str
    hint: Any  # a type, or what typing makes of several
    default: object
    nullable: bool  # only because strict mode has no other way to leave it out

    @property
    def optional(self) -> bool:
        return self.default is not inspect.Parameter.empty


def unwrapped(function: AnyFunction) -> AnyFunction:
    """The function that somebody wrote: below partials and wrappers. It has the name and the text."""
    for below in _layers(function):
        function = below
    return function


def _layers(function: AnyFunction) -> Iterator[AnyFunction]:
    """The function, each partial below it, and the one that is below all partials and wrappers."""
    while True:
        yield function
        if isinstance(function, functools.partial):
            function = cast("functools.partial[object]", function).func
        elif hasattr(function, "__wrapped__"):
            function = inspect.unwrap(function, stop=lambda layer: isinstance(layer, functools.partial))
        else:
            return


def docstring(function: AnyFunction) -> str | None:
    """The function's docstring; of a callable object that of its `__call__`, else of its class."""
    written = unwrapped(function)
    if inspect.isroutine(written):
        return written.__doc__
    return type(written).__call__.__doc__ or type(written).__doc__


def read(function: AnyFunction, label: str, *, strict: bool = False) -> Parameters:
    """Reads a function's parameters. `label` names it in errors.

    Raises:
        ToolError: a parameter cannot be given by a model, or not be read from JSON; the message names it.
    """
    parameters = list(_parameters(function, label, strict=strict))
    # A parameter that the model leaves out is left out of the call too, so UNSET is never seen by the function.
    fields = [(p.name, p.hint, UNSET) if p.optional else (p.name, p.hint) for p in parameters]
    arguments = msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
    schema = _schema(
        parameters, docstrings.parameters(docstring(function), [p.name for p in parameters]), label, strict=strict
    )
    return Parameters(schema, msgspec.json.Decoder(arguments), frozenset(p.name for p in parameters if p.nullable))


# -- the parameters ------------------------------------------------------------------------------------------------


def _parameters(function: AnyFunction, label: str, *, strict: bool) -> Iterator[_Parameter]:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError, NameError):
        raise ToolError(f"{label} has no signature that can be read", tool=label) from None
    written, bound = unwrapped(function), _filled_in(function)
    for parameter in signature.parameters.values():
        if parameter.name not in bound:  # the model neither sees nor changes what the caller has filled in
            hint = _hint(written, parameter, label)
            optional = parameter.default is not inspect.Parameter.empty
            nullable = strict and optional and not _reads(b"null", hint)
            yield _Parameter(parameter.name, Optional[hint] if nullable else hint, parameter.default, nullable)  # noqa: UP045


def _filled_in(function: AnyFunction) -> Collection[str]:
    """The names that partials fill in: this one, and those below it and below wrappers."""
    found: set[str] = set()
    for layer in _layers(function):
        if isinstance(layer, functools.partial):
            found |= cast("functools.partial[object]", layer).keywords.keys()
    return found


def _hint(written: AnyFunction, parameter: inspect.Parameter, label: str) -> Any:
    """The parameter's type, seen to be one that JSON can be read as."""
    where = f"{label}: parameter {parameter.name!r}"
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise ToolError(f"{where} takes any number of values; a tool's parameters have names", tool=label)
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise ToolError(f"{where} is positional-only; a tool is called with names", tool=label)
    if parameter.annotation is parameter.empty:
        advice = " (wrap the bound method, not the one in the class)" if parameter.name in ("self", "cls") else ""
        raise ToolError(f"{where} has no annotation{advice}", tool=label)
    hint = _resolved(written, parameter.annotation, where, label)
    try:
        msgspec.json.Decoder(hint)
        msgspec.json.schema_components([hint])
    except Exception as error:  # msgspec, and what it asks of a class, may raise anything
        reason = str(error).splitlines()[-1:]  # before it msgspec tells how to teach it the type
        raise ToolError(
            f"{where} cannot be read from JSON: its type is {_named(hint)} ({''.join(reason)})", tool=label
        ) from None
    return hint


def _resolved(written: AnyFunction, annotation: object, where: str, label: str) -> Any:
    def holder() -> None:
        """Has this one annotation, so that an error is about it, and the return type need not be there at run time."""

    holder.__annotations__ = {"hint": annotation}
    place = written if hasattr(written, "__globals__") else type(written).__call__
    try:
        return get_type_hints(holder, getattr(place, "__globals__", {}), include_extras=True)["hint"]
    except Exception as error:  # whatever the text of an annotation does when it is evaluated
        reason = f"{type(error).__name__}: {error}"
        raise ToolError(f"{where}: the annotation {_named(annotation)} has no meaning ({reason})", tool=label) from None


def _named(hint: object) -> str:
    return f"{hint.__name__ if isinstance(hint, type) else hint!s:.200}"


def _reads(text: bytes, hint: Any) -> bool:
    with suppress(Exception):  # a class may raise what it likes
        msgspec.json.decode(text, type=hint)
        return True
    return False


# -- their schema --------------------------------------------------------------------------------------------------


class _ShapelessError(Exception):
    """Strict mode has no word for this; the message is what it is."""


def _schema(parameters: Sequence[_Parameter], texts: Mapping[str, str], label: str, *, strict: bool) -> JSONObject:
    def finished(node: JSONObject, where: str) -> JSONObject:
        try:
            return _finished(node, strict=strict)
        except _ShapelessError as error:
            raise ToolError(f"{label}: {where} holds {error}, which strict mode cannot describe", tool=label) from None

    hints = [parameter.hint for parameter in parameters]
    schemas, definitions = msgspec.json.schema_components(hints, ref_template="#/$defs/{name}")
    properties: JSONObject = {}
    for parameter, schema in zip(parameters, schemas, strict=True):
        described = _described(parameter, schema, texts.get(parameter.name))
        properties[parameter.name] = finished(described, f"parameter {parameter.name!r}")
    needed = [parameter.name for parameter in parameters if strict or not parameter.optional]
    whole: JSONObject = {"type": "object", "properties": properties, "required": needed, "additionalProperties": False}
    if definitions:
        whole["$defs"] = {name: finished(node, f"type {name}") for name, node in definitions.items()}
    return whole


def _described(parameter: _Parameter, schema: JSONObject, text: str | None) -> JSONObject:
    """The schema with what is known besides the type: what it is for, that it is a date, its default."""
    described = {**schema}
    if any(isinstance(kind, types.DateTimeType) for kind in _members(parameter.hint)):
        # Types of one union never share a JSON type, so the text in it is the date.
        for option in cast("list[JSONObject]", described.get("anyOf", [described])):
            if option.get("type") == "string":
                option.setdefault("format", "date-time")
    said = _said(parameter.hint) or text
    if said:
        described["description"] = said
    if parameter.optional:
        with suppress(TypeError, ValueError, RecursionError):  # it has no JSON
            default = msgspec.json.encode(parameter.default)
            if _reads(default, parameter.hint):  # a sentinel is not read back, nor is NaN
                described["default"] = msgspec.json.decode(default)
    return described


def _members(hint: Any) -> list[types.Type]:
    info = types.type_info(hint)
    found = list(info.types) if isinstance(info, types.UnionType) else [info]
    return [kind.type if isinstance(kind, types.Metadata) else kind for kind in found]


def _said(hint: Any) -> str | None:
    """What `Annotated` says of the parameter: a plain text, or the description of a `Meta`."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    notes = [note for member in members if get_origin(member) is Annotated for note in get_args(member)[1:]]
    texts = [note.description if isinstance(note, msgspec.Meta) else note for note in notes]
    return next((text for text in texts if isinstance(text, str)), None)


def _finished(node: JSONObject, *, strict: bool) -> JSONObject:
    """A schema as it is sent: see the top of this file. Raises `_ShapelessError`."""
    done = {key: _inside(key, value, strict=strict) for key, value in node.items()}
    if strict:
        done.pop("default", None)
        done.pop("discriminator", None)
    if "$ref" in done and len(done) > 1:
        done["anyOf"] = [{"$ref": done.pop("$ref")}]
    if "enum" in done:
        kinds = sorted({_JSON_TYPES[type(value)] for value in cast("list[object]", done["enum"])})
        done["type"] = kinds[0] if len(kinds) == 1 else kinds
    if strict:
        if not done.keys() & {"type", "anyOf", "$ref"}:
            raise _ShapelessError("a value of any type")
        if done.get("type") == "array" and not done.keys() & {"items", "prefixItems"}:
            raise _ShapelessError("a list of anything")
        if done.get("type") == "object":
            if "properties" not in done:
                raise _ShapelessError("a dict with names of the model's own")
            done["required"] = list(cast(JSONObject, done["properties"]))
            done["additionalProperties"] = False
    return done


# What msgspec enumerates.
_JSON_TYPES: Mapping[type, str] = {str: "string", int: "integer", bool: "boolean", type(None): "null"}


def _inside(key: str, value: object, *, strict: bool) -> object:
    """The schemas within a schema, where `key` holds some."""
    if key in ("items", "additionalProperties") and isinstance(value, dict):
        return _finished(cast(JSONObject, value), strict=strict)
    if key in ("anyOf", "prefixItems"):
        return [_finished(inner, strict=strict) for inner in cast("list[JSONObject]", value)]
    if key == "properties":
        inside = cast("dict[str, JSONObject]", value)
        return {name: _finished(inner, strict=strict) for name, inner in inside.items()}
    return value


# -- reading it back -----------------------------------------------------------------------------------------------

_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


def allowed(schema: JSONObject, path: str) -> list[object]:
    """The values that an enumeration at a path such as `$.days[0].unit` allows; empty where there is none."""
    nodes = _choices([schema], schema)
    for name, place in _STEP.findall(path):
        inside = [child for node in nodes for child in _children(node, name, place)]
        nodes = _choices(inside, schema)
    return [value for node in nodes for value in cast("list[object]", node.get("enum", ()))]


def _children(node: JSONObject, name: str, place: str) -> Iterator[object]:
    if name:
        yield cast(JSONObject, node.get("properties", {})).get(name)
        return
    items = cast("list[object]", node.get("prefixItems", ()))
    if place.isdigit() and int(place) < len(items):
        yield items[int(place)]
    else:  # `[...]` is any place of a dict, or of a set
        yield node.get("items")
        yield node.get("additionalProperties")


def _choices(nodes: Sequence[object], whole: JSONObject) -> list[JSONObject]:
    """The schemas, with what they refer to and each alternative instead of themselves."""
    found: list[JSONObject] = []
    left = list(nodes)
    while left:
        node = left.pop(0)
        if isinstance(node, dict):
            node = cast(JSONObject, node)
            definitions = cast(JSONObject, whole.get("$defs", {}))
            left += cast("list[object]", node.get("anyOf", ()))
            left += [
                definitions[name.removeprefix("#/$defs/")] for name in (node.get("$ref"),) if isinstance(name, str)
            ]
            found.append(node)
    return found
