"""How much is taken from a stranger's file, uri or server, so that none of them can exhaust this machine.

Assign to a name of this module to allow more or less, `mediaref.limits.MAX_IMAGE_PIXELS = 500_000_000`: every call
after that goes by it. What is over a limit is a `LimitExceededError` that names the limit; a server that is too slow,
a `StorageTimeoutError`.
"""

from __future__ import annotations

#: Longest data URI that is read, in characters.
MAX_DATA_URI_LENGTH = 1 << 30

#: Most pixels of an image. Above twice Pillow's own `PIL.Image.MAX_IMAGE_PIXELS` that one must be raised too.
MAX_IMAGE_PIXELS = 178_956_970

#: Most scans of a JPEG: each goes over the whole picture, and some kilobytes can hold thousands. Encoders make a dozen.
MAX_JPEG_SCANS = 100

#: Most pixels of a video's frame. Those of a frame that is larger than the first are bounded by about twice as many.
MAX_FRAME_PIXELS = 1 << 27

#: Most packets of a video stream: a packet takes about 100 bytes of its index.
MAX_PACKETS = 1 << 25

#: Most bytes of one packet of a video stream.
MAX_PACKET_BYTES = 1 << 28

#: Most bytes that are read into memory at once: an image file, or a remote file whose server sends only whole files.
MAX_READ_BYTES = 1 << 30

#: Most redirects that are followed from one uri.
MAX_REDIRECTS = 10

#: Seconds that an HTTP server may take to connect, or stay silent.
MAX_SILENCE_SECONDS = 30.0

#: Seconds that one HTTP request may take.
MAX_REQUEST_SECONDS = 300.0

#: FFmpeg's names of the containers that videos are read from. All stand on their own: playlists, sequences of files
#: and session descriptions, which make FFmpeg open other files or connections, do not belong here.
# fmt: off
VIDEO_CONTAINERS = frozenset({
    "apng", "asf", "av1", "avi", "avs2", "avs3", "bink", "cavsvideo", "dhav", "dirac", "dnxhd", "dv", "evc",
    "flic", "flv", "gif", "gxf", "h261", "h263", "h264", "hevc", "ivf", "live_flv", "m4v", "matroska", "mjpeg",
    "mov", "mp4", "mpeg", "mpegts", "mpegvideo", "mpjpeg", "mxf", "nsv", "nut", "obu", "ogg", "rm", "roq", "smk",
    "vc1", "vvc", "webm", "wtv", "yuv4mpegpipe",
})
# fmt: on

#: Pillow's names of the image formats that are read. PostScript, which runs a program, does not belong here.
# fmt: off
IMAGE_FORMATS = frozenset({
    "AVIF", "BMP", "DDS", "DIB", "GIF", "HEIF", "ICNS", "ICO", "JPEG", "JPEG2000", "JXL", "MPO", "PCX", "PNG", "PPM",
    "PSD", "QOI", "SGI", "SUN", "TGA", "TIFF", "WEBP", "XBM",
})
# fmt: on
