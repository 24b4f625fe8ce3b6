"""What a batch keeps: the results, and beside them a journal of the runs that were begun. A killed process loses neither.

Each line is one write, before anything goes on: the operating system has it from then on, whatever becomes of the process.
`sync` asks for the disk. A line that was being written when the process or the machine stopped is completed or taken off
when the file is opened again.
"""

import os
import secrets
import shutil
from collections import Counter
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, Self, TypeVar

import msgspec

from ._batch_results import Result

T = TypeVar("T")
Open = Literal["new", "resume", "force"]


class BatchFileError(Exception):
    """A file cannot be what it is named for; the message says which and why."""


class _Error(msgspec.Struct, frozen=True):
    retryable: bool = False


class _Done(msgspec.Struct, frozen=True):
    """What has to be known of a line of the results."""

    key: str
    status: str | None = None
    error: _Error | None = None


class _Begun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the journal: the first names the batch, each other a run that is about to be begun."""

    batch: str = ""
    key: str = ""
    thread_id: str = ""


class _Lines:
    """A file that lines are added to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._is_dirty = False

    def lock(self) -> None:
        """Keeps other batches away, until this process ends."""
        with suppress(ImportError):  # Windows has none
            import fcntl  # noqa: PLC0415

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_still_there = os.path.samestat(os.fstat(self._file), self.path.stat())
            except (BlockingIOError, FileNotFoundError):
                is_still_there = False
            if not is_still_there:  # or a batch that has just ended took it away
                raise BatchFileError(f"{self.path} is in use: another batch writes there")

    def empty(self) -> None:
        os.ftruncate(self._file, 0)

    def append(self, line: msgspec.Struct) -> None:
        left = msgspec.json.encode(line) + b"\n"
        while left:  # a full disk may take a part, and says so with the next
            left = left[os.write(self._file, left) :]
            self._is_dirty = True  # not before: a `sync` in between, from its thread, would take it back

    def sync(self) -> None:
        if self._is_dirty:
            self._is_dirty = False
            os.fsync(self._file)

    def read(self, kind: type[T]) -> Generator[T]:
        """All lines, once the last is whole."""
        decoder = msgspec.json.Decoder(kind)
        with self.path.open("rb") as file:
            self._repair(file, decoder)
            file.seek(0)
            for number, line in enumerate(file, 1):
                try:
                    found = decoder.decode(line)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    raise BatchFileError(f"{self.path}, line {number}: no batch has written this") from None
                yield found

    def _repair(self, file: BinaryIO, decoder: msgspec.json.Decoder[T]) -> None:
        last = _last_line(file)
        if not last:
            return
        try:
            decoder.decode(last)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            os.ftruncate(self._file, file.seek(0, os.SEEK_END) - len(last))
        else:
            os.write(self._file, b"\n")  # only its end was missing
        self._is_dirty = True

    def close(self) -> None:
        file, self._file = self._file, -1
        if file != -1:
            os.close(file)


class BatchFiles:
    """The results and the journal of a batch. Opening them repairs them, and says what is done already.

    Args:
        output: where the results are; the journal is beside it, with `.journal` at the end of its name.
        how: "new" refuses to touch results that are there, "resume" goes on with them, "force" throws them away.

    Raises:
        BatchFileError: there are results already, another process writes them, or a line is none of a batch.
        OSError: a file cannot be opened, read or written.

    Attributes:
        batch: names the batch in the metadata of its runs.
        completed, failed: the keys that have a line.
        retryable: those of the failed that may well fare better when they are made again.
        begun: the thread of each run that was begun and is not completed, by key.
        has_journal: whether there was one.
    """

    def __init__(self, output: Path, how: Open) -> None:
        self._output = output
        journal = output.with_name(f"{output.name}.journal")
        if output.exists() and not output.is_file():
            raise BatchFileError(f"{output} is no file")
        there = [path for path in (output, journal) if path.exists()]
        self.has_journal = _has_content(journal)
        if how == "new" and (full := [path for path in there if _has_content(path)]):
            raise BatchFileError(f"{full[0]} is there: give --resume to go on with it, or --force to overwrite it")
        self._new = [path for path in (output, journal) if path not in there]
        self._overwrites = how == "force"
        self._retried = False
        self._journal = _Lines(journal)
        self._results = self._journal
        try:
            self._journal.lock()
            self._results = _Lines(output)
            self._load()
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        self.completed: set[str] = set()
        self.failed: set[str] = set()
        self.retryable: set[str] = set()
        self.begun: dict[str, str] = {}
        batch = ""
        if not self._overwrites:
            count = 0
            for result in self._results.read(_Done):
                count += 1
                self._note(result)
            if len(self.completed) + len(self.failed) < count:  # it was killed while failures were tried again
                self._drop_replaced()
            for line in self._journal.read(_Begun):
                batch = batch or line.batch
                if line.key and line.key not in self.completed:
                    self.begun[line.key] = line.thread_id
        self._is_named = bool(batch)
        self.batch = batch or secrets.token_hex(8)

    def _note(self, line: _Done | Result) -> None:
        """Knows what the last line of a key says."""
        key = line.key
        self.retryable.discard(key)
        if line.status == "completed":
            self.completed.add(key)
            self.failed.discard(key)
            self.begun.pop(key, None)  # nobody looks for it again, and there may be a million
        else:
            self.failed.add(key)
            self.completed.discard(key)
            if line.error is not None and line.error.retryable:
                self.retryable.add(key)

    def start(self) -> None:
        """Is called before the first line. What is to be overwritten, is; until then nothing was changed for good."""
        self._new.clear()
        if self._overwrites:
            self._results.empty()
            self._journal.empty()
        if not self._is_named:
            self._journal.append(_Begun(batch=self.batch))

    # -- going on ----------------------------------------------------------------------------------------------------

    def begin(self, key: str, thread_id: str) -> None:
        """Notes that a run is about to be begun for that key on that thread."""
        if self.begun.get(key) != thread_id:
            self._journal.append(_Begun(key=key, thread_id=thread_id))
            self.begun[key] = thread_id

    def write(self, result: Result) -> None:
        """Adds a result. Where the key has a line of an earlier failure, this one takes its place."""
        self._results.append(result)
        self._retried = self._retried or result.key in self.failed or result.key in self.completed
        self._note(result)

    def sync(self) -> None:
        """Has the disk take what was written so far. May be called from another thread."""
        self._journal.sync()
        self._results.sync()

    # -- the end -----------------------------------------------------------------------------------------------------

    def finish(self, *, all_completed: bool) -> None:
        """Puts the results in order and on the disk. The journal goes, where nothing can need it any more."""
        self.sync()
        if self._retried:
            self._drop_replaced()
        if all_completed:
            self._journal.path.unlink(missing_ok=True)

    def _drop_replaced(self) -> None:
        spare = self._output.with_name(f".{self._output.name}.tmp")
        with self._output.open("rb") as old, spare.open("wb") as new:
            keys = msgspec.json.Decoder(_Done)
            left = Counter(keys.decode(line).key for line in old)
            old.seek(0)
            for line in old:
                key = keys.decode(line).key
                left[key] -= 1
                if not left[key]:
                    new.write(line)
            new.flush()
            os.fsync(new.fileno())
        shutil.copymode(self._output, spare)
        self._results.close()
        spare.replace(self._output)  # in one step: there is never a moment with half of them
        self._results = _Lines(self._output)
        _sync_folder(self._output)

    def close(self) -> None:
        """Lets go of the files, and takes those away that it made for nothing. Idempotent."""
        self._results.close()
        for path in self._new:
            path.unlink(missing_ok=True)
        self._new.clear()
        self._journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self.close()


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _last_line(file: BinaryIO) -> bytes:
    """What stands behind the last end of a line."""
    place = file.seek(0, os.SEEK_END)
    last = b""
    while place and b"\n" not in last:
        size = min(place, 65536)
        place = file.seek(place - size)
        last = file.read(size) + last
    return last.rpartition(b"\n")[2]


def _sync_folder(path: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
