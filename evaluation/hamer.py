"""Compare the speed of handroll's HaMeR engine with that of the loop in HaMeR's official demo.

    python evaluation/hamer.py --part network --size full          # seconds per crop; random weights of the released size
    python evaluation/hamer.py --part video --size toy             # frames per second of a video; overhead of the loop
    python evaluation/hamer.py --part video --size toy --hand-px 700 --frame 3840x2160     # blurred crops
    python evaluation/hamer.py --part network --size full --device cuda --batches 2 16 64 128 256
    python evaluation/hamer.py --part video --size full --device cuda --batch 128 --frames 600

The loop reproduces the part of the demo after hand detection. For each hand it copies the whole frame, mirrors the copy for a left hand,
blurs it in float64 if the crop is scaled down (size above 563 px), samples 256 x 256 pixels, and normalises them. Then it runs the network
on the hands of the frame, in float32 and with explicit attention matrices. Rendering is not included. The engine is
`pose.hamer.inference.run_inference` with its crop stream, batches and network.

Loop and engine run in turn, in the same process, on the same video and boxes. Their outputs are compared. Weights are random, which does
not affect the time.
"""

import argparse
import math
import resource
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from handroll.media.frames import read_frames
from handroll.media.write import VideoWriter
from handroll.pose.hamer.crops import BLUR_ABOVE, square_of_box
from handroll.pose.hamer.inference import run_inference
from handroll.pose.hamer.settings import RELEASED
from toy_hamer import TOY, random_network

GFLOP_PER_CROP = 251.1
"""Number of operations of the released network per crop, in 10^9. A multiply-add counts as two."""

MATRIX = 8192
"""Number of rows and columns of the matrices whose product measures the arithmetic rate of a GPU. On a CPU, a quarter of this number is
used."""

MIN_TIMED_S = 5.0
"""Minimum total time of repeated runs (s)."""

# Settings of the network for each value of the option `--size`.
SIZES = {"toy": TOY, "full": RELEASED}

# Index of the left hand.
LEFT = 0


def explicit_attention(tokens, attention):
    """Compute softmax attention with an explicit attention matrix, as the demo's network does."""
    batch, count, dim = tokens.shape
    q, k, v = attention.qkv(tokens).view(batch, count, 3, attention.heads, -1).permute(2, 0, 3, 1, 4)
    shares = ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1)
    return attention.proj((shares @ v).transpose(1, 2).reshape(batch, count, dim))


def demo_network(settings, device):
    """Create the network as in the demo, with float32 and explicit attention matrices."""
    network = random_network(settings).to(device)
    for block in network.backbone.blocks:
        block.attn.forward = lambda tokens, attention=block.attn: explicit_attention(tokens, attention)
    return network


def official_crop(frame, centre, size, left):
    """Make a crop, array (256, 256, 3), as the demo does, from a copy of the whole frame that is blurred and mirrored if necessary.

    `centre` (x, y) and `size` are those of the square in pixels; `left` is true for a left hand.
    """
    frame = frame.copy()
    x, y = float(np.float32(centre[0])), float(np.float32(centre[1]))
    shrink = size / 512.0
    if shrink > BLUR_ABOVE:
        sigma = (shrink - 1.0) / 2.0
        frame = gaussian_filter(frame.astype(np.float64), (sigma, sigma, 0.0), mode="nearest")
    if left:
        frame = frame[:, ::-1]
        x = frame.shape[1] - x - 1.0
    half = np.array([(x, y), (x, y + size / 2.0), (x + size / 2.0, y)], dtype=np.float32)
    matrix = cv2.getAffineTransform(half, np.array([(128, 128), (128, 256), (256, 128)], dtype=np.float32))
    return cv2.warpAffine(frame, matrix, (256, 256), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


@torch.inference_mode()
def official_loop(network, video, boxes, device):
    """Run the demo's loop. Return its cameras (frame, hand, 3) and its duration (s)."""
    mean, std = (255.0 * np.array(values) for values in (network.settings.image_mean, network.settings.image_std))
    cameras, started = [], time.perf_counter()
    for frame in read_frames(video):
        centre, size = square_of_box(boxes[frame.index])
        images = [official_crop(frame.image, centre[hand], float(size[hand]), hand == LEFT) for hand in range(2)]
        normalised = [((image.astype(np.float64) - mean) / std).transpose(2, 0, 1).astype(np.float32) for image in images]
        batch = torch.from_numpy(np.stack(normalised))[:, :, :, 32:-32].contiguous().to(device)
        cameras.append(network(batch).cam.cpu().numpy())
    return np.stack(cameras), time.perf_counter() - started


def make_video(path, width, height, frames, hand_px, seed=0):
    """Write a video of a moving texture. Return boxes (frame, hand 2, 4), px, that move over it. `hand_px` is the side of a box."""
    rng = np.random.default_rng(seed)
    texture = cv2.resize(rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    with VideoWriter(path, width, height, 30) as writer:
        for frame in range(frames):
            writer.write(np.roll(texture, 3 * frame, axis=1), frame / 30)
    way = np.linspace(0.0, 1.0, frames)[:, None]
    centre = np.stack([np.stack([(0.2 + 0.2 * way[:, 0]) * width, 0.5 + 0.4 * height * np.ones(frames)], -1),
                       np.stack([(0.6 + 0.2 * way[:, 0]) * width, 0.5 + 0.6 * height * np.ones(frames)], -1)], axis=1)  # fmt: skip
    half = hand_px / 2.0
    return np.concatenate([centre - half, centre + half], axis=-1).astype(np.float32)


def no_progress(items, total, unit):
    """Iterate without progress messages."""
    return iter(items)


def synchronise(device):
    """Wait until a CUDA device has finished its work."""
    if device == "cuda":
        torch.cuda.synchronize()


@torch.inference_mode()
def seconds_per_crop(network, batch, device):
    """Measure the time (s) of a network per crop, in batches of `batch` crops: the minimum of several runs, after two warm-up runs."""
    crops = torch.randint(0, 255, (batch, 256, 192, 3), dtype=torch.uint8, device=device)
    best, spent, runs = math.inf, 0.0, 0
    while runs < 5 or (spent < MIN_TIMED_S and runs < 100):
        synchronise(device)
        started = time.perf_counter()
        network(crops)
        synchronise(device)
        took = time.perf_counter() - started
        if runs >= 2:
            best = min(best, took / batch)
        spent, runs = spent + took, runs + 1
        if spent > 6 * MIN_TIMED_S and runs >= 3:
            break
    return best


def matrix_rate(dtype, device):
    """Measure the arithmetic rate: operations per second of a large matrix product."""
    side = MATRIX if device == "cuda" else MATRIX // 4
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = math.inf
    for _ in range(10 if device == "cuda" else 4):
        synchronise(device)
        started = time.perf_counter()
        a @ b
        synchronise(device)
        best = min(best, time.perf_counter() - started)
    return 2.0 * side**3 / best


def network_part(options):
    """Print the time per crop of the demo's network and of handroll's, by precision and batch size."""
    settings, device = SIZES[options.size], options.device
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    network = random_network(settings)
    counts = [
        sum(p.numel() for p in part.parameters()) + sum(b.numel() for b in part.buffers()) for part in (network.backbone, network.head)
    ]
    print(f"{name}; {options.size} network: {counts[0]:,} parameters and buffers in the backbone, {counts[1]:,} in the head")
    del network
    rates = {dtype: matrix_rate(dtype, device) for dtype in (torch.float32, torch.bfloat16)}
    print("matrix products: " + ", ".join(f"{rate / 1e12:.3g} TFLOP/s in {str(dtype)[6:]}" for dtype, rate in rates.items()))
    print(f"{'form':24}{'batch':>6}{'s/crop':>10}{'crops/s':>10}{'TFLOP/s':>10}{'of matrix rate':>16}")
    forms = [("demo's, float32", demo_network, torch.float32)] + [
        (f"handroll, {str(d)[6:]}", None, d) for d in (torch.float32, torch.bfloat16)
    ]
    for form, make, dtype in forms:
        network = make(settings, device) if make else random_network(settings, dtype=dtype).to(device)
        run = torch.compile(network, fullgraph=True, mode="reduce-overhead") if device == "cuda" and not make else network
        for batch in options.batches if not make else options.batches[:2]:
            seconds = seconds_per_crop(run, batch, device)
            rate = GFLOP_PER_CROP * 1e9 / seconds if options.size == "full" else float("nan")
            print(f"{form:24}{batch:>6}{seconds:>10.4g}{1 / seconds:>10.3g}{rate / 1e12:>10.3g}{rate / rates[dtype]:>15.0%}", flush=True)
        del network, run
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of the process: {peak_gib:.2f} GiB")


def video_part(options):
    """Print the frames per second of the demo's loop and of the engine, which run in turn."""
    settings, device = SIZES[options.size], options.device
    width, height = map(int, options.frame.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "video.mp4"
        boxes = make_video(video, width, height, options.frames, options.hand_px)
        wanted = np.ones(boxes.shape[:2], bool)
        _, size = square_of_box(boxes)
        blurred = "blurred" if size.max() / 512.0 > BLUR_ABOVE else "not blurred"
        print(f"{options.frames} frames of {width}x{height}, two hands of {options.hand_px} px, crops {blurred}; {options.size} network")
        loop, engine = demo_network(settings, device), random_network(settings, dtype=getattr(torch, options.dtype)).to(device)
        compiled = device == "cuda"

        def engine_run():
            return run_inference(engine, video, boxes, wanted, options.batch, 2.0, options.threads, no_progress, compiled=compiled)

        if compiled:
            engine_run()  # compiles
        ratios = []
        for _ in range(options.rounds):
            loop_cameras, loop_s = official_loop(loop, video, boxes, device)
            started = time.perf_counter()
            predictions = engine_run()
            engine_s = time.perf_counter() - started
            ratios.append(loop_s / engine_s)
            rates = [len(wanted) / seconds for seconds in (loop_s, engine_s)]
            print("demo's loop {:8.1f} frames/s    engine {:8.1f} frames/s    {:.1f} times".format(*rates, ratios[-1]), flush=True)
        print(f"median {np.median(ratios):.1f} times; cameras differ by at most {np.abs(predictions.camera - loop_cameras).max():.2g}")


def main():
    """Run the part that the option `--part` selects."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("network", "video"), required=True)
    parser.add_argument("--size", choices=SIZES, default="toy", help="size of the network (default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: %(default)s)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4], help="crops per batch, part network (default: 1 2 4)")
    parser.add_argument("--batch", type=int, default=16, help="crops per batch, part video (default: %(default)s)")
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="precision of the engine's backbone, part video (default: %(default)s)",
    )
    parser.add_argument("--frames", type=int, default=60, help="frames of the video (default: %(default)s)")
    parser.add_argument("--frame", default="1920x1080", help="size of the video's frames (default: %(default)s)")
    parser.add_argument("--hand-px", type=int, default=200, help="side of a hand's box (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="number of comparisons (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    (network_part if options.part == "network" else video_part)(options)


if __name__ == "__main__":
    main()
