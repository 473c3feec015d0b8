"""See `codec_video_prep.cli`; `python -m compressed_video_preinfer.cli` works too."""

import sys

from codec_video_prep.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
