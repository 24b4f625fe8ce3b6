"""What every wire object shares: how a Struct is built, how a time is read, what an unknown part becomes.

Rules the whole of `models/` keeps, because parsed JSON is kept by the thousand:

- frozen, `gc=False`, tuples instead of lists: the garbage collector never walks an event
  (6.7 times cheaper to keep than the default Struct with lists);
- a field that a server may leave out or send as null has a default (LiteLLM strips every null);
- an enumeration is `Literal[...] | str`: a value of tomorrow is text, not an error;
- a union names what is known; what is not becomes an `UnknownPart` that keeps its JSON.
"""

from typing import Annotated, Literal, cast

import msgspec

MAX_SECONDS = 99_999_999_999
"""The largest time read as Unix seconds (the year 5138); above it a server meant milliseconds."""

Seconds = Annotated[int, msgspec.Meta(le=MAX_SECONDS)]
"""A point in time in whole Unix seconds, UTC."""

Metadata = dict[str, str]
"""Up to 16 pairs of text hung on an object by its owner."""

JSONObject = dict[str, object]
"""A JSON object whose inside the protocol leaves open, such as a JSON Schema."""


class Model(msgspec.Struct, frozen=True, gc=False):
    """A wire object. Encodes every field, null where it is None."""


class Partial(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A wire object whose optional fields are left out of its JSON where they hold their default."""


class UnknownPart(dict[str, object]):
    """A part of a payload that this version does not know, with all of its JSON.

    It stands where a union such as message content, a tool or an annotation met a `type`
    nobody had heard of, so that everything around it stays typed. It is a dict (and encodes
    as the JSON it came from); match it by class: `case UnknownPart():`.
    """

    __slots__ = ()

    @property
    def type(self) -> Literal["(unknown)"] | None:
        """The part's own `type`, whatever text that is, or None where it has none.

        Type checkers are told of a word that no other part has, so that they can tell those by their `type`, as in the
        official client's unions.
        """
        kind = self.get("type")
        return cast('Literal["(unknown)"]', kind) if isinstance(kind, str) else None
