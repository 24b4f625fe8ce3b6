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
        _check_resources(known)
        if object_of(known, "file_search").get("vector_stores") is not None:
            raise _unsupported(
                "tool_resources.file_search.vector_stores",
                "make the vector store with the vendor's client, and give its vector_store_ids",
            )
        for tool, name in _REACHED.items():
            ids = object_of(known, tool).get(name)
            given = cast("Sequence[str]", ids) if isinstance(ids, (list, tuple)) else ()
            found[name] += [id for id in given if id not in found[name]]
    return found


def _check_resources(resources: JSONObject) -> None:
    for kind in resources:
        if kind not in _REACHED:
            raise _unsupported(f"tool_resources.{kind}", "leave it out")
        for name in object_of(resources, kind):
            if name not in (_REACHED[kind], "vector_stores"):
                raise _unsupported(f"tool_resources.{kind}.{name}", "leave it out")


def tool(value: JSONObject, reach: Mapping[str, Sequence[str]], where: str) -> JSONObject:
    """One tool. Those of kinds that runs do not know are sent as they are.

    Raises:
        UnsupportedParameterError: a setting that cannot be said, or a tool that runs could not answer.
    """
    match kind := text_of(value, "type"):
        case "function":
            return _function(_flat(value, "function"))
        case "code_interpreter":
            return {**value, "container": _container(value.get("container"), list(reach["file_ids"]), where)}
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


def _container(given: object, ids: list[str], where: str) -> object:
    if isinstance(given, dict):
        container = cast("JSONObject", given)
        has = container.get("file_ids")
        ids = [*(cast("list[str]", has) if isinstance(has, list) else ()), *ids]
        return {"type": "auto", **container, **({"file_ids": ids} if ids else {})}
    if given is not None and ids:
        raise _unsupported(
            f"{where}.container", "a container of its own takes no tool_resources.code_interpreter.file_ids"
        )
    return given or {"type": "auto", **({"file_ids": ids} if ids else {})}


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
