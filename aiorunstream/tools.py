"""Python functions as tools: what an assistant is told of them, what it asks decoded, what they return as text.

Goes in: typed functions, sync or async, and later the arguments a model wrote. Comes out: definitions to send, values
to call with, and text to answer with. Nothing is called here; whoever runs the calls asks `function`, `is_async` and
`timeout`. How a signature becomes a schema is told in `signatures.py`.
"""

import functools
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Generic, ParamSpec, TypeVar, cast, overload

import msgspec

from . import signatures
from .depth import is_deeper
from .docstrings import summary
from .errors import ToolError
from .json_writing import NO_JSON, encode, is_finite, plain
from .models import FunctionDefinition, FunctionTool, JSONObject
from .signatures import AnyFunction

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")

MAX_DEPTH = 128
"""How deep the JSON of a call's arguments may be nested."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class CallableTool(Generic[P, R_co]):
    """A function as a tool. It is called as the function is; `function_tool` makes it.

    Attributes:
        name: what the model calls it.
        description: what it is for; None where nobody said.
        parameters: the JSON Schema of its arguments, complete in itself.
        strict: whether the schema is one for strict mode, and the server is asked for that.
        timeout: the seconds a call may take, or None for no limit of its own.
        function: the function itself.
        is_async: whether it is to be awaited; else it blocks, and belongs in a thread.
        definition: the tool as it is sent, for the `tools` of an assistant or a run.
    """

    def __init__(
        self,
        function: Callable[P, R_co],
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool = False,
        timeout: float | None = None,
    ) -> None:
        label = _label(function)
        _refuse_what_is_no_tool(function, label)
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.name = _checked_name(function, name, label)
        self.description = summary(signatures.docstring(function)) if description is None else description
        self.strict = strict
        self.timeout = _checked_timeout(timeout, label)
        self.is_async = _is_async(function)
        self.parameters, self._decoder, self._null_is_default = signatures.read(function, label, strict=strict)
        self.definition = FunctionTool(
            FunctionDefinition(
                name=self.name,
                description=self.description,
                parameters=self.parameters,
                strict=True if strict else None,
            )
        )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Calls the function."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<CallableTool {self.name}>"

    def decode_arguments(self, arguments: str) -> dict[str, object]:
        """What a model wrote, as keyword arguments. Those it left out are left out; empty text is no arguments.

        Raises:
            ToolError: it is no JSON, or does not fit. The message is for the model: it says where, and what is
                expected there. An exception of your own class's `__post_init__` is your own, but a ValueError or
                TypeError is such a misfit, and what it says is in the message.
        """
        payload = (arguments.strip() or "{}").encode("utf-8", "surrogatepass")
        if is_deeper(payload, MAX_DEPTH):
            raise ToolError(f"the arguments of {self.name} are nested deeper than {MAX_DEPTH}", tool=self.name)
        try:
            values = self._decoder.decode(payload)
        except msgspec.ValidationError as error:
            reason = f"the arguments of {self.name} do not fit: {_readable(str(error), self.parameters)}"
        except (msgspec.DecodeError, UnicodeError) as error:
            # Python's own message would quote the bytes.
            what = "not UTF-8" if isinstance(error, UnicodeError) else str(error)
            reason = f"the arguments of {self.name} are not JSON: {what}"
        else:
            found = {name: cast(object, getattr(values, name)) for name in values.__struct_fields__}
            return {name: value for name, value in found.items() if not self._is_left_out(name, value)}
        raise ToolError(reason, tool=self.name)  # out here, without an error behind it that holds the payload

    def _is_left_out(self, name: str, value: object) -> bool:
        return value is msgspec.UNSET or (value is None and name in self._null_is_default)


@overload
def function_tool(
    function: Callable[P, R],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool = False,
    timeout: float | None = None,
) -> CallableTool[P, R]: ...


@overload
def function_tool(
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool = False,
    timeout: float | None = None,
) -> Callable[[Callable[P, R]], CallableTool[P, R]]: ...


def function_tool(
    function: AnyFunction | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool = False,
    timeout: float | None = None,
) -> object:
    """Makes a tool of a function: `@function_tool`, `@function_tool(timeout=5)` or `function_tool(client.search)`.

    Every parameter needs an annotation that msgspec can read from JSON: builtin types, Structs, dataclasses,
    TypedDicts, enums, Literal, unions, datetimes, `Annotated[int, msgspec.Meta(ge=1)]`. What a parameter is for is
    said in the docstring (Google's `Args:` or reST's `:param x:`) or by `Annotated[str, "a city"]`.

    Args:
        function: the function, sync or async; also a bound method, a partial (what it fills in is hidden from the
            model), or an object that can be called.
        name: what the model calls it, if not by the function's name.
        description: what it is for, if not the docstring's first paragraph. It may be of any length; some servers
            take 1,024 characters at most.
        strict: describe the arguments for strict mode, where the model keeps to the schema. A parameter with a
            default is then always given, as null where the default is meant.
        timeout: the seconds one call may take.

    Raises:
        ToolError: the function cannot be a tool; the message names it and the parameter.
    """

    def wrap(function: AnyFunction) -> CallableTool[..., object]:
        return CallableTool(function, name=name, description=description, strict=strict, timeout=timeout)

    return wrap if function is None else wrap(function)


class ToolSet:
    """Tools that go together, in their order, no two of one name; the same tool twice counts once. It never changes.

    Args:
        tools: `function_tool`s, or plain functions, which become tools with the defaults.

    Raises:
        ToolError: two tools have one name, or a function cannot be a tool; or there is no list around them.
    """

    def __init__(self, tools: Iterable[AnyFunction] = ()) -> None:
        self._tools: dict[str, CallableTool[..., object]] = {}
        given: object = tools
        if not isinstance(given, Iterable):
            instead = f": ToolSet([{_label(given)}])" if callable(given) else ""
            raise ToolError(f"a ToolSet is made of a list of functions, not of {type(given).__name__}{instead}")
        for function in tools:
            tool = _as_tool(function)
            other = self._tools.setdefault(tool.name, tool)
            if other is not tool:
                both = f"{_label(other.function)} and {_label(tool.function)}"
                raise ToolError(f"two tools have the name {tool.name}: {both}", tool=tool.name)

    @property
    def definitions(self) -> tuple[FunctionTool, ...]:
        """The tools as they are sent, for the `tools` of an assistant or a run."""
        return tuple(tool.definition for tool in self)

    def find(self, name: str) -> CallableTool[..., object] | None:
        """The tool of this name, or None."""
        return self._tools.get(name)

    def __getitem__(self, name: str) -> CallableTool[..., object]:
        return self._tools[name]

    def __contains__(self, item: object) -> bool:
        """Whether there is a tool of this name, or this very tool."""
        return item in self._tools or any(item is tool for tool in self)

    def __iter__(self) -> Iterator[CallableTool[..., object]]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __add__(self, other: "ToolSet") -> "ToolSet":
        return ToolSet((*self, *other))

    def __repr__(self) -> str:
        return f"ToolSet([{', '.join(self._tools)}])"


def encode_output(result: object, *, tool: str | None = None) -> str:
    """What a tool returned, as the text that is submitted.

    Text stays as it is, and so does that of an enum; a lone surrogate, which UTF-8 cannot carry, becomes U+FFFD.
    Anything else is JSON, so None is `null`: Structs, dataclasses, lists, dicts, numbers, dates as msgspec writes them.

    Raises:
        ToolError: it has no JSON, such as NaN or an object of an unknown class; the message names the type.
    """
    value = cast(object, result.value) if isinstance(result, Enum) else result
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    try:
        text = encode(value).decode()
        # msgspec writes NaN and infinity as null, which says something else.
        finite = "null" not in text or is_finite(msgspec.to_builtins(value, enc_hook=plain))
    except NO_JSON as error:
        reason = f": {error!s:.200}" if isinstance(error, TypeError) else ""
    else:
        if finite:
            return text
        reason = ": NaN or infinity"
    raise ToolError(f"a result of type {type(result).__name__} cannot be written as JSON{reason}", tool=tool)


# -- what cannot be a tool -----------------------------------------------------------------------------------------


def _label(function: AnyFunction) -> str:
    """What errors call a function, whatever it really is."""
    written = signatures.unwrapped(function)
    return str(getattr(written, "__qualname__", None) or type(written).__qualname__)


def _as_tool(function: AnyFunction) -> CallableTool[..., object]:
    return cast("CallableTool[..., object]", function) if isinstance(function, CallableTool) else CallableTool(function)


def _is_async(function: AnyFunction) -> bool:
    while isinstance(function, functools.partial):
        function = cast("functools.partial[object]", function).func
    if isinstance(function, CallableTool):
        return function.is_async
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _refuse_what_is_no_tool(function: object, label: str) -> None:
    if isinstance(function, type):
        raise ToolError(f"{label} is a class; a tool is a function, or an object that can be called", tool=label)
    if not callable(function):
        raise ToolError(f"a tool is a function, not {label}", tool=label)
    for one in (signatures.unwrapped(function), type(function).__call__):
        if inspect.isgeneratorfunction(one) or inspect.isasyncgenfunction(one):
            raise ToolError(f"{label} is a generator; a tool has one result, so return a list", tool=label)


def _checked_name(function: AnyFunction, name: str | None, label: str) -> str:
    found: object = getattr(signatures.unwrapped(function), "__name__", "") if name is None else name
    if isinstance(found, str) and _NAME.fullmatch(found):
        return found
    wanted = "1 to 64 of a-z, A-Z, 0-9, _ and -"
    raise ToolError(f"{label} needs a name of {wanted}, not {found!r:.80}: function_tool(name=...)", tool=label)


def _checked_timeout(timeout: float | None, label: str) -> float | None:
    if timeout is None:
        return None
    if type(timeout) not in (int, float) or not 0 < timeout < math.inf:
        raise ToolError(
            f"{label}: timeout must be a number of seconds above 0, or None, not {timeout!r:.40}", tool=label
        )
    return timeout


# -- what a model can read -----------------------------------------------------------------------------------------


def _readable(text: str, schema: JSONObject) -> str:
    """What msgspec says of a misfit, with the values that are allowed instead of the one that is not."""
    what, _, where = text.rpartition(" - at ")
    if what.startswith(("Invalid value ", "Invalid enum value ")):
        values = [msgspec.json.encode(value).decode() for value in signatures.allowed(schema, where.strip("`"))]
        what = f"Expected one of {', '.join(values)}" if values else "Invalid value"
    return f"{what:.2000} - at {where}" if what else f"{where:.2000}"
