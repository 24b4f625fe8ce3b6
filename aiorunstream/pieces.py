"""Bytes that come in pieces, kept without waste and joined once: appending to one buffer would copy it again and again."""

_JOINED = 16 * 1024
"""Pieces are joined into blocks of this size: small enough that what is held is hardly more than what came."""


class Pieces:
    """Bytes that come in pieces of any size: joined once, and never much more in memory than there are."""

    __slots__ = ("_blocks", "_end", "size")

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._end = bytearray()
        self.size = 0

    def add(self, piece: bytes) -> None:
        """Appends a piece."""
        self.size += len(piece)
        self._end += piece
        if len(self._end) > _JOINED:
            self._blocks.append(bytes(self._end))
            self._end.clear()

    def starts(self) -> bytes:
        """The first bytes: all there are, up to 16 KiB."""
        return self._blocks[0] if self._blocks else bytes(self._end)

    def take(self) -> bytes:
        """All of them; none are left."""
        taken = b"".join([*self._blocks, self._end]) if self._blocks else bytes(self._end)
        self.clear()
        return taken

    def clear(self) -> None:
        """Forgets all of them."""
        self._blocks.clear()
        self._end.clear()
        self.size = 0
