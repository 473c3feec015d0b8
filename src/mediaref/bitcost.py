"""`BitCost`: the bits that an encoder spent on every block of one frame, read without decoding a pixel."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from mediaref.errors import (
    CorruptMediaError,
    InvalidReferenceError,
    LimitExceededError,
    MediaRefError,
    UnsupportedBitstreamError,
)
from mediaref.forks import of_one_process
from mediaref.native_costs import COSTED_CODECS, Costs, frame_costs
from mediaref.storage import Source, StorageOptions
from mediaref.threads import resolve_threads
from mediaref.video_decoder.index import VideoIndex
from mediaref.video_decoder.orientation import Orientation

if TYPE_CHECKING:
    from mediaref._native import FrameCosts, ParseError

_Number = TypeVar("_Number", bound=np.generic)

_CELL = 4
#: Codecs whose quantiser index goes up to 255.
_WIDE_QP = frozenset({"vp9", "av1"})
_ERRORS: Mapping[str, type[MediaRefError]] = {
    "corrupt": CorruptMediaError,
    "unsupported": UnsupportedBitstreamError,
    "limit": LimitExceededError,
}


@dataclass(frozen=True, eq=False)
class BitCost:
    """The bits of one frame, block by block, turned as the frame is displayed.

    `bits.sum() + overhead_bits == packet_bits`, exactly. A block is `unit` luma samples wide and high. The maps cover
    the coded picture, which is often a little larger than what is displayed: the displayed picture's top left corner
    lies `origin` = (x, y) luma samples into them. An array is made when it is first looked at.
    """

    #: Display index of the frame.
    frame_index: int
    #: When the frame begins, in nanoseconds; None in a stream without timestamps.
    pts_ns: int | None
    #: False for a frame that only serves others.
    is_shown: bool
    codec: str
    #: `I`, `P` or `B`.
    picture_type: str
    #: Displayed size in luma samples.
    width: int
    height: int
    unit: int
    origin: tuple[int, int]
    #: uint32 [rows, cols]: bits of each block.
    bits: NDArray[np.uint32] = field(repr=False)
    #: float32 [ceil(height / 4), ceil(width / 4)] of the displayed picture: bits spread over the samples they code.
    cells: NDArray[np.float32] = field(repr=False)
    #: Bits of the frame's packets that belong to no block: headers, parameter sets, alignment, padding.
    overhead_bits: int
    #: 8 times the bytes that the container gives to the frame.
    packet_bits: int
    #: `mode`, `motion`, `luma` and `chroma`: uint32 [rows, cols] each, adding up to `bits`.
    syntax: Mapping[str, NDArray[np.uint32]] = field(repr=False)
    #: float32 [rows, cols]: `bits` with the arithmetic coder's fraction of a bit kept.
    information: NDArray[np.float32] = field(repr=False)
    #: int8 [rows, cols]: luma quantisation parameter; VP9, AV1: int16, the quantiser index from 0 to 255.
    qp: NDArray[np.int8] | NDArray[np.int16] = field(repr=False)
    #: uint8 [rows, cols]: 0 skipped, 1 inter, 2 intra, 3 PCM or lossless.
    kind: NDArray[np.uint8] = field(repr=False)
    #: What must be read for this map: its own `packet`, or the `gop` before it too.
    random_access: str

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """A map that is looked at for the first time: until then it is what the parser left."""
            unseen = self.__dict__.get("_unseen")
            if unseen is None or name not in unseen.NAMES:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return self.__dict__.setdefault(name, getattr(unseen, name)())

    def __getstate__(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def patch_bits(
        self, rows: int, cols: int, height: float | None = None, width: float | None = None
    ) -> NDArray[np.float64]:
        """Spread `bits` over a grid of patches by area: float64 `[rows, cols]` with the same sum.

        The grid covers the displayed picture. If the picture is padded at the bottom and right, `height` and `width`
        are its padded size, in luma samples of the displayed picture. A block that reaches over the displayed edge
        counts with all its bits where it is displayed.
        """
        height, width = height or self.height, width or self.width
        if rows < 1 or cols < 1:
            raise InvalidReferenceError(f"a grid of {rows} x {cols} patches is empty")
        if height < self.height or width < self.width:
            raise InvalidReferenceError(
                f"a grid over {width} x {height} does not cover the picture of {self.width} x {self.height}"
            )
        down = _spread(self.bits.shape[0], self.unit, self.origin[1], self.height, rows, height / rows)
        right = _spread(self.bits.shape[1], self.unit, self.origin[0], self.width, cols, width / cols)
        result: NDArray[np.float64] = down.T @ self.bits @ right
        return result

    def _repr_html_(self) -> str:
        from mediaref import notebook

        return notebook.bit_cost_html(self)


def read_bit_costs(
    video: str | os.PathLike[str] | Source | VideoIndex,
    frames: Iterable[int] | None = None,
    *,
    hidden: bool = False,
    threads: int | None = None,
    storage_options: StorageOptions | None = None,
) -> list[BitCost]:
    """The bit costs of some frames of a video: one `BitCost` for each entry of `frames`, in that order.

    `frames` are display indices; None means all, in display order. `hidden=True` adds the frames of VP9 and AV1 that
    are never shown, each before the one shown next, whose `frame_index` it has. `threads` is how many pictures are
    parsed at once; None: as many as this process has CPUs.
    Raises what `VideoIndex.open` raises, `FrameIndexError`, `UnsupportedBitstreamError` (the codec or a coding tool,
    named), `CorruptMediaError` and `LimitExceededError` with the frame and the byte where parsing stopped.
    """
    index = _parsed_index(video, storage_options)
    asked = range(len(index)) if frames is None else frames
    return list(iter_bit_costs(index, asked, hidden=hidden, threads=threads))


def iter_bit_costs(
    video: str | os.PathLike[str] | Source | VideoIndex,
    frames: Iterable[int],
    *,
    hidden: bool = False,
    threads: int | None = None,
    storage_options: StorageOptions | None = None,
) -> Generator[BitCost, None, None]:
    """As `read_bit_costs`, one frame after the other: memory stays bounded however many are asked for.

    Also raises `ForkedIteratorError` (a `RuntimeError`) in a child that was forked after the first.
    """
    return _raising(bit_costs_or_errors(video, frames, hidden=hidden, threads=threads, storage_options=storage_options))


def bit_costs_or_errors(
    video: str | os.PathLike[str] | Source | VideoIndex,
    frames: Iterable[int],
    *,
    hidden: bool = False,
    threads: int | None = None,
    storage_options: StorageOptions | None = None,
) -> Generator[BitCost | MediaRefError, None, None]:
    """As `iter_bit_costs`, but a frame that cannot be parsed gives its error in its place, and the rest goes on."""
    index = _parsed_index(video, storage_options)
    costs = _iterate(index, index.check(frames), resolve_threads(threads), hidden)
    return of_one_process(costs, index.source.name)


def _parsed_index(
    video: str | os.PathLike[str] | Source | VideoIndex, storage_options: StorageOptions | None
) -> VideoIndex:
    index = VideoIndex.open(video, storage_options=storage_options)
    if index.codec not in COSTED_CODECS:
        raise UnsupportedBitstreamError(
            f"{index.source.name}: bit costs of {index.codec} are not read; only those of {', '.join(COSTED_CODECS)}"
        )
    return index


def _raising(costs: Generator[BitCost | MediaRefError, None, None]) -> Generator[BitCost, None, None]:
    with closing(costs):  # an error holds on to this frame: the file must not stay open for as long as it is kept
        for cost in costs:
            if isinstance(cost, MediaRefError):
                raise cost
            yield cost


def _iterate(
    index: VideoIndex, frames: Sequence[int], threads: int, hidden: bool
) -> Generator[BitCost | MediaRefError, None, None]:
    placements: dict[tuple[object, ...], _Placement] = {}  # one for each size that the coded pictures have
    for frame, costs in zip(frames, _costs_or_errors(index, frames, threads, hidden), strict=True):
        if not isinstance(costs, list):
            yield _error(index, frame, costs)
            continue
        for each in costs:
            size = (each.coded_width, each.coded_height, each.crop)
            if size not in placements:
                placements[size] = _Placement.of(index, each)
            yield _bit_cost(index, frame, each, placements[size])


def _costs_or_errors(index: VideoIndex, frames: Sequence[int], threads: int, hidden: bool) -> Iterator[Costs]:
    """As `frame_costs`; an error that ends it is that of each frame that is left."""
    left = len(frames)
    try:
        for costs in frame_costs(index, frames, threads, hidden):
            yield costs
            left -= 1
    except MediaRefError as error:
        yield from repeat(error, left)


def _error(index: VideoIndex, frame: int, error: MediaRefError | ParseError) -> MediaRefError:
    if isinstance(error, MediaRefError):
        return type(error)(f"frame {frame} of {error}")
    row = int(index.packet_of[frame])
    return _ERRORS[error.kind](
        f"{index.source.name}: frame {frame} (packet {row}, byte {int(index.packets.position[row])}) stops at byte "
        f"{error.byte_position} of its packet: {error.message}"
    )


def _bit_cost(index: VideoIndex, frame: int, costs: FrameCosts, place: _Placement) -> BitCost:
    assert index.parser is not None
    cost = BitCost.__new__(BitCost)
    cost.__dict__.update(
        frame_index=frame,
        pts_ns=None if index.pts_ns is None else int(index.pts_ns[frame]),
        is_shown=costs.is_shown,
        codec=index.codec,
        picture_type=costs.picture_type,
        width=place.width,
        height=place.height,
        unit=costs.unit,
        origin=place.origin,
        overhead_bits=costs.overhead_bits,
        packet_bits=costs.packet_bits,
        random_access="packet" if index.parser.has_packet_access else "gop",
        _unseen=_UnseenMaps(costs, place, index.codec in _WIDE_QP),
    )
    return cost


class _UnseenMaps:
    """Makes the maps of a `BitCost` of what the parser gave: most callers look at two of the nine."""

    NAMES = frozenset({"bits", "cells", "syntax", "information", "qp", "kind"})
    __slots__ = ("_costs", "_has_wide_qp", "_place")

    def __init__(self, costs: FrameCosts, place: _Placement, has_wide_qp: bool) -> None:
        self._costs = costs
        self._place = place
        self._has_wide_qp = has_wide_qp

    def bits(self) -> NDArray[np.uint32]:
        return self._place.turned(self._costs.bits)

    def cells(self) -> NDArray[np.float32]:
        return self._place.turned(_displayed_cells(self._costs.cells, *self._place.displayed))

    def syntax(self) -> Mapping[str, NDArray[np.uint32]]:
        return {name: self._place.turned(getattr(self._costs, name)) for name in ("mode", "motion", "luma", "chroma")}

    def information(self) -> NDArray[np.float32]:
        return self._place.turned(self._costs.information)

    def qp(self) -> NDArray[np.int8] | NDArray[np.int16]:
        qp = self._costs.qp
        return self._place.turned(qp) if self._has_wide_qp else self._place.turned(qp.astype(np.int8))

    def kind(self) -> NDArray[np.uint8]:
        return self._place.turned(self._costs.kind)


@dataclass(frozen=True)
class _Placement:
    """How coded pictures of one size are shown."""

    turn: Orientation
    #: Left, top, width and height of what is shown of the coded picture, before turning.
    displayed: tuple[int, int, int, int]
    #: Where the displayed picture begins (x, y) within the turned maps.
    origin: tuple[int, int]
    #: Displayed size, after turning.
    width: int
    height: int
    is_upright: bool

    @classmethod
    def of(cls, index: VideoIndex, costs: FrameCosts) -> _Placement:
        turn, displayed = index.orientation, _displayed_rectangle(index, costs)
        left, top, width, height = displayed
        right = -(-costs.coded_width // costs.unit) * costs.unit - left - width
        bottom = -(-costs.coded_height // costs.unit) * costs.unit - top - height
        if turn.transpose:
            left, top, right, bottom = top, left, bottom, right
        origin = (right if turn.flip_columns else left, bottom if turn.flip_rows else top)
        return cls(turn, displayed, origin, *turn.apply_size(width, height), is_upright=turn == Orientation())

    def turned(self, map: NDArray[_Number]) -> NDArray[_Number]:
        """A map as it is shown, contiguous."""
        return np.ascontiguousarray(map if self.is_upright else self.turn.apply(map))


def _displayed_rectangle(index: VideoIndex, costs: FrameCosts) -> tuple[int, int, int, int]:
    """Left, top, width and height of what is displayed of the coded picture."""
    left, top, width, height = costs.crop
    stored = index.orientation.apply_size(index.width, index.height)
    # A stream that does not crop 1088 coded lines may lie in a container that says 1080: FFmpeg then believes the
    # container, if that leaves no block out.
    uncropped = (width, height) == (costs.coded_width, costs.coded_height)
    blocks = [(-(-shown // 16), -(-coded // 16)) for shown, coded in zip(stored, (width, height), strict=True)]
    if uncropped and all(shown == coded for shown, coded in blocks) and stored[0] <= width and stored[1] <= height:
        return left, top, *stored
    return left, top, width, height


def _displayed_cells(cells: NDArray[np.float32], left: int, top: int, width: int, height: int) -> NDArray[np.float32]:
    """The part of the coded picture's cells that is displayed, on a grid that begins at the displayed corner."""
    rows, cols = -(-height // _CELL), -(-width // _CELL)
    if left % _CELL == 0 and top % _CELL == 0:
        first, column = top // _CELL, left // _CELL
        return cells[first : first + rows, column : column + cols]
    down = _overlap(cells.shape[0], _CELL, top, rows, _CELL)
    right = _overlap(cells.shape[1], _CELL, left, cols, _CELL)
    moved: NDArray[np.float32] = (down.T @ cells @ right).astype(np.float32)
    return moved


def _overlap(blocks: int, block: float, origin: float, patches: int, patch: float) -> NDArray[np.float64]:
    """[blocks, patches]: the share of each block's length that lies in each patch."""
    begin = np.arange(blocks)[:, None] * block - origin
    edges = np.arange(patches)[None, :] * patch
    shared = np.minimum(begin + block, edges + patch) - np.maximum(begin, edges)
    shares: NDArray[np.float64] = np.clip(shared, 0.0, None) / block
    return shares


def _spread(blocks: int, block: int, origin: int, extent: int, patches: int, patch: float) -> NDArray[np.float64]:
    """[blocks, patches]: how a block's bits are shared out by the length of its displayed part; rows add up to 1."""
    begin = np.clip(np.arange(blocks) * block - origin, 0, extent)
    end = np.clip(np.arange(1, blocks + 1) * block - origin, 0, extent)
    edges = np.arange(patches) * patch
    shared = np.minimum(end[:, None], edges + patch) - np.maximum(begin[:, None], edges)
    shared = np.clip(shared, 0.0, None)
    # A block that is not displayed at all counts at the edge that it lies beyond.
    hidden = np.flatnonzero(end == begin)
    shared[hidden, np.minimum((begin[hidden] / patch).astype(np.int64), patches - 1)] = 1.0
    shares: NDArray[np.float64] = shared / shared.sum(axis=1, keepdims=True)
    return shares
