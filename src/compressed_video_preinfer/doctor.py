"""See `codec_video_prep.doctor`; `python -m compressed_video_preinfer.doctor` works too."""

import sys

from codec_video_prep.doctor import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
