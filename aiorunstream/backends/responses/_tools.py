"""Tools, their choice and the shape of an answer, as `/responses` writes them: flat, and with `strict` said.

What runs do not know of them is sent as it is, beside what they do: it is the server's to know, or to refuse.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from ...errors import UnsupportedParameterError
from ...models import JSONObject
from ._json import object_of, text_of

OWN_TOOLS = ("function", "code_interpreter", "file_search")
_REACHED = {"code_interpreter": "file_ids", "file_search": "vector_store_ids"}
"""What of `tool_resources` responses have a place for, by the kind of the tool."""
_NO_PARAMETERS: JSONObject = {"type": "object", "properties": {}}
_FOR_OTHERS = ("computer", "computer_use_preview", "local_shell", "shell", "apply_patch")
"""Tools whose calls the caller answers, with things that are no tool outputs of a run."""


def reachable(*resources: object) -> dict[str, list[str]]:
    """What the server's own tools may reach, by the names of its ids: of the assistant, the thread and the run together.

    Raises:
        UnsupportedParameterError: vector stores are to be made, or it is something that responses have no place for.
    """
    found: dict[str, list[str]] = {"file_ids": [], "vector_store_ids": []}
    for known in (cast("JSONObject", one) for one in resources if isinstance(one, dict)):
        for kind in known:
            if kind not in _REACHED:
                raise _unsupported(f"tool_resources.{kind}", "leave it out")
            named, name = object_of(known, kind), _REACHED[kind]
            _check_named(kind, named)
            found[name] += [id for id in _ids(named, name) if id not in found[name]]
    return found


def _check_named(kind: str, named: JSONObject) -> None:
    for name, said in named.items():
        if (kind, name) == ("file_search", "vector_stores"):
            if said is not None:
                raise _unsupported(
                    f"tool_resources.{kind}.{name}",
                    "make the vector store with the vendor's client, and give its vector_store_ids",
                )
        elif name != _REACHED[kind]:
            raise _unsupported(f"tool_resources.{kind}.{name}", "leave it out")


def _ids(value: JSONObject, name: str) -> Sequence[str]:
    ids = value.get(name)
    return cast("Sequence[str]", ids) if isinstance(ids, (list, tuple)) else ()


def tool(value: JSONObject, reach: Mapping[str, Sequence[str]], where: str) -> JSONObject:
    """One tool. Those of kinds that runs do not know are sent as they are.

    Raises:
        UnsupportedParameterError: a setting that cannot be said, or a tool that runs could not answer.
    """
    match kind := text_of(value, "type"):
        case "function":
            return _function(_flat(value, "function"))
        case "code_interpreter":
            return {**value, "container": _container(value, reach["file_ids"], where)}
        case "file_search":
            return _file_search(_flat(value, "file_search"), list(reach["vector_store_ids"]), where)
        case _ if kind in _FOR_OTHERS:
            raise _unsupported(
                where, f"a run cannot answer the calls of {kind!r}; describe what it is to do as a function"
            )
        case _:
            return value


def _flat(value: JSONObject, inside: str) -> JSONObject:
    """The fields of what is inside beside those around it. Null is what was left out."""
    fields = {**value, **object_of(value, inside), "type": value.get("type")}
    return {name: said for name, said in fields.items() if name != inside and said is not None}


def _function(function: JSONObject) -> JSONObject:
    parameters = function.get("parameters") or _NO_PARAMETERS
    strict = function.get("strict") is True  # left out, it would be true here and false for runs
    return {**function, "parameters": parameters, "strict": strict}


def _container(tool: JSONObject, ids: Sequence[str], where: str) -> object:
    given = tool.get("container")
    if given is not None and not isinstance(given, dict):
        if ids:
            raise _unsupported(
                f"{where}.container", "a container of its own takes no tool_resources.code_interpreter.file_ids"
            )
        return given
    container: JSONObject = {"type": "auto", **object_of(tool, "container")}
    ids = [*_ids(container, "file_ids"), *ids]
    return {**container, "file_ids": ids} if ids else container


def _file_search(options: JSONObject, ids: list[str], where: str) -> JSONObject:
    if not ids:
        raise _unsupported(
            where, "file_search needs tool_resources.file_search.vector_store_ids, of assistant or thread"
        )
    flat: JSONObject = {**options, "vector_store_ids": ids}
    if ranking := object_of(options, "ranking_options"):
        ranker = ranking.get("ranker")
        if ranker not in (None, "auto"):
            raise _unsupported(f"{where}.file_search.ranking_options.ranker", "use 'auto', or leave it out")
        flat["ranking_options"] = {name: said for name, said in ranking.items() if said is not None}
    return flat


def tool_choice(value: object) -> object:
    """Which tool is to be used."""
    if not isinstance(value, dict):
        return value
    choice = cast("JSONObject", value)
    if choice.get("type") != "function":
        return choice
    return _flat(choice, "function")


def text_format(value: object) -> JSONObject | None:
    """The shape of the answer; None where nothing has to be said."""
    if not isinstance(value, dict):
        return None
    format = cast("JSONObject", value)
    if format.get("type") != "json_schema":
        return format
    flat = _flat(format, "json_schema")
    return {**flat, "schema": flat.get("schema") or {}, "strict": flat.get("strict") is True}


def _unsupported(argument: str, instead: str) -> UnsupportedParameterError:
    return UnsupportedParameterError(f"{argument} cannot be sent to /responses: {instead}", argument=argument)
