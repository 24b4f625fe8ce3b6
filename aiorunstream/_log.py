"""What this package tells `logging`: one record a turning point of a request or stream, with names and counts only.

The logger is "aiorunstream". A record's facts stand in its message, and as a dict in its attribute `aiorunstream`, for
handlers that write JSON. No payload, header or key is among them.
"""

import logging

_logger = logging.getLogger("aiorunstream")
_logger.addHandler(logging.NullHandler())  # where a program says nothing about logging, nothing is to be seen


def log(level: int, what: str, /, **facts: str | float | None) -> None:
    """Logs what happened. Facts that are None are left out of the message, and not out of the record."""
    if _logger.isEnabledFor(level):
        text = "".join(f" {name}={_plain(value)}" for name, value in facts.items() if value is not None)
        # One attribute: programs have records of their own, with a `request_id` or the like.
        _logger.log(level, "%s%s", what, text, extra={"aiorunstream": facts}, stacklevel=2)


def _plain(value: str | float) -> str:
    """A server's words must not look like a line of their own."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)
