"""Parts of JSON that nobody has checked, read as what they should be; what they are not reads as empty."""

from typing import cast

from ...models import JSONObject


def text_of(part: JSONObject, name: str) -> str:
    """A field that should be text; empty where it is none."""
    value = part.get(name)
    return value if isinstance(value, str) else ""


def object_of(part: JSONObject, name: str) -> JSONObject:
    """A field that should be an object; empty where it is none."""
    value = part.get(name)
    return cast("JSONObject", value) if isinstance(value, dict) else {}


def objects_of(part: JSONObject, name: str) -> list[JSONObject]:
    """The objects in a field that should be a list of them."""
    value = part.get(name)
    found = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("JSONObject", one) for one in found if isinstance(one, dict)]


def place_of(part: JSONObject, name: str) -> int:
    """A field that should be a number from 0 on; 0 where it is none."""
    value = part.get(name)
    return value if isinstance(value, int) and value >= 0 else 0
