"""Images as bytes, as arrays and as Pillow's: one behaviour for files, remote bytes and data URIs."""

from mediaref.images.pillow import (
    PixelFormat,
    check_encoder,
    check_format,
    check_pil_format,
    decode,
    decode_pil,
    encode,
    from_rgb,
    read_header,
    to_pil,
)

__all__ = [
    "PixelFormat",
    "check_encoder",
    "check_format",
    "check_pil_format",
    "decode",
    "decode_pil",
    "encode",
    "from_rgb",
    "read_header",
    "to_pil",
]
