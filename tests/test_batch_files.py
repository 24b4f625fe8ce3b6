"""What a batch keeps on the disk: lines that a kill cannot halve for good, one writer at a time, one line a key."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiorunstream.cli._batch_files import BatchFileError, BatchFiles, _Lines
from aiorunstream.cli._batch_results import Result, ResultError


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def journal_of(output: Path) -> Path:
    return output.with_name("results.jsonl.journal")


def completed(key: str) -> Result:
    return Result(key=key, status="completed", text="Né\u2028")


def failed(key: str) -> Result:
    return Result(key=key, error=ResultError(type="StreamTruncatedError", message="m"))


def keys_in(output: Path) -> list[str]:
    return [json.loads(line)["key"] for line in output.read_text().split("\n") if line]


def written(output: Path, *results: Result) -> bytes:
    with BatchFiles(output, "new") as files:
        files.start()
        for result in results:
            files.begin(result.key, f"thread_{result.key}")
            files.write(result)
        assert files.begun.keys() == files.failed
        files.sync()
    return output.read_bytes()


def test_what_was_written_is_known_again(output: Path) -> None:
    written(output, completed("a"), failed("b"))
    with BatchFiles(output, "resume") as files:
        assert (files.completed, files.failed) == ({"a"}, {"b"})
        assert files.begun == {"b": "thread_b"}  # of what is completed nobody asks again
        assert files.has_journal
        name = files.batch
    with BatchFiles(output, "resume") as files:
        assert files.batch == name


def test_a_line_cut_at_any_byte_is_repaired(output: Path) -> None:
    whole = written(output, completed("a"), completed("b"), completed("c"))
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    for end in range(last, len(whole) + 1):
        output.write_bytes(whole[:end])
        with BatchFiles(output, "resume") as files:
            is_whole = end >= len(whole) - 1  # only the line's end is missing, or nothing
            assert files.completed == ({"a", "b", "c"} if is_whole else {"a", "b"})
            files.start()
            files.write(completed("d"))
        assert keys_in(output) == (["a", "b", "c", "d"] if is_whole else ["a", "b", "d"])


def test_a_journal_cut_at_any_byte_is_repaired(output: Path) -> None:
    written(output, completed("a"))
    journal = journal_of(output)
    whole = journal.read_bytes()
    for end in range(len(whole) + 1):
        journal.write_bytes(whole[:end])
        with BatchFiles(output, "resume") as files:
            files.start()
            files.begin("z", "thread_z")
            name = files.batch
        with BatchFiles(output, "resume") as files:
            assert files.begun["z"] == "thread_z"
            assert files.batch == name


def test_a_line_that_no_batch_has_written_is_named_and_left_alone(output: Path) -> None:
    output.write_text('{"key": "a", "status": "completed"}\nnot ours\n{"key": "b"}\n')
    before = output.read_bytes()
    with pytest.raises(BatchFileError, match=r"results\.jsonl, line 2: no batch has written this"):
        BatchFiles(output, "resume")
    assert output.read_bytes() == before


def test_results_that_are_there_are_not_overwritten_by_accident(output: Path) -> None:
    before = written(output, completed("a"))
    with pytest.raises(BatchFileError, match=r"is there: give --resume to go on with it, or --force to overwrite it"):
        BatchFiles(output, "new")
    assert output.read_bytes() == before


def test_force_overwrites_only_once_it_begins(output: Path) -> None:
    before = written(output, completed("a"))
    with BatchFiles(output, "force") as files:
        assert output.read_bytes() == before
        files.start()
        files.write(completed("b"))
        assert files.completed == {"b"}
    assert keys_in(output) == ["b"]


def test_files_that_were_made_for_nothing_are_taken_away(output: Path) -> None:
    BatchFiles(output, "new").close()
    assert list(output.parent.iterdir()) == []


def test_a_failure_that_was_tried_again_has_one_line(output: Path) -> None:
    written(output, failed("a"), completed("b"))
    with BatchFiles(output, "resume") as files:
        files.start()
        files.write(completed("a"))
        files.finish(all_completed=True)
    assert keys_in(output) == ["b", "a"]
    assert not journal_of(output).exists()


def test_a_kill_between_a_second_line_and_its_clearing_leaves_one_line_a_key(output: Path) -> None:
    written(output, failed("a"), completed("b"))
    with BatchFiles(output, "resume") as files:
        files.start()
        files.write(completed("a"))  # and no `finish`
    assert keys_in(output) == ["a", "b", "a"]
    with BatchFiles(output, "resume") as files:
        assert (files.completed, files.failed) == ({"a", "b"}, set())
    assert keys_in(output) == ["b", "a"]


HOLDS = """
import sys, pathlib
from aiorunstream.cli._batch_files import BatchFiles
files = BatchFiles(pathlib.Path(sys.argv[1]), "resume")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.name != "posix", reason="only POSIX locks the files")
def test_two_processes_do_not_write_the_same_results(output: Path) -> None:
    written(output, completed("a"))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(output)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BatchFileError, match="is in use: another batch writes there"):
            BatchFiles(output, "resume")
        holder.kill()
    BatchFiles(output, "resume").close()  # a process that is gone holds nothing


@pytest.mark.skipif(os.name != "posix", reason="only POSIX locks the files")
def test_a_journal_that_was_taken_away_before_it_was_locked_is_not_taken_for_the_batch_s(output: Path) -> None:
    lines = _Lines(journal_of(output))
    journal_of(output).unlink()  # as the process that had it locked does at its good end
    with pytest.raises(BatchFileError, match="is in use"):
        lines.lock()
    lines.close()
