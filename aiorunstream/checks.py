"""Checks of arguments before anything is sent. Each takes the argument's name and value, and names it in the error."""

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address
from typing import cast
from urllib.parse import quote, unquote, urlsplit

import msgspec

from .errors import ConfigurationError, InvalidArgumentError

Check = Callable[[str, object], None]


def _refuse(name: str, must: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name} must be {must}", argument=name)


def text(*, most: int | None = None, may_be_empty: bool = True) -> Check:
    """Text of at most `most` characters."""

    def check(name: str, value: object) -> None:
        if not isinstance(value, str):
            raise _refuse(name, f"text, not {type(value).__name__}")
        if not value and not may_be_empty:
            raise _refuse(name, "non-empty text")
        if most is not None and len(value) > most:
            raise _refuse(name, f"at most {most} characters long, not {len(value)}")

    return check


def number(low: float, high: float) -> Check:
    """A number from `low` to `high`."""

    def check(name: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise _refuse(name, f"a number from {low:g} to {high:g}, not {value!r:.40}")

    return check


def integer(least: int) -> Check:
    """A whole number of at least `least`."""

    def check(name: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise _refuse(name, f"a whole number of at least {least}, not {value!r:.40}")

    return check


def whole(low: int, high: int) -> Check:
    """A whole number from `low` to `high`."""

    def check(name: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _refuse(name, f"a whole number from {low} to {high}, not {value!r:.40}")

    return check


def one_of(*words: str) -> Check:
    """One of these words."""

    def check(name: str, value: object) -> None:
        if value not in words:
            raise _refuse(name, f"one of {', '.join(words)}, not {value!r:.40}")

    return check


def boolean(name: str, value: object) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise _refuse(name, f"True or False, not {type(value).__name__}")


def json_object(name: str, value: object) -> None:
    """A dict, or one of this package's Structs."""
    if not isinstance(value, (Mapping, msgspec.Struct)):
        raise _refuse(name, f"a dict or a Struct of aiorunstream, not {type(value).__name__}{_way_out(name, value)}")


def text_or_object(name: str, value: object) -> None:
    """A word, or an object."""
    if not isinstance(value, (str, Mapping, msgspec.Struct)):
        raise _refuse(name, f"text, a dict or a Struct of aiorunstream, not {type(value).__name__}")


def objects(*, most: int | None = None, least: int = 0) -> Check:
    """A list of objects, with `least` to `most` of them."""

    def check(name: str, value: object) -> None:
        items = _items(name, value)
        if most is not None and len(items) > most:
            raise _refuse(name, f"a list of at most {most}, not {len(items)}")
        if len(items) < least:
            raise _refuse(name, f"a list of at least {least}")
        for place, item in enumerate(items):
            json_object(f"{name}[{place}]", item)

    return check


def texts(name: str, value: object) -> None:
    """A list of texts."""
    for place, item in enumerate(_items(name, value)):
        if not isinstance(item, str):
            raise _refuse(f"{name}[{place}]", f"text, not {type(item).__name__}")


def text_or_objects(name: str, value: object) -> None:
    """Text, or a list of at least one object: the content of a message."""
    if not isinstance(value, str):
        objects(least=1)(name, value)


def _items(name: str, value: object) -> Sequence[object]:
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return cast("Sequence[object]", value)
    raise _refuse(name, f"a list, not {type(value).__name__}{_way_out(name, value)}")


def _way_out(name: str, value: object) -> str:
    """What to do about functions where tools go out as JSON."""
    if name.startswith("tools") and callable(value):
        return ": put functions into ToolSet([...]), and give that to runs.stream"
    if name == "tools" and hasattr(value, "definitions"):
        return ": runs.stream takes it; here give its definitions"
    return ""


def metadata(name: str, value: object) -> None:
    """At most 16 pairs of text, names of at most 64 characters and values of at most 512."""
    if not isinstance(value, Mapping):
        raise _refuse(name, f"a dict of text to text, not {type(value).__name__}")
    pairs = cast("Mapping[object, object]", value)
    if len(pairs) > 16:
        raise _refuse(name, f"a dict of at most 16 pairs, not {len(pairs)}")
    for key, item in pairs.items():
        if not isinstance(key, str) or not isinstance(item, str):
            raise _refuse(name, f"a dict of text to text, which the pair {key!r:.70} is not")
        if len(key) > 64:
            raise _refuse(name, f"a dict with names of at most 64 characters, not {len(key)}")
        if len(item) > 512:
            raise _refuse(f"{name}[{key!r}]", f"at most 512 characters long, not {len(item)}")


def optional(check: Check) -> Check:
    """Also None, which is sent as null."""

    def check_optional(name: str, value: object) -> None:
        if value is not None:
            check(name, value)

    return check_optional


MAX_ID = 512
_NOT_IN_IDS = frozenset("/\\?#%")


def path_id(name: str, value: object) -> str:
    """An id as a path segment: 1 to 512 visible ASCII characters that cannot change the path, then percent-quoted.

    Quoting alone is not enough: `..` survives it, and a proxy may undo `%2F`.

    Raises:
        InvalidArgumentError: it is anything else; the message names the argument.
    """
    if not isinstance(value, str):
        raise _refuse(name, f"text, not {type(value).__name__}")
    if not value:
        raise _refuse(name, "a non-empty id")
    if len(value) > MAX_ID:
        raise _refuse(name, f"an id of at most {MAX_ID} characters, not {len(value)}")
    if value in (".", "..") or any(not "!" <= char <= "~" or char in _NOT_IN_IDS for char in value):
        raise _refuse(name, f"an id of visible ASCII characters without / \\ ? # %, not {value!r:.80}")
    return quote(value, safe="")


def header_value(name: str, value: object) -> str:
    """A header's value: visible ASCII and inner spaces. Anything else could forge a header, or is sent as nothing.

    Raises:
        InvalidArgumentError: it is anything else. The message names the argument and never quotes it.
    """
    if not isinstance(value, str):
        raise _refuse(name, f"text, not {type(value).__name__}")
    if value != value.strip():
        raise _refuse(name, "without spaces or line ends around it (a key read from a file keeps the file's line end)")
    if not value or any(not " " <= char <= "~" for char in value):
        raise _refuse(name, "non-empty visible ASCII, without control characters or line ends")
    return value


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def header(name: object, value: object) -> None:
    """A header's name and value; None as a value leaves the header out. Raises `InvalidArgumentError`."""
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise _refuse(f"the header name {name!r:.80}", "a token of HTTP")
    if name.lower() in ("content-length", "transfer-encoding"):
        raise _refuse(f"the header {name}", "left out: it follows from the body")
    if value is not None:
        header_value(f"the header {name}", value)


_NUMERIC_HOST = re.compile(r"[0-9.]+|0[xX][0-9a-fA-F.]*")


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def base_url(value: object) -> str:
    """An absolute http or https URL without userinfo, query or fragment; returned without a slash at its end.

    Raises:
        ConfigurationError: it is anything else. Userinfo is not quoted: it would be a password.
    """
    if not isinstance(value, str) or not value or any(not "!" <= char <= "~" for char in value):
        raise ConfigurationError("base_url must be a URL in visible ASCII, such as http://127.0.0.1:8787/v1")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ConfigurationError("base_url must be a URL with a valid host and port") from None
    if parts.username is not None or "@" in parts.netloc:
        raise ConfigurationError("base_url must not hold a user name or password; use api_key or default_headers")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"base_url must begin with http:// or https:// and a host, not {value!r:.80}")
    if _NUMERIC_HOST.fullmatch(parts.hostname) and not _is_ipv4(parts.hostname):
        raise ConfigurationError(f"base_url must name an IPv4 address by its four numbers, not {parts.hostname!r:.80}")
    if port == 0:
        raise ConfigurationError("base_url must not name port 0")
    if "?" in value or "#" in value:
        raise ConfigurationError("base_url must not have a query or fragment; use default_query")
    if any(unquote(segment) in (".", "..") for segment in parts.path.split("/")) or "\\" in value:
        raise ConfigurationError("base_url must not have . or .. or a backslash in its path")
    return value.rstrip("/")
