"""`codec_video_prep` under the name that it had before."""

from codec_video_prep import PreinferConfig, PreinferResult, cv_reader_fast, run_preinfer, run_preinfer_config

__all__ = ["PreinferConfig", "PreinferResult", "cv_reader_fast", "run_preinfer", "run_preinfer_config"]
