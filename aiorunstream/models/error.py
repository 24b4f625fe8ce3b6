"""An error as servers write it, flat or inside `{"error": ...}`."""

from ._base import Model


class ErrorObject(Model, frozen=True):
    """What a server says went wrong. Azure leaves `type` and `param` out; some servers number their codes."""

    message: str = ""
    type: str | None = None
    code: str | int | None = None
    param: str | None = None
