"""Tools, their choice and the shape of an answer, as `/responses` writes them: flat, and with `strict` said."""

from collections.abc import Mapping, Sequence
from typing import cast

from ...errors import UnsupportedParameterError
from ...models import JSONObject
from ._json import object_of, text_of

OWN_TOOLS = ("function", "code_interpreter", "file_search")
_NO_PARAMETERS: JSONObject = {"type": "object", "properties": {}}
_FOR_OTHERS = ("computer", "computer_use_preview", "local_shell", "shell", "apply_patch")
"""Tools whose calls the caller answers, with things that are no tool outputs of a run."""


def reachable(*resources: object) -> dict[str, list[str]]:
    """What the server's own tools may reach, by the names of its ids: of the assistant, the thread and the run together.

    Raises:
        UnsupportedParameterError: vector stores are to be made.
    """
    found: dict[str, list[str]] = {"file_ids": [], "vector_store_ids": []}
    for known in (cast("JSONObject", one) for one in resources if isinstance(one, dict)):
        if object_of(known, "file_search").get("vector_stores") is not None:
            raise _unsupported(
                "tool_resources.file_search.vector_stores",
                "make the vector store with the vendor's client, and give its vector_store_ids",
            )
        for tool, name in (("code_interpreter", "file_ids"), ("file_search", "vector_store_ids")):
            ids = object_of(known, tool).get(name)
            given = cast("Sequence[str]", ids) if isinstance(ids, (list, tuple)) else ()
            found[name] += [id for id in given if id not in found[name]]
    return found


def tool(value: JSONObject, reach: Mapping[str, Sequence[str]], where: str) -> JSONObject:
    """One tool. Those of kinds that runs do not know are sent as they are.

    Raises:
        UnsupportedParameterError: a setting that cannot be said, or a tool that runs could not answer.
    """
    match kind := text_of(value, "type"):
        case "function":
            return _function(object_of(value, "function") or value)
        case "code_interpreter":
            ids = list(reach["file_ids"])
            return {"type": kind, "container": {"type": "auto", **({"file_ids": ids} if ids else {})}}
        case "file_search":
            return _file_search(object_of(value, "file_search"), list(reach["vector_store_ids"]), where)
        case _ if kind in _FOR_OTHERS:
            raise _unsupported(
                where, f"a run cannot answer the calls of {kind!r}; describe what it is to do as a function"
            )
        case _:
            return value


def _function(function: JSONObject) -> JSONObject:
    flat: JSONObject = {"type": "function", "name": function.get("name")}
    if function.get("description") is not None:
        flat["description"] = function["description"]
    flat["parameters"] = function.get("parameters") or _NO_PARAMETERS
    flat["strict"] = function.get("strict") is True  # left out, it would be true here and false for runs
    return flat


def _file_search(options: JSONObject, ids: list[str], where: str) -> JSONObject:
    if not ids:
        raise _unsupported(
            where, "file_search needs tool_resources.file_search.vector_store_ids, of assistant or thread"
        )
    flat: JSONObject = {"type": "file_search", "vector_store_ids": ids}
    if options.get("max_num_results") is not None:
        flat["max_num_results"] = options["max_num_results"]
    if ranking := object_of(options, "ranking_options"):
        ranker = ranking.get("ranker")
        if ranker not in (None, "auto"):
            raise _unsupported(f"{where}.file_search.ranking_options.ranker", "use 'auto', or leave it out")
        known = {name: ranking[name] for name in ("ranker", "score_threshold") if ranking.get(name) is not None}
        flat["ranking_options"] = known
    return flat


def tool_choice(value: object) -> object:
    """Which tool is to be used."""
    if not isinstance(value, dict):
        return value
    choice = cast("JSONObject", value)
    if choice.get("type") != "function":
        return choice
    return {"type": "function", "name": object_of(choice, "function").get("name")}


def text_format(value: object) -> JSONObject | None:
    """The shape of the answer; None where nothing has to be said."""
    if not isinstance(value, dict):
        return None
    format = cast("JSONObject", value)
    if format.get("type") != "json_schema":
        return format
    inner = object_of(format, "json_schema")
    flat: JSONObject = {"type": "json_schema", "name": inner.get("name"), "schema": inner.get("schema") or {}}
    if inner.get("description") is not None:
        flat["description"] = inner["description"]
    return {**flat, "strict": inner.get("strict") is True}


def _unsupported(argument: str, instead: str) -> UnsupportedParameterError:
    return UnsupportedParameterError(f"{argument} cannot be sent to /responses: {instead}", argument=argument)
