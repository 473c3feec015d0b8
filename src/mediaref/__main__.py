"""`python -m mediaref` is the `mediaref` command."""

from __future__ import annotations

import sys

from mediaref.cli import main

if __name__ == "__main__":
    sys.exit(main())
