"""Runs passed on to browsers: a Starlette response, for FastAPI too. The only place that imports Starlette."""

try:
    from ._response import OnError, RunStreamResponse
except ModuleNotFoundError as missing:
    if missing.name != "starlette":
        raise
    raise ModuleNotFoundError(
        'aiorunstream.relay needs starlette: pip install "aiorunstream[starlette]"', name=missing.name
    ) from None

__all__ = ["OnError", "RunStreamResponse"]
