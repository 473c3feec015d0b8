"""See `codec_video_prep.api`."""

from codec_video_prep.api import PreinferConfig, PreinferResult, run_preinfer, run_preinfer_config

__all__ = ["PreinferConfig", "PreinferResult", "run_preinfer", "run_preinfer_config"]
