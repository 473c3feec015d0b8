"""Byte ranges of one file, wherever it lies: of a remote one few, in parallel, and again where a connection breaks."""

from __future__ import annotations

import logging
import os
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from operator import itemgetter
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mediaref.errors import CorruptMediaError, FileChangedError, MediaRefError, StorageError
from mediaref.read_stats import count
from mediaref.storage.errors import storage_errors
from mediaref.storage.remote_file import RangesIgnoredError
from mediaref.storage.source import Source, Status, file_identity

if TYPE_CHECKING:
    from typing_extensions import Self

_log = logging.getLogger("mediaref")

#: Bytes that may be read for nothing where that saves waiting for an answer: those of 20 ms at 26 Mbit/s.
ROUND_TRIP_BYTES = 64 << 10
#: What is fetched of a file's end before anything is known of it: as likely as not its table stands elsewhere.
_TAIL_BYTES = ROUND_TRIP_BYTES // 2
#: The share of gaps where nobody says otherwise.
_WASTE = 1 / 11
#: Waiting before another attempt, in seconds; one attempt more than these is made.
_PAUSES = (0.1, 0.5)
#: Into so many parts, all ranges together, what does not come is cut to find out which part of it that is.
_PARTS = 16

#: Ranges that are asked for at once where a file system does not do so itself.
_CONNECTIONS = 8

_Span = tuple[int, int]

#: What file systems fail with that can be read from but know no ranges: fsspec's caches of archives until 2026.7.
_NO_RANGES = (AttributeError, NotImplementedError)


class Ranges:
    """Reads pieces of a file. Use it in a `with` block.

    Of a remote file, what is asked for is fetched and kept until `forget` or the end of the block, and so is why it
    could not be had. Threads may share it for reading what `fetch` has brought.
    """

    def __init__(self, source: Source, size: int | None = None, identity: Hashable | None = None) -> None:
        """`size` is that of the file, where it is known; `identity` says which file it must be (`Source.identity`).

        With an identity all that reads and fetches raises `FileChangedError` when the file is another one by then.
        """
        self._source = source
        self._size = size
        self._identity = identity
        self._resources = ExitStack()
        self._opened: BinaryIO | None = None
        # What has been fetched: where each piece begins, ascending, and the pieces, which do not overlap.
        self._begins: list[int] = []
        self._pieces: list[bytes] = []
        #: Why parts could not be had; the smaller ones of what was cut come later.
        self._lost: dict[_Span, MediaRefError] = {}
        #: Why the file cannot be had at all any more.
        self._gone: StorageError | None = None

    def expect(self, identity: Hashable) -> None:
        """From now on, hold the file to be the one of this `Source.identity`."""
        self._identity = identity

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self._source.name

    @property
    def is_remote(self) -> bool:
        """Whether reading takes requests, which `fetch` puts together."""
        return self._source.is_remote

    @property
    def size(self) -> int:
        """Bytes of the file. Raises as `Source.open`, and `StorageError` where its server does not tell."""
        if not self.is_sized():
            raise StorageError(f"{self._source.name}: its server does not tell how large it is")
        assert self._size is not None
        return self._size

    def is_sized(self) -> bool:
        """Whether the file's size can be known: some servers do not tell it. Raises as `Source.open`."""
        if self._size is None:
            self._size = self._find_size()
        return self._size is not None

    def _find_size(self) -> int | None:
        if self._source.data is not None:
            return len(self._source.data)
        if not self._source.is_remote:
            return self._file.seek(0, os.SEEK_END)
        return self._source.status().size

    def look(self) -> Status:
        """What a remote file is now, asked for together with its first `ROUND_TRIP_BYTES` and its last few.

        These are kept. Where it is only they that do not come, they are asked for when they are read.
        Raises as `Source.open`.
        """
        with self._source.asked() as status:
            head, tail = self._asked([(0, ROUND_TRIP_BYTES), (-_TAIL_BYTES, None)])
            found = status()
        self._size = size = found.size
        if size is not None:
            # A server that knows no ranges gives the whole file.
            if isinstance(head, bytes) and len(head) in {min(size, ROUND_TRIP_BYTES), size}:
                self._keep(0, head)
            if isinstance(tail, bytes) and len(tail) == min(size, _TAIL_BYTES):
                self._keep(size - len(tail), tail)
        return found

    def read(self, position: int, size: int, at_least: int = 0) -> bytes:
        """`size` bytes at `position`, fewer where the file ends.

        `at_least` is how much of a remote file is fetched where anything must be. Raises as `fetch`, `StorageError` if
        the storage has failed at the third attempt, and `CorruptMediaError` for a file that is shorter than it was.
        """
        if self._source.data is not None:
            return self._source.data[position : position + size]
        size = min(size, self.size - position)  # what a damaged file asks for may be more than there is memory
        if size <= 0:
            return b""
        if not self._source.is_remote:
            file = self._file
            try:
                file.seek(position)
                content = file.read(size)
            except OSError as error:
                raise StorageError(f"{self._source.name}: cannot be read at byte {position}: {error}") from error
            if self._identity is not None:
                self._check(file_identity(os.fstat(file.fileno())))  # of what was read, whatever its path is now
            count(bytes_read=len(content), requests=1)
            return content
        wanted = (position, position + size)
        if self._missing([wanted]):
            if self._why_lost(wanted) is None:
                self._fetch(self._missing([(position, max(position + size, min(position + at_least, self.size)))]))
            reason = self._why_lost(wanted)
            if reason is not None:
                raise reason
        return self._kept(*wanted)

    def fetch(self, positions: ArrayLike, sizes: ArrayLike, waste: float = _WASTE) -> None:
        """Bring and keep these parts of a remote file, in as few requests as can be without reading much else.

        Gaps between them are read along, the smallest first, up to the share `waste` of what is wanted. A part that the
        storage still does not give at the third attempt is not asked for again: reading it raises why.
        Raises as `Source.open`.
        """
        if self._source.is_remote:
            begins = np.asarray(positions, np.int64)
            ends = np.minimum(begins + np.asarray(sizes, np.int64), self.size)
            order = np.argsort(begins, kind="stable")
            spans = zip(begins[order].tolist(), ends[order].tolist(), strict=True)
            wanted = [span for span in self._missing(list(spans)) if self._why_lost(span) is None]
            self._fetch(coalesced(wanted, waste), wanted)

    def forget(self, beyond: int = 0) -> None:
        """Let go of what was fetched, if it is over so many bytes."""
        if sum(map(len, self._pieces)) > beyond:
            self._begins, self._pieces = [], []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.forget()
        self._resources.close()

    @property
    def _file(self) -> BinaryIO:
        # No cached_property: before Python 3.12 its one lock is that of all files, and a fork may keep it held.
        if self._opened is None:
            self._opened = self._resources.enter_context(self._source.open())
        return self._opened

    # --- what is kept ----------------------------------------------------------------------------------------------

    def _missing(self, spans: list[_Span]) -> list[_Span]:
        """The parts of `spans`, which ascend, that are not kept; they do not overlap."""
        found: list[_Span] = []
        done = 0
        for begin, end in spans:
            at = max(begin, done)
            place = max(bisect_right(self._begins, at) - 1, 0)
            for piece_begin, piece in zip(self._begins[place:], self._pieces[place:], strict=True):
                if piece_begin >= end:
                    break
                if piece_begin > at:
                    found.append((at, piece_begin))
                at = max(at, piece_begin + len(piece))
            if at < end:
                found.append((at, end))
            done = max(done, end)
        return found

    def _keep(self, begin: int, content: bytes) -> None:
        for new, end in self._missing([(begin, begin + len(content))]):
            place = bisect_right(self._begins, new)
            self._begins.insert(place, new)
            self._pieces.insert(place, content[new - begin : end - begin])

    def _kept(self, begin: int, end: int) -> bytes:
        parts = []
        place = bisect_right(self._begins, begin) - 1
        while begin < end:
            offset = begin - self._begins[place]
            parts.append(self._pieces[place][offset : offset + end - begin])
            begin += len(parts[-1])
            place += 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    # --- fetching --------------------------------------------------------------------------------------------------

    def _fetch(self, spans: list[_Span], wanted: Sequence[_Span] = ()) -> None:
        """Fetch `spans`, which were put together from those `wanted`: a bad part of one is found by cutting it."""
        if self._identity is None or not spans:
            self._bring(spans, wanted)
            return
        # What the file is now is asked for at the same time: what comes is not to be trusted before.
        if self._gone is not None:
            raise self._gone
        with self._source.asked() as status:
            self._bring(spans, wanted)
            try:
                self._check(self._answer(status, pauses=() if self._lost else _PAUSES).identity)
            except StorageError as error:
                self._gone = error
                raise

    def _answer(self, status: Callable[[], Status], pauses: Sequence[float]) -> Status:
        """What `status` says, asked for again where that does not come."""
        for pause in pauses:
            try:
                return status()
            except StorageError as error:
                _log.info("%s; trying again", error)
                time.sleep(pause)
                status = self._source.status
        return status()

    def _check(self, identity: Hashable) -> None:
        if identity != self._identity:
            raise FileChangedError(f"{self._source.name}: has changed since it was indexed; index it again")

    def _bring(self, spans: list[_Span], wanted: Sequence[_Span]) -> None:
        failed = self._failing(spans)
        for pause in _PAUSES:
            if not failed:
                return
            _log.info("%s; trying again", next(iter(failed.values())))
            time.sleep(pause)
            failed = self._failing(list(failed))
        while failed:
            self._lost.update(failed)
            parts = [part for span in failed for part in _cut(span, wanted, max(2, _PARTS // len(failed)))]
            failed = self._failing(parts)
            if len(failed) == len(parts):
                return  # nothing at all comes any more

    def _failing(self, spans: list[_Span]) -> dict[_Span, MediaRefError]:
        """Ask for `spans` and keep what comes; why the others do not."""
        failed: dict[_Span, MediaRefError] = {}
        for span, answer in zip(spans, self._answers(spans), strict=True):
            try:
                self._keep(span[0], self._checked(span, answer))
            except (StorageError, CorruptMediaError) as error:
                failed[span] = error
        return failed

    def _why_lost(self, span: _Span) -> MediaRefError | None:
        """Why some of what is missing of `span` could not be had; None if it has not been asked for."""
        for begin, end in self._missing([span]):
            for (lost_from, lost_to), error in reversed(self._lost.items()):
                if begin < lost_to and lost_from < end:
                    return error
        return None

    def _answers(self, spans: list[_Span]) -> list[Any]:
        """What the storage gives for each of `spans`: bytes or an error."""
        answers = self._asked(spans)
        if any(isinstance(answer, RangesIgnoredError) for answer in answers):
            whole = self._source.read()
            self._keep(0, whole)
            return [whole[begin:end] for begin, end in spans]
        return [
            self._read_from_file(span) if isinstance(answer, _NO_RANGES) else answer
            for span, answer in zip(spans, answers, strict=True)
        ]

    def _asked(self, spans: Sequence[tuple[int, int | None]]) -> list[Any]:
        """As `_answers`, but a file system that gives no ranges has that for an error."""
        if not spans:
            return []
        answers: list[Any]
        begins, ends = [begin for begin, _ in spans], [end for _, end in spans]
        try:
            with storage_errors(self._source.name):
                filesystem, path = self._source.filesystem_and_path()
                if _reads_ahead(filesystem):
                    answers = _exact_parts(filesystem, path, spans)
                else:
                    answers = filesystem.cat_ranges([path] * len(spans), begins, ends, on_error="return")
        except StorageError as error:
            return [error] * len(spans)
        given = [answer for answer in answers if isinstance(answer, bytes)]
        refused = sum(isinstance(answer, _NO_RANGES) for answer in answers)
        count(bytes_read=sum(map(len, given)), requests=len(spans) - refused, round_trips=1)
        return answers

    def _read_from_file(self, span: _Span) -> bytes | Exception:
        try:
            self._file.seek(span[0])
            return self._file.read(span[1] - span[0])
        except MediaRefError as error:
            return error

    def _checked(self, span: _Span, answer: Any) -> bytes:
        begin, end = span
        name = self._source.name
        with storage_errors(f"{name}: bytes {begin} to {end - 1}"):
            if isinstance(answer, BaseException):
                raise answer
        content: bytes = answer
        # A server that knows no ranges gives the whole file for the range that begins it.
        if len(content) != end - begin and not (begin == 0 and len(content) == self.size):
            raise CorruptMediaError(
                f"{name}: gives {len(content)} bytes where {end - begin} at byte {begin} were asked for: it has "
                "changed since it was indexed, or its server does not give ranges rightly"
            )
        return content


def _cut(span: _Span, wanted: Sequence[_Span], most: int) -> list[_Span]:
    """Up to `most` parts of `span` that hold all of `wanted`, which ascend, in it; none where that is only one."""
    first, end = (bisect_left(wanted, edge, key=itemgetter(0)) for edge in span)
    edges = np.linspace(first, end, min(most, end - first) + 1).astype(np.int64).tolist()
    parts = [(wanted[begin][0], wanted[behind - 1][1]) for begin, behind in pairwise(edges)]
    return parts if len(parts) > 1 else []


def _reads_ahead(filesystem: Any) -> bool:
    """Whether it would read megabytes more than every range, one after the other: fsspec's default, which HF keeps."""
    return bool(filesystem.protocol == "hf")


def _exact_parts(filesystem: Any, path: str, spans: Sequence[tuple[int, int | None]]) -> list[Any]:
    """What a file system that waits for its answers gives for each of `spans`, and no more: bytes or an error."""

    def part(span: tuple[int, int | None]) -> Any:
        try:
            return filesystem.cat_file(path, *span, cache_type="none")
        except Exception as error:  # as `cat_ranges` gives it back
            return error

    with ThreadPoolExecutor(min(len(spans), _CONNECTIONS)) as pool:
        return list(pool.map(part, spans))


def coalesced(spans: list[_Span], waste: float = _WASTE) -> list[_Span]:
    """`spans`, which ascend and do not overlap, with the smallest gaps between them closed.

    The gaps closed make up at most the share `waste` of the bytes wanted.
    """
    if not spans:
        return []
    edges: NDArray[np.int64] = np.array(spans, np.int64)
    gaps = edges[1:, 0] - edges[:-1, 1]
    order = np.argsort(gaps, kind="stable")
    allowed = int((edges[:, 1] - edges[:, 0]).sum() * waste)
    closed = np.zeros(len(gaps), np.bool_)
    closed[order[np.cumsum(gaps[order]) <= allowed]] = True
    begins = edges[np.append(True, ~closed), 0].tolist()
    ends = edges[np.append(~closed, True), 1].tolist()
    return list(zip(begins, ends, strict=True))
