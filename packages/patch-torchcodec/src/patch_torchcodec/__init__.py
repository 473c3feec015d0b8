"""Lends torchcodec the FFmpeg libraries that PyAV's wheel brings."""

from __future__ import annotations

from patch_torchcodec.installation import Installation, PatchError
from patch_torchcodec.patching import patch, restore, status
from patch_torchcodec.verification import verify

__all__ = ["Installation", "PatchError", "patch", "restore", "status", "verify"]
