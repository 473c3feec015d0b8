"""Memory of frames that were let go, kept by the C library for those of the next call."""

from __future__ import annotations

import numpy as np

#: What a block may take for glibc to learn from it: DEFAULT_MMAP_THRESHOLD_MAX, and the block's own header.
_MOST_LEARNT = (32 << 20) - 8192


def keep_warm(size: int) -> None:
    """Have glibc keep up to `size` bytes of what is freed, and no more than about 64 MiB, for what is made next.

    It gives back what is free at the end of its heap once that is twice the largest block that it ever unmapped
    (mallopt(3), M_MMAP_THRESHOLD), and frames are blocks of their own: each would take every page of its memory from
    the system anew, a fifth of the time of decoding it. A program that gathers them in one array, and lets go of it,
    teaches glibc the same; so does a block that nobody ever touches.
    """
    np.empty(min(size, _MOST_LEARNT), np.uint8)
