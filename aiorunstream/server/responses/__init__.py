"""The routes of responses and conversations."""

from ._handlers import ResponsesDialect, response_handlers, response_operations
from ._responses import Responses
from ._settings import ResponsesServerName, ResponsesSettings, settings_of

__all__ = [
    "Responses",
    "ResponsesDialect",
    "ResponsesServerName",
    "ResponsesSettings",
    "response_handlers",
    "response_operations",
    "settings_of",
]
