"""How the requests of one kind of server are spelt, where kinds differ: headers of its own, a query, lists in it."""

from collections.abc import Sequence

import msgspec


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of server.

    Attributes:
        headers: sent with every request, unless the client or the call says otherwise.
        query: the same of the query.
        joins_include: whether what is to be included is one `include` with commas, and not one `include[]` for each.
    """

    headers: Sequence[tuple[str, str]] = ()
    query: Sequence[tuple[str, str]] = ()
    joins_include: bool = False

    def pairs(self, query: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """The query of a call, as this kind of server is asked it."""
        if not self.joins_include:
            return [*self.query, *query]
        included = [value for name, value in query if name == "include[]"]
        others = [(name, value) for name, value in query if name != "include[]"]
        return [*self.query, *others, *([("include", ",".join(included))] if included else [])]


OPENAI = Profile(headers=(("OpenAI-Beta", "assistants=v2"),))  # Astra speaks v1 without it
