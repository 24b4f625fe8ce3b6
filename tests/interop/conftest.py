"""Tests against servers that were not written for this project. `start.py` starts one and runs them; see docs/interop.md."""

import os
from collections.abc import AsyncGenerator, Iterable

import pytest

from aiorunstream.recording import read_recording
from aiorunstream.server import AssistantsServer, Engine
from aiorunstream.server._replay import ReplayServer

MARKER = "interop"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{MARKER}: needs a server that tests/interop/start.py starts; not run by default"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves them out unless they are asked for by name."""
    if MARKER in str(config.option.markexpr):
        return
    left_out = [item for item in items if item.get_closest_marker(MARKER) is not None]
    config.hook.pytest_deselected(items=left_out)
    items[:] = _without(items, left_out)


def _without(items: Iterable[pytest.Item], left_out: Iterable[pytest.Item]) -> list[pytest.Item]:
    gone = set(left_out)
    return [item for item in items if item not in gone]


def variable(name: str) -> str:
    """What `start.py` says; the test is skipped where it says nothing."""
    value = os.environ.get(name)
    if not value:
        pytest.skip(f"{name} is not set: run tests/interop/start.py")
    return value


def upstream_with(engine: Engine | None = None) -> AssistantsServer:
    """The embedded server, where the server under test looks for its model. Enter it."""
    return AssistantsServer(port=int(variable("INTEROP_UPSTREAM_PORT")), delay=0.005, engine=engine)


def upstream_saying(body: bytes) -> AssistantsServer:
    """The same, whose every run stream is these bytes."""
    return ReplayServer(read_recording(body), port=int(variable("INTEROP_UPSTREAM_PORT")))


@pytest.fixture
async def upstream() -> AsyncGenerator[AssistantsServer]:
    async with upstream_with() as server:
        yield server
