"""The network over all hands of a video: batches of a fixed size across frames and hands, in the order in which they are decoded.

On a GPU the network is compiled (one graph, CUDA graphs inside), batches are uploaded from pinned memory, and the numbers of one batch
come back while the next is computed. On the CPU it runs as it is, which suits tests; see docs/hamer.md for speeds.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from handroll.hand.skeleton import N_ROTATIONS
from handroll.pose.hamer.chunks import Chunks
from handroll.pose.hamer.crop_stream import batches

N_NUMBERS = 9 * N_ROTATIONS + 10 + 3
"""Rotation matrices, betas and camera of a hand."""


@dataclass(frozen=True)
class Seen:
    """What the network saw, in its own world: all hands are right hands, left ones mirrored. NaN where it did not look.

    Attributes
    ----------
    rotations : float32 array (frame, hand 2, joint 16, 3, 3)
    betas : float32 array (frame, hand 2, 10)
    camera : float32 array (frame, hand 2, 3)
        Weak perspective in the crop; see `cameras`.
    """

    rotations: np.ndarray
    betas: np.ndarray
    camera: np.ndarray


def look(network, video_path, boxes_px, wanted, batch, rescale, threads, progress, kept=None, made_by=None, compiled=False):
    """Run the network on every wanted hand of a video.

    Parameters
    ----------
    network : network.HamerNetwork, or any module with the same answer
        Its buffers tell the device.
    video_path, boxes_px, wanted, rescale, threads
        As of `feed.batches`.
    batch : int
        Hands at a time.
    progress : callable
        As `handroll.logs.progress`.
    kept : path of a folder, optional
        Finished chunks are kept there, and taken from there; the caller removes it when all is done.
    made_by : dict of str to plain value, optional
        What the numbers depend on besides what is given here, such as the weights; chunks of another making are not taken.
    compiled : bool
        Compile the network; the first batch then takes minutes.

    Returns
    -------
    Seen
    """
    frames, hands = wanted.shape
    numbers = np.full((frames, hands, N_NUMBERS), np.nan, dtype=np.float32)
    hands_sha256 = hashlib.sha256(wanted.tobytes() + np.asarray(boxes_px)[wanted].tobytes()).hexdigest()
    chunks = Chunks(kept, {**(made_by or {}), "rescale": rescale, "hands_sha256": hands_sha256}, numbers.shape)
    done = chunks.load(numbers)
    left = wanted.copy()
    for chunk in done:
        left[chunks.frames_of(chunk)] = False
    waiting = [chunk for chunk in range(chunks.count) if left[chunks.frames_of(chunk)].any()]
    if waiting:
        fed = _counted(batches(video_path, boxes_px, left, batch, rescale, threads), progress, int(left.sum()))
        for places, answer in _answers(network, fed, compiled):
            numbers[places[:, 0], places[:, 1]] = answer
            # Batches come by frame: whatever lies before the last one seen is finished.
            while chunks.frames_of(waiting[0]).stop <= places[-1, 0]:
                chunks.save(waiting.pop(0), numbers)
        chunks.save(waiting.pop(0), numbers)
    rotations, betas, camera = np.split(numbers, (9 * N_ROTATIONS, 9 * N_ROTATIONS + 10), axis=-1)
    return Seen(rotations.reshape(frames, hands, N_ROTATIONS, 3, 3), betas, camera)


def _counted(fed, progress, total):
    """The batches, with a line of progress for the hands in them."""
    told = progress(range(total), total, "hands")
    for batch in fed:
        yield batch
        for _ in batch.places:
            next(told, None)
    next(told, None)


@torch.inference_mode()
def _answers(network, fed, compiled):
    """(places (n, 2), numbers (n, N_NUMBERS)) of each batch, each while the next one is computed."""
    device = next(network.buffers()).device
    on_gpu = device.type == "cuda"
    run = torch.compile(network, fullgraph=True, mode="reduce-overhead") if compiled else network
    before = None
    for batch in fed:
        crops = torch.from_numpy(batch.crops)
        if on_gpu:
            crops = crops.pin_memory().to(device, non_blocking=True)
        answer = run(crops)
        packed = torch.cat([answer.rotations.flatten(1), answer.betas, answer.cam], dim=1)
        if on_gpu:
            # On its way back before the next batch is queued, into memory that the next answer does not overwrite.
            host = torch.empty(packed.shape, dtype=packed.dtype, pin_memory=True)
            host.copy_(packed, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()
            packed = host
        else:
            arrived = None
        if before is not None:
            yield _fetched(*before)
        before = batch.places, packed, arrived
    if before is not None:
        yield _fetched(*before)


def _fetched(places, packed, arrived):
    if arrived is not None:
        arrived.synchronize()
    return places, packed[: len(places)].numpy()
