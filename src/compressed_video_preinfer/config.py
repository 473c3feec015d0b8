"""See `codec_video_prep.config`."""

from codec_video_prep.config import CHOICES, OptionError, PreinferConfig

__all__ = ["CHOICES", "OptionError", "PreinferConfig"]
