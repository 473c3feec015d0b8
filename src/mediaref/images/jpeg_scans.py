"""How often a JPEG goes over its picture: a file of some kilobytes can do so for minutes."""

from __future__ import annotations

import re

#: A marker that begins a segment or ends the picture; zeros after 0xFF, fill bytes and restart markers are none.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd7\xff])")
_START_OF_SCAN, _END_OF_IMAGE = b"\xda", b"\xd9"


def has_more_scans(data: bytes, most: int) -> bool:
    """Whether the first picture of a JPEG file has more than `most` scans."""
    if data.count(b"\xff" + _START_OF_SCAN) <= most:  # as nearly always, and found out in no time
        return False
    at, scans = 2, 0
    while scans <= most and (marker := _MARKER.search(data, at)) and marker[1] != _END_OF_IMAGE:
        scans += marker[1] == _START_OF_SCAN
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return scans > most
