"""HTTP, and the only place that imports the aiohttp client.

Goes in: a `Request` whose every header and byte is decided. Comes out: a `ResponseBody` to read, abort or release, or one of
this package's errors. What outlives a stream (pooled connections, responses that drain) belongs to the session of its
event loop, so one client may be used from several loops.
"""

from ._body import ResponseBody
from ._request import Request
from ._transport import Transport

__all__ = ["Request", "ResponseBody", "Transport"]
