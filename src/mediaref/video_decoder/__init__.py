"""How the frames of a video are found and read."""
