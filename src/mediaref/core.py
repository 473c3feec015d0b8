"""`MediaRef` under the name of the module that 1.1 has it in."""

from __future__ import annotations

from mediaref.ref import MediaRef

__all__ = ["MediaRef"]
