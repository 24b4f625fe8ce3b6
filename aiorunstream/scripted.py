"""An engine that says what it was told to say, turn by turn.

    engine = ScriptedEngine([
        [CallTool("get_weather", '{"city": "Oslo"}')],
        ["It is ", "raining."],
    ])

Each list is what is said in one turn.
"""

from collections import deque
from collections.abc import AsyncIterable, Iterable

from .engine import Engine, Turn
from .items import ITEMS, Fail, Item

Reply = Item | Iterable[Item]
"""What is said in one turn: items, or a single one."""

_TURNS_KEPT = 1_000


class ScriptedEngine:
    """Plays its replies one after another, one a turn, in the order in which the turns begin.

    Args:
        replies: what is said in the first turn, in the second, and so on; in each, items of an engine, or one alone.
            Plain text is an item.
        then: what answers when the script is over, such as `DefaultEngine()`; None fails each further run.
        repeat: whether the script begins again when it is over.

    Raises:
        ValueError: the replies are no list, or something else in them is nothing an engine can say; or the script is to
            be repeated and is empty, or has something after it.

    Attributes:
        turns: the last 1,000 turns that were asked, oldest first.
    """

    def __init__(self, replies: Iterable[Reply], *, then: Engine | None = None, repeat: bool = False) -> None:
        if isinstance(replies, str):
            raise ValueError("a script is a list of replies, not text")  # noqa: TRY004  # a str is iterable
        self._replies = tuple(_read(place, reply) for place, reply in enumerate(replies))
        if repeat and (then is not None or not self._replies):
            raise ValueError("a script that is repeated must have replies, and nothing after it")
        self._left = deque(self._replies)
        self._then = then
        self._repeat = repeat
        self.turns: deque[Turn] = deque(maxlen=_TURNS_KEPT)

    @property
    def left(self) -> int:
        """How many replies of the script were not played yet."""
        return len(self._left)

    def reply(self, turn: Turn, /) -> Iterable[Item] | AsyncIterable[Item]:
        """Says the next reply of the script."""
        self.turns.append(turn)
        if not self._left and self._repeat:
            self._left.extend(self._replies)
        if self._left:
            return self._left.popleft()
        if self._then is not None:
            return self._then.reply(turn)
        return (Fail(f"The script is over: it has {len(self._replies)} replies, and this turn wants one more."),)


def _read(place: int, reply: Reply) -> tuple[Item, ...]:
    items = tuple(reply) if isinstance(reply, Iterable) and not isinstance(reply, str) else (reply,)
    for item in items:
        if not isinstance(item, ITEMS):
            raise ValueError(f"reply {place} has a {type(item).__name__}, which an engine cannot say")  # noqa: TRY004
    return items
