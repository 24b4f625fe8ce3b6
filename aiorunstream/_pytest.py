"""The pytest plugin. Every session of an environment with this package loads it, so it imports nothing until it is used."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import ThreadedServer


@pytest.fixture
def assistants_server() -> "Iterator[ThreadedServer]":
    """A fresh server of the Assistants protocol on this machine; see `aiorunstream.testing.ThreadedServer`."""
    from .testing import ThreadedServer  # noqa: PLC0415  # only who asks for the fixture pays for the network stack

    with ThreadedServer() as server:
        yield server
