"""What this package tells `logging`: one record a turning point of a request or stream, with names and counts only.

The logger is "aiorunstream". A record's facts stand in its message and are its attributes too (`record.run_id`, ...), for
handlers that write JSON. No payload, header or key is among them.
"""

import logging

_logger = logging.getLogger("aiorunstream")


def log(level: int, what: str, /, **facts: str | float | None) -> None:
    """Logs what happened. Facts that are None are left out of the message, and not out of the record."""
    if _logger.isEnabledFor(level):
        text = "".join(f" {name}={value}" for name, value in facts.items() if value is not None)
        _logger.log(level, "%s%s", what, text, extra=facts, stacklevel=2)
