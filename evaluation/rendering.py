"""Measure the speed of rendering a generated video: drawing the frames, converting them to YUV, and encoding them.

    python evaluation/rendering.py                                    # 20 s at 1280 x 720, some minutes
    python evaluation/rendering.py --seconds 4 --size 320x180 --threads 2

A simulated performance is rendered in the scene of `handroll generate`. For each camera and number of threads, the script prints frames per
second, CPU time per frame of all threads together, and the speed relative to one thread. If the computer runs other jobs, compare only CPU
times. All numbers of threads must give a file with the same bytes.

The last table compares two conversions of the same frames from RGB to YUV, on one thread: handroll's, and that of libswscale. Their results
must be equal.
"""

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from handroll.generation.generate import GRID_MM, SCENES
from handroll.generation.pianist import perform
from handroll.media.write import rgb_to_yuv
from handroll.provenance import file_sha256
from handroll.rendering.render import render_frames, render_video
from handroll.simulator.score import score

# Piece and seed of the performance.
PIECE, SEED = "minuet", 3

# Number of frames that are converted.
CONVERTED = 8

# libswscale's options of an exact conversion.
EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT


def first_frames(performance, frames):
    """Return the first frames of a performance."""
    names = ("time_s", "rotation_rad", "translation_m", "key_depth_mm", "present")
    return replace(performance, **{name: getattr(performance, name)[:frames] for name in names})


def rendered(folder, performance, scene, size, threads):
    """Render a video. Return its SHA-256, frames per second, and CPU time per frame in ms."""
    path = Path(folder) / "rendered.mp4"
    started, cpu = time.perf_counter(), time.process_time()
    render_video(path, performance, scene, 30.0, *size, grid_mm=GRID_MM, threads=threads)
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    frames = len(performance.time_s)
    return file_sha256(path), frames / elapsed, 1e3 * cpu / frames


def by_handroll(image):
    """Convert an image (y, x, rgb 3), uint8, as `media.write.VideoWriter` does, and return the frame."""
    frame = av.VideoFrame(image.shape[1], image.shape[0], "yuv420p")
    rgb_to_yuv(image, *(np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size) for plane in frame.planes))
    return frame


def by_libswscale(image):
    """Convert an image (y, x, rgb 3), uint8, by libswscale, and return the frame."""
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    return frame.reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, interpolation=EXACT, threads=1
    )


def main():
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="duration of the performance (default: 20)")
    parser.add_argument("--size", default="1280x720", help="size of the frames (default: 1280x720)")
    parser.add_argument("--threads", type=int, nargs="+", default=[2], help="numbers of threads, besides one (default: 2)")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    performance = perform(score(PIECE, SEED, options.seconds), SEED)
    print(f"{len(performance.time_s)} frames of {width} x {height}, {os.cpu_count()} cores")
    print("| camera | threads | frames/s | CPU ms/frame | relative to one thread |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        # The first use compiles the loops and builds the meshes.
        rendered(folder, first_frames(performance, 3), SCENES["top"], (width, height), 1)
        for camera, scene in SCENES.items():
            single = rendered(folder, performance, scene, (width, height), 1)
            for threads in (1, *options.threads):
                digest, speed, cpu_ms = single if threads == 1 else rendered(folder, performance, scene, (width, height), threads)
                if digest != single[0]:
                    raise SystemExit(f"camera {camera}: {threads} threads gave another file than one thread; expected the same bytes")
                print(f"| {camera} | {threads} | {speed:.1f} | {cpu_ms:.1f} | {speed / single[1]:.2f} |")
    images = [frame.image for frame in render_frames(first_frames(performance, CONVERTED), SCENES["top"], width, height)]
    print("\n| conversion | CPU ms/frame |\n|---|---|")
    results = []
    for name, convert in (("handroll", by_handroll), ("libswscale", by_libswscale)):
        convert(images[0])
        started = time.thread_time()
        frames = [convert(image) for image in images]
        print(f"| {name} | {1e3 * (time.thread_time() - started) / len(images):.3f} |")
        results.append(np.stack([frame.to_ndarray() for frame in frames]))
    if (results[0] != results[1]).any():
        raise SystemExit("the two conversions differ; expected the same bytes")


if __name__ == "__main__":
    main()
