"""See `codec_video_prep.integrations`."""
