"""See `codec_video_prep.cv_reader_fast`."""

from codec_video_prep.cv_reader_fast import (
    read_video_fast,
    read_video_fast_selected,
    read_video_fast_selected_segment,
)

__all__ = ["read_video_fast", "read_video_fast_selected", "read_video_fast_selected_segment"]
