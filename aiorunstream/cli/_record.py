"""Keeps the bytes of a run stream as they are read: a backend around the real one."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from .._version import __version__
from ..backends import Answer, Backend, Opened, Settings
from ..backends._credentials import Redaction, Secret, unseen
from ..errors import StreamClosedError, StreamError, StreamTimeoutError
from ..operations import Call
from ..protocol import OnErrorEvent
from ..recording import Ending, RecordingWriter
from ..stream import ByteStream

T = TypeVar("T")

REST_SECONDS = 0.25
"""How long the rest of a body is read, once its reader has all it wants."""

Sink = Callable[[bytes], object]
"""Takes lines of the recording, as they come. It must not raise."""


class RecordingBackend:
    """Does what another backend does, and records the first stream that it opens. The stream is the same.

    Args:
        backend: carries the calls out.
        sink: is given the recording.
    """

    def __init__(self, backend: Backend, sink: Sink) -> None:
        self._backend = backend
        self._sink: Sink | None = sink
        self._settings: Settings | None = None
        self._body: _RecordedBody | None = None

    def start(self, settings: Settings) -> None:
        """Is called by the client this backend belongs to."""
        self._settings = settings
        self._backend.start(settings)

    async def call(self, call: Call[T]) -> Answer[T]:
        """Carries out a plain call."""
        return await self._backend.call(call)

    async def open(self, call: Call[T], *, on_error_event: OnErrorEvent) -> Opened:
        """Opens a stream."""
        if self._sink is None or self._settings is None:
            return await self._backend.open(call, on_error_event=on_error_event)
        writer = _writer(self._settings, await self._settings.credentials.current(), call)
        asked = time.perf_counter()
        opened = await self._backend.open(call, on_error_event=on_error_event)
        sink, self._sink = self._sink, None
        self._body = _RecordedBody(opened.body, sink, writer, asked)
        return opened._replace(body=self._body)

    async def finish(self) -> None:
        """Waits for what is still being recorded, a quarter of a second at most; ends the recording."""
        if self._body is not None:
            await self._body.finish()


def _writer(settings: Settings, secret: Secret | None, call: Call[T]) -> RecordingWriter:
    """One that knows what must not be written. No variable here shows a key."""
    headers = {**settings.headers, **unseen(call.options.extra_headers)}
    if secret is not None:
        headers["Authorization"] = secret.bearer()
    redaction = Redaction({name: value for name, value in headers.items() if value is not None})
    return RecordingWriter(secrets=redaction.as_bytes())


class _RecordedBody:
    """A body that is also written down."""

    def __init__(self, body: ByteStream, sink: Sink, writer: RecordingWriter, asked: float) -> None:
        self._body = body
        self._sink = sink
        self._writer = writer
        self._began = time.perf_counter()
        self._is_ended = False
        self._rest: asyncio.Task[None] | None = None
        head_ms = (self._began - asked) * 1000
        sink(writer.head(version=__version__, status=body.status, head_ms=head_ms, headers=body.headers))

    @property
    def status(self) -> int:
        return self._body.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._body.headers

    @property
    def clean_close(self) -> bool | None:
        return self._body.clean_close

    async def read(self) -> bytes:
        """As of the body; what it brings, or raises, is noted."""
        try:
            data = await self._body.read()
        except StreamError as error:
            self._end(_ending(error), f"{type(error).__name__}: {error}")
            raise
        if data:
            self._note(data)
        else:
            self._end("clean")
        return data

    def progressed(self) -> None:
        self._body.progressed()

    def abort(self) -> None:
        self._end("left")
        self._body.abort()

    def abandon(self) -> None:
        self._body.abandon()

    def release(self) -> None:
        """The reader has all it wants. How the body ends is noted all the same, if it does so soon."""
        if self._is_ended or self._rest is not None:
            self._body.release()
        else:
            self._rest = asyncio.get_running_loop().create_task(self._read_rest())

    async def _read_rest(self) -> None:
        try:
            async with asyncio.timeout(REST_SECONDS):
                while await self.read():
                    pass
        except (TimeoutError, StreamError):
            pass
        finally:
            self._end("left")
            self._body.release()

    async def finish(self) -> None:
        if self._rest is not None:
            await asyncio.wait({self._rest})
        self._end("left")

    def _note(self, data: bytes) -> None:
        if not self._is_ended:
            self._sink(self._writer.piece(self._ms(), data))

    def _end(self, how: Ending, reason: str | None = None) -> None:
        if not self._is_ended:
            self._is_ended = True
            self._sink(self._writer.end(self._ms(), how, reason))

    def _ms(self) -> float:
        return (time.perf_counter() - self._began) * 1000


def _ending(error: StreamError) -> Ending:
    if isinstance(error, StreamClosedError):
        return "left"
    return "timeout" if isinstance(error, StreamTimeoutError) else "broken"


class RecordingFile:
    """A new file for a recording, that only its owner may read. One that stays empty is taken away again.

    Args:
        path: there must be no such file yet.

    Raises:
        OSError: the file cannot be made.

    Attributes:
        problem: why the recording could not be written to its end; the stream goes on all the same.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        binary: int = getattr(os, "O_BINARY", 0)  # Windows would put line ends of its own
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | binary, 0o600)
        self._size = 0
        self.problem: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        os.close(self._file)
        if self.is_empty:
            self._path.unlink(missing_ok=True)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written."""
        return self._size == 0

    def write(self, lines: bytes) -> None:
        """Writes at once; never raises."""
        left = memoryview(lines)
        try:
            while left and self.problem is None:
                count = os.write(self._file, left)
                self._size += count
                left = left[count:]
        except OSError as error:
            self.problem = error.strerror or str(error)
