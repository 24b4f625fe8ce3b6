"""`aiorunstream batch` where requests fail: it says why, and what may be done, also when it is quiet."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from batch_site import asking, batch, write_requests

from aiorunstream.cli._batch_progress import Reasons
from aiorunstream.server import Fail, Fault
from aiorunstream.testing import ThreadedServer

AGAIN = "--resume --retry-failed makes again what failed"
IN_VAIN = "as it is, it would fail again"


@pytest.fixture
def server() -> Iterator[ThreadedServer]:
    with ThreadedServer() as running:
        yield running


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


@pytest.mark.parametrize("quiet", [False, True])
def test_where_the_assistant_is_wrong_it_says_so_and_not_to_try_again(
    server: ThreadedServer, tmp_path: Path, output: Path, *, quiet: bool
) -> None:
    requests = write_requests(tmp_path / "r.jsonl", asking(3))
    more = ["--quiet"] if quiet else []
    ended = batch(requests, "-o", output, "--base-url", server.base_url, "-a", "asst_none", *more)

    assert ended.returncode == 1
    reason, last = ended.stderr.splitlines()
    assert reason.startswith("3 x NotFoundError: 404 ")
    assert "'asst_none'" in reason
    assert last.startswith("0 completed, 3 failed; ")
    assert last.endswith(f"; {IN_VAIN}: once that is mended, {AGAIN}")

    later = batch(requests, "-o", output, "--base-url", server.base_url, "-a", "asst_none", "--resume", "-q")
    assert later.returncode == 1
    assert IN_VAIN in later.stderr  # it knows that from the results


def test_where_nobody_listens_it_says_so_and_how_to_try_again(tmp_path: Path, output: Path) -> None:
    requests = write_requests(tmp_path / "r.jsonl", asking(1))
    arguments = (requests, "-o", output, "--base-url", "http://127.0.0.1:9/v1", "-a", "x", "-q")
    ended = batch(*arguments)

    assert ended.returncode == 1
    reason, last = ended.stderr.splitlines()
    assert reason.startswith("1 x APIConnectionError: ")
    assert "refused" in reason
    assert last.endswith(f"; {AGAIN}")
    assert IN_VAIN not in last
    assert IN_VAIN not in batch(*arguments, "--resume").stderr


def test_of_several_reasons_the_commonest_are_told(server: ThreadedServer, tmp_path: Path, output: Path) -> None:
    server.script([[Fail("no \x1b[2J", code="rate_limit_exceeded")]], repeat=True)
    for status, times in ((400, 3), (403, 2), (422, 1)):
        server.inject(Fault("refuse", status=status, operation="create_run", times=times))
    requests = write_requests(tmp_path / "r.jsonl", asking(10, server.create_assistant().id))
    ended = batch(requests, "-o", output, "--base-url", server.base_url, "-q")

    first, second, third, last = ended.stderr.splitlines()
    assert first == "4 x rate_limit_exceeded: no [2J"
    assert second.startswith("3 x BadRequestError: 400 ")
    assert third == "3 x something else: the results say what"
    assert last.endswith(f"; {AGAIN}")  # what was put off by a limit may fare better


def test_where_all_is_well_a_quiet_batch_says_nothing(server: ThreadedServer, tmp_path: Path, output: Path) -> None:
    requests = write_requests(tmp_path / "r.jsonl", asking(2, server.create_assistant().id))
    ended = batch(requests, "-o", output, "--base-url", server.base_url, "-q")

    assert (ended.returncode, ended.stderr) == (0, "")


def test_reasons_take_little_room_however_many_and_long_they_are() -> None:
    reasons = Reasons()
    for number in range(3000):
        reasons.add("SomeError", f"{number} {'long ' * 1000}")
    reasons.add("SomeError", "0 " + "long " * 1000)

    assert len(reasons._counts) == 1000
    first, second, third = reasons.told()
    assert first.startswith("2 x SomeError: 0 long ")
    assert max(map(len, (first, second))) < 320
    assert third == "2,998 x something else: the results say what"
