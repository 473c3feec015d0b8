"""`python -m patch_torchcodec`."""

from __future__ import annotations

import sys

from patch_torchcodec.cli import main

sys.exit(main())
