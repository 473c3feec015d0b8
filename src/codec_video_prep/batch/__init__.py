"""Many videos at once: `codec-video-prep batch`, resumable, over the CPUs of a machine, several machines, or Ray.

The list of videos is cut into parts. A part is done when its receipt is written, which is the last thing that happens;
a run that is killed and started again goes on with the parts that have none, and finds what of them was prepared.
"""

from codec_video_prep.batch.inputs import list_videos
from codec_video_prep.batch.run import BatchResult, Tally, run_batch

__all__ = ["BatchResult", "Tally", "list_videos", "run_batch"]
