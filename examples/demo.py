"""The main job from end to end: make a video, prepare it, and say what came of it.

    python examples/demo.py OUT

writes OUT/clip.mp4 (twelve seconds, made here) and OUT/prepared/ with the canvases.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from codec_video_prep import run_preinfer
from codec_video_prep.progress import ProgressBar
from mediaref.bitcost import read_bit_costs

FRAMES, RATE, WIDTH, HEIGHT = 360, 30, 640, 360
SCENE_FRAMES = 120

Picture = NDArray[np.float32]


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    clip, prepared = out / "clip.mp4", out / "prepared"
    with ProgressBar(sys.stderr) as bar:
        make_clip(clip, bar)
        result = run_preinfer(str(clip), str(prepared), num_sampled_frames=128, overwrite=True, progress=bar.show)
    describe(clip, result.summary)
    return 0


def describe(clip: Path, meta: dict[str, Any]) -> None:
    """Print the key numbers, and where to look."""
    costs = read_bit_costs(clip)
    types = "".join(cost.picture_type for cost in costs)
    counted = sum(int(cost.bits.sum()) for cost in costs)
    overhead = sum(cost.overhead_bits for cost in costs)
    exact = all(int(cost.bits.sum()) + cost.overhead_bits == cost.packet_bits for cost in costs)
    height, width = meta["processed_hw"]
    kept = sum(group["selected_blocks"] for group in meta["groups"])
    offered = sum(group["group_readiness"]["candidate_block_count"] for group in meta["groups"])
    print(f"""
the video    {clip}: {WIDTH}x{HEIGHT}, {len(costs)} frames ({", ".join(f"{types.count(t)} {t}" for t in "IPB")})
its bits     {counted:,} in blocks + {overhead:,} in headers; every bit accounted for: {"yes" if exact else "NO"}
looked at    {meta["seq_len"]} frames in {meta["num_groups"]} groups, scaled to {width}x{height}
kept         {meta["num_groups"]} whole frames and the best {kept:,} of {offered:,} blocks
canvases     {meta["total_images"]}, {meta["total_patches"]:,} patches of {meta["patch"]}x{meta["patch"]} pixels
it took      {meta["timings"]["total"]:.2f} s

Look at {meta["out_dir"]}/canvas_000.jpg (a whole frame) and canvas_001.jpg (what changed after it).
src_patch_position.npy says for every patch which frame and place it comes from; meta.json says the rest.""")


def make_clip(path: Path, bar: ProgressBar, frames: int = FRAMES) -> None:
    """Encode a clip with what encoders find in real ones: panning texture, moving things, grain, cuts; I, P, B."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "24", "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, picture in enumerate(pictures(frames), start=1):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            bar.show("encode", number, frames)
        container.mux(stream.encode(None))


def pictures(frames: int) -> Iterator[NDArray[np.uint8]]:
    """RGB pictures `[HEIGHT, WIDTH, 3]` of a camera that pans over one landscape after another."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    for number in range(frames):
        scene, moment = divmod(number, SCENE_FRAMES)
        if moment == 0:
            landscape = make_landscape(rng)
            speed, height = rng.uniform(0.4, 1.6), rng.uniform(0.3, 0.7) * HEIGHT
        left = int(moment * speed)
        picture = landscape[:HEIGHT, left : left + WIDTH].copy()
        for thing in range(3):  # each rolls across at its own pace and bobs on its own beat
            centre_x = (WIDTH * (0.2 + 0.3 * thing) + moment * (2.0 + thing)) % (WIDTH + 120) - 60
            centre_y = height + 40 * np.sin(moment / (9.0 + 4 * thing)) + 30 * (thing - 1)
            draw_ball(picture, x - centre_x, y - centre_y, 26 + 8 * thing, moment * 0.06, scene + thing)
        picture += rng.normal(0.0, 1.2, (HEIGHT, WIDTH, 1)).astype(np.float32)
        yield np.clip(picture, 0, 255).astype(np.uint8)


def make_landscape(rng: np.random.Generator) -> Picture:
    """A picture wider than the frame with detail at every scale, as clouds, hills and foliage have."""
    rows, columns = HEIGHT, WIDTH + 2 * SCENE_FRAMES
    falling = 1 / np.maximum(np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns)[None]), 1 / columns) ** 1.6
    layers = []
    for _ in range(3):
        noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=(rows, columns))) * falling).real
        layers.append((noise - noise.mean()) / noise.std())
    base, tint = layers[0], rng.uniform(70, 160, 3)
    colours = [tint[channel] + 38 * base + 14 * layers[channel] for channel in range(3)]
    return np.stack(colours, axis=-1).astype(np.float32)


def draw_ball(picture: Picture, dx: Picture, dy: Picture, radius: float, turn: float, look: int) -> None:
    """A shaded ball with stripes that turn with it."""
    inside = dx**2 + dy**2 < radius**2
    across, down = dx[inside] / radius, dy[inside] / radius
    stripes = np.sin(7 * (across * np.cos(turn) + down * np.sin(turn))) > 0
    light = 0.55 + 0.45 * np.clip(1 - np.hypot(across + 0.3, down + 0.4), 0, 1)
    paint = np.where(stripes[:, None], [235, 225, 210], [[200, 60, 50], [50, 110, 190], [60, 150, 80]][look % 3])
    picture[inside] = paint * light[:, None]


if __name__ == "__main__":
    sys.exit(main())
