"""`codec_video_prep.integrations.llava_onevision` under its old name."""

from codec_video_prep.integrations.llava_onevision import *  # noqa: F403
from codec_video_prep.integrations.llava_onevision import __all__ as __all__
