"""The tool loop over random runs of the embedded server: what the helper makes of them is what the server has."""

from random import Random

import pytest
from test_assistant_stream import assert_equals_what_is_kept, place

from aiorunstream import ToolSet, Usage
from aiorunstream.server import (
    CallTool,
    EndStep,
    Item,
    MoreArguments,
    MoreCode,
    PrintLogs,
    Refuse,
    RunCode,
    SearchFiles,
    ShowImage,
)


def random_turn(rng: Random, *, last: bool) -> list[Item]:
    """Text, images and own tools in some order, and calls of functions unless it is the last turn."""
    kinds: list[list[Item]] = [
        ["a ", "b "],
        [ShowImage("file_1")],
        [Refuse("no")],
        [EndStep()],
        [RunCode("1 + "), MoreCode("1"), PrintLogs("2")],
        [SearchFiles(())],
        [Usage(1, 2, 3)],
    ]
    turn = [item for _ in range(rng.randrange(1, 6)) for item in rng.choice(kinds)]
    if not last:
        for n in range(rng.randrange(1, 4)):
            turn += [CallTool(rng.choice(["echo", "unknown"]), '{"n": '), MoreArguments(f"{n}}}")]
    return turn


@pytest.mark.parametrize("seed", range(12))
async def test_of_a_random_run_with_tools_everything_is_what_the_server_has(seed: int) -> None:
    rng = Random(seed)
    turns = rng.randrange(1, 4)
    script = [random_turn(rng, last=n == turns - 1) for n in range(turns)]

    def echo(n: int) -> int:
        return n

    async with place(script) as at:
        async with at.stream(tools=ToolSet([echo])) as stream:
            deltas = "".join([text async for text in stream.text_deltas()])
        assert (stream.segment, stream.text) == (turns, deltas)
        await assert_equals_what_is_kept(at, stream)
