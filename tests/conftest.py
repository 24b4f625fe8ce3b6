"""What the tests share: where the companion files lie, the event loops, and how long Hypothesis searches."""

import gc
import importlib.util
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

SHARED = Path(__file__).resolve().parents[2] / "shared"
"""Companion files of the repository: vectors, transcripts, the published description. A plain checkout has none."""

NO_SHARED = "needs the companion files beside the repository (../shared), which are not here"

LONG = os.environ.get("AIORUNSTREAM_LONG") == "1"

# What these are about does not go by the event loop. AIORUNSTREAM_LONG=1 runs them on both, as the others always are.
ON_ONE_LOOP = ("test_both_backends_", "test_cli_", "test_client_", "test_relay_", "test_responses_", "test_server_")

# "ci" searches the same examples every time, so that a red build is the change's fault; "long" looks for new ones.
settings.register_profile("ci", max_examples=120, deadline=None, derandomize=True)
settings.register_profile(
    "long", max_examples=3000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("long" if LONG else "ci")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background jobs ignore Ctrl-C, and so would the programs that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What all tests consist of is a million objects: looked through for garbage, they would stop a loop for half a second."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if LONG:
        for item in items:
            item.add_marker(pytest.mark.timeout(3600))
    else:
        items[:] = [item for item in items if not ("uvloop" in item.name and item.path.name.startswith(ON_ONE_LOOP))]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of companion files; the test is skipped where there is none."""
    if not SHARED.is_dir():
        pytest.skip(NO_SHARED)
    return SHARED


_HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None


@pytest.fixture(
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(
            ("asyncio", {"use_uvloop": True}),
            id="uvloop",
            marks=pytest.mark.skipif(not _HAS_UVLOOP, reason="uvloop is not installed"),
        ),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Every async test runs on both event loops, but for some files of which `ON_ONE_LOOP` tells."""
    backend: tuple[str, dict[str, bool]] = request.param
    return backend
