"""The tables that containers keep of their packets, read as they stand in the file: MP4, MOV, Matroska and WebM.

Nothing here knows of FFmpeg, of codecs or of frames; what the tables say is held against FFmpeg's own reading one floor
up, in `mediaref.video_decoder.packet_tables`.
"""
