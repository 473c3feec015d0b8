"""Turn a video into the few patches that matter, chosen by the bits that its encoder spent on them.

`run_preinfer("clip.mp4", "out")` samples frames, scores their blocks, and packs the best into canvases for a vision
model. `cv_reader_fast` reads the bits themselves.
"""

from codec_video_prep import cv_reader_fast
from codec_video_prep.api import PreinferResult, run_preinfer, run_preinfer_config
from codec_video_prep.config import PreinferConfig

__all__ = ["PreinferConfig", "PreinferResult", "cv_reader_fast", "run_preinfer", "run_preinfer_config"]
