"""The typed face of the Rust module: coded video syntax read without reconstructing pixels.

Bytes in, numbers out. This module knows nothing of files, containers or timestamps: `mediaref.video_decoder`
hands it packets, `mediaref.bitcost` turns its answers into `BitCost`.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

@final
class PacketHeaders:
    """What the headers of a run of packets say: one row a packet, in the order scanned (decoding order)."""

    @property
    def parameter_sets(self) -> NDArray[np.int32]:
        """Handle of the parameter sets in force *before* each packet, for `StreamParser.bit_costs`."""
    @property
    def has_picture(self) -> NDArray[np.bool_]:
        """False for packets without a picture that is shown: parameter sets or SEI alone, hidden frames of VP9, AV1."""
    @property
    def is_second_field(self) -> NDArray[np.bool_]:
        """True where the packet holds only the second field of the frame begun by the packet before it."""
    @property
    def picture_type(self) -> NDArray[np.uint8]:
        """ASCII code of `I`, `P` or `B` (the most general slice type of the picture); 0 without a picture."""
    @property
    def is_idr(self) -> NDArray[np.bool_]:
        """True for pictures that reset the decoder."""
    @property
    def is_recovery_point(self) -> NDArray[np.bool_]:
        """True where decoding can start: an IDR picture, or a recovery point SEI message that promises exact pictures
        or comes with an intra picture."""
    @property
    def recovery_frames(self) -> NDArray[np.int32]:
        """Reference frames to decode after a recovery point until all that is shown from then on is exact."""
    @property
    def is_referenced(self) -> NDArray[np.bool_]:
        """False for pictures that no other picture may be predicted from (`nal_ref_idc` equal to 0)."""
    @property
    def depends_on(self) -> NDArray[np.int64]:
        """The earlier packets that a decoder must have been fed to decode this one rightly.

        Bit k stands for the packet k + 1 before it; bit 63, the sign, for all that lie 64 or more before it. -1: all.
        """
    @property
    def predicted_from(self) -> NDArray[np.int64]:
        """What each packet's picture is predicted from, written as `depends_on` is.

        It is of use to a decoder that is fed all pictures which others may be predicted from, or stand-ins for them.
        """
    @property
    def has_stand_in(self) -> NDArray[np.bool_]:
        """True where `StreamParser.stand_in` gives something to feed in the packet's place (H.264)."""
    @property
    def missing(self) -> NDArray[np.int32]:
        """How many packets back the latest are missing from the stream that the picture depends on, at any remove.

        0: right before it; -1 where none are known to be missing, as always but in H.264. What is before the first
        packet scanned is not missing.
        """
    @property
    def poc(self) -> NDArray[np.int32]:
        """Picture order count; orders pictures within one coded video sequence."""
    @property
    def sequence(self) -> NDArray[np.int32]:
        """Number of the coded video sequence: (sequence, poc) is display order over the whole stream."""
    def picture_format(self, row: int) -> PictureFormat | None:
        """That of a packet's picture.

        None without a picture, and where more than its parameter sets or header has a say: a message that turns it,
        another layer, a frame from before that it shows. Raises `IndexError`.
        """
    def __len__(self) -> int: ...

@final
class PictureFormat:
    """The size of a picture, and what its samples are."""

    @property
    def crop(self) -> tuple[int, int, int, int]:
        """Displayed rectangle within the coded picture: left, top, width, height in luma samples."""
    @property
    def bit_depth(self) -> tuple[int, int]:
        """Bits of a luma sample, and of a chroma sample."""
    @property
    def subsampling(self) -> tuple[int, int] | None:
        """How many luma samples a chroma sample stands for, across and down, as powers of two; None without chroma."""
    @property
    def is_rgb(self) -> bool | None:
        """None where the stream does not tell."""
    @property
    def is_full_range(self) -> bool | None:
        """None where the stream does not tell."""

@final
class FrameCosts:
    """The bits that one frame's syntax takes, block by block, in coded orientation.

    `rows, cols = ceil(coded_height / unit), ceil(coded_width / unit)`. An array is made when it is first asked for.
    """

    @property
    def picture_type(self) -> str:
        """`I`, `P` or `B`."""
    @property
    def is_shown(self) -> bool:
        """False for a frame that only serves others (VP9, AV1)."""
    @property
    def unit(self) -> int:
        """Side of a block of the map in luma samples."""
    @property
    def coded_width(self) -> int: ...
    @property
    def coded_height(self) -> int: ...
    @property
    def crop(self) -> tuple[int, int, int, int]:
        """Displayed rectangle within the coded picture: left, top, width, height in luma samples."""
    @property
    def packet_bits(self) -> int:
        """8 times the bytes of the frame's packets."""
    @property
    def overhead_bits(self) -> int:
        """`packet_bits - bits.sum()`, summed up on its own from headers, start-up, alignment and trailing bits."""
    @property
    def bits(self) -> NDArray[np.uint32]:
        """`[rows, cols]`: bits of each block."""
    @property
    def mode(self) -> NDArray[np.uint32]:
        """`[rows, cols]`: the part of `bits` spent on block types, prediction modes, patterns and flags."""
    @property
    def motion(self) -> NDArray[np.uint32]:
        """`[rows, cols]`: the part of `bits` spent on reference indices and motion vector differences."""
    @property
    def luma(self) -> NDArray[np.uint32]:
        """`[rows, cols]`: the part of `bits` spent on luma residual."""
    @property
    def chroma(self) -> NDArray[np.uint32]:
        """`[rows, cols]`: the part of `bits` spent on chroma residual."""
    @property
    def information(self) -> NDArray[np.float32]:
        """`[rows, cols]`: the cost with the arithmetic coder's fraction of a bit kept."""
    @property
    def qp(self) -> NDArray[np.int16]:
        """`[rows, cols]`: luma quantisation parameter of each block; VP9: its quantiser index, 0 to 255."""
    @property
    def kind(self) -> NDArray[np.uint8]:
        """`[rows, cols]`: 0 skipped, 1 inter, 2 intra, 3 PCM or lossless."""
    @property
    def cells(self) -> NDArray[np.float32]:
        """`[ceil(coded_height / 4), ceil(coded_width / 4)]`: bits spread over the luma samples that they code."""

@final
class ParseError:
    """Why one frame has no map; returned in its place, so that the other frames of a batch still come."""

    @property
    def kind(self) -> str:
        """`corrupt`, `unsupported` or `limit`."""
    @property
    def message(self) -> str: ...
    @property
    def byte_position(self) -> int:
        """Where in the frame's packet the parser stopped."""

@final
class StreamParser:
    """Parser of one video stream. Scan packets in decoding order, then ask for the costs of any of their frames.

    `codec` is `h264`, `hevc`, `vp9` or `av1`. Raises `ValueError` for another one.
    """

    def __init__(self, codec: str, extradata: bytes = b"") -> None: ...
    @property
    def has_packet_access(self) -> bool:
        """Whether a frame's costs can be read from its own packets (`start_bit_costs`), or only in a `chain`."""
    @property
    def may_code_fields(self) -> bool:
        """Whether the parameter sets known so far allow pictures that are fields (H.264)."""
    @property
    def is_shown_as_decoded(self) -> bool:
        """Whether the codec, or the parameter sets known so far, leave no order but that of decoding."""
    def chain(self) -> ChainParser:
        """A parser of frames in decoding order, for codecs without packet access; for others a `ValueError`.

        It begins with what the container's extradata says.
        """
    def set_extradata(self, extradata: bytes) -> None:
        """Parameter sets from the container that hold from the next scanned packet on (a new sample description)."""
    def scan(self, packets: Sequence[bytes]) -> PacketHeaders:
        """Read the headers of the next packets in decoding order. Damaged packets give a row without a picture."""
    def stand_in(self, handle: int, packet: bytes) -> bytes | None:
        """What to feed a decoder in the place of a packet whose picture is not looked at, nor predicted from.

        It numbers, orders and marks the reference pictures as the packet does, at a small part of the cost. `handle` is
        that of `PacketHeaders.parameter_sets`. None where `has_stand_in` is false, and at times where it is true.
        """
    def start_bit_costs(self, frames: Sequence[tuple[int, Sequence[bytes]]], threads: int = 1) -> PendingCosts:
        """Bit costs of frames, each given as (handle from `PacketHeaders.parameter_sets`, its one or two packets).

        Frames are parsed independently of each other: on `threads` threads from now on, or, if that is one, in the
        calling thread when they are asked for. Raises `ValueError` for a handle that was never given out.
        """

@final
class PendingCosts:
    """Bit costs under way. Dropping it waits until its threads have ended."""

    def results(self) -> list[FrameCosts | ParseError]:
        """Wait for the costs of all frames, in the order asked, with the GIL released. May be asked for once."""

@final
class ChainParser:
    """Parser of VP9 or AV1 frames, which take over probabilities, motion vectors and segments from those before them.

    Feed it packets in decoding order, the first being one where decoding can start. After a damaged packet every
    packet gives an error until one resets the decoder. The GIL is released.
    """

    def copy(self) -> ChainParser:
        """A checkpoint: both can go on from here."""
    def parse(self, packets: Sequence[bytes], wanted: Sequence[bool]) -> list[list[FrameCosts] | ParseError]:
        """Costs of the frames in each of the next packets: shown and hidden; an empty list for those not wanted."""
    def parse_last(
        self, packets: Sequence[bytes], wanted: Sequence[bool]
    ) -> tuple[list[list[FrameCosts] | ParseError], list[tuple[int, ChainParser]]]:
        """As `parse`, but reads no more than the wanted packets depend on, and leaves the parser where it was.

        Gives checkpoints, too: parsers that can go on behind so many of the packets. There is one behind every 32 of
        them and one behind all, up to the first damaged one. To such a parser a frame that needs what was passed over
        is an error.
        """
