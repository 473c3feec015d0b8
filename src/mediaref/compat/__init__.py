"""Bridges to how other projects write down a frame of a video."""
