"""A connector whose pooled connections are looked at when they are taken out, and not only when they are put in."""

import aiohttp
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace


class CleanConnector(aiohttp.TCPConnector):
    """Never hands out a connection on which something has come since its last answer.

    Servers write to an idle connection: a 408 before they close it, the rest of an answer that was too long. aiohttp 3.14
    would read that as the answer to the next request, which the server has not even seen. The method is aiohttp's own
    business; a test fails loudly where it changes.
    """

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (connection := await super()._get(key, traces)) is not None:
            protocol = connection.protocol
            if protocol is not None and not protocol.should_close:
                return connection
            connection.close()
        return None
