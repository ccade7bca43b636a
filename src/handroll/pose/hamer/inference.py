"""Run the network on all hands of a video, in batches of a fixed number of hands in decoding order.

A batch may contain hands of several frames. On a GPU the network is compiled as one graph and runs with CUDA graphs. Batches are uploaded
from pinned memory, and the outputs of one batch are downloaded while the next is computed. On the CPU the network is not compiled. The
speeds are in docs/tutorials/hamer.md.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from handroll.hand.skeleton import N_ROTATIONS
from handroll.pose.hamer.crop_stream import crop_batches
from handroll.pose.hamer.resumable_results import ResumableResults

N_OUTPUTS = 9 * N_ROTATIONS + 10 + 3
"""Number of outputs for each hand: 16 rotation matrices, 10 betas and 3 camera parameters."""


@dataclass(frozen=True)
class Predictions:
    """Predictions of the network for a video. Left hands are predicted as mirrored right hands. Hands that were not selected are NaN.

    Attributes
    ----------
    rotations : float32 array (frame, hand 2, joint 16, 3, 3)
        Rotation matrices of the joints; joint 0 is the orientation of the hand.
    betas : float32 array (frame, hand 2, 10)
        Shape parameters of MANO.
    camera : float32 array (frame, hand 2, 3)
        Weak-perspective camera (s, tx, ty) of each crop; see `cameras`.
    """

    rotations: np.ndarray
    betas: np.ndarray
    camera: np.ndarray


def run_inference(network, video_path, boxes_px, selected, batch, rescale, threads, progress, scratch=None, made_by=None, compiled=False):
    """Run the network on every selected hand of a video.

    Parameters
    ----------
    network : network.HamerNetwork, or any module with the same output
        The network. It runs on the device of its buffers.
    video_path, boxes_px, selected, rescale, threads
        See `crop_stream.crop_batches`.
    batch : int
        Number of hands in a batch.
    progress : callable
        See `handroll.logs.progress`.
    scratch : path of a folder, optional
        Folder for finished chunks, from which a later call resumes. The caller removes it when the result is saved.
    made_by : dict of str to plain value, optional
        Further values that determine the outputs, such as the hash of the weights. Stored chunks with other values are not used.
    compiled : bool
        Whether the network is compiled. The first batch then takes minutes.

    Returns
    -------
    Predictions
    """
    frames, hands = selected.shape
    numbers = np.full((frames, hands, N_OUTPUTS), np.nan, dtype=np.float32)
    hands_sha256 = hashlib.sha256(selected.tobytes() + np.asarray(boxes_px)[selected].tobytes()).hexdigest()
    results = ResumableResults(scratch, {**(made_by or {}), "rescale": rescale, "hands_sha256": hands_sha256}, numbers.shape)
    remaining = selected.copy()
    for chunk in results.load(numbers):
        remaining[results.frames_of(chunk)] = False
    unfinished = [chunk for chunk in range(results.count) if remaining[results.frames_of(chunk)].any()]
    if unfinished:
        batches = crop_batches(video_path, boxes_px, remaining, batch, rescale, threads)
        for hands_of_batch, output in _run_batches(network, _log_progress(batches, progress, int(remaining.sum())), compiled):
            numbers[hands_of_batch[:, 0], hands_of_batch[:, 1]] = output
            # Batches are sorted by frame, so every chunk that ends before the frame of the last hand is finished.
            while results.frames_of(unfinished[0]).stop <= hands_of_batch[-1, 0]:
                results.save(unfinished.pop(0), numbers)
        results.save(unfinished.pop(0), numbers)
    rotations, betas, camera = np.split(numbers, (9 * N_ROTATIONS, 9 * N_ROTATIONS + 10), axis=-1)
    return Predictions(rotations.reshape(frames, hands, N_ROTATIONS, 3, 3), betas, camera)


def _log_progress(batches, progress, total):
    """Yield the batches, and log the progress: the number of hands in finished batches, out of `total` hands."""
    steps = progress(range(total), total, "hands")
    for batch in batches:
        yield batch
        for _ in batch.hands:
            next(steps, None)
    next(steps, None)


@torch.inference_mode()
def _run_batches(network, batches, compiled):
    """Yield the hands and the outputs of each batch, while the next batch is computed.

    Hands are (frame, hand) indices (n, 2), and outputs an array (n, N_OUTPUTS). `compiled` is that of `run_inference`.
    """
    device = next(network.buffers()).device
    on_gpu = device.type == "cuda"
    run = torch.compile(network, fullgraph=True, mode="reduce-overhead") if compiled else network
    previous = None
    for batch in batches:
        crops = torch.from_numpy(batch.crops)
        if on_gpu:
            crops = crops.pin_memory().to(device, non_blocking=True)
        output = run(crops)
        packed = torch.cat([output.rotations.flatten(1), output.betas, output.cam], dim=1)
        copied = None
        if on_gpu:
            # Start the copy before the next batch is queued, into memory that the next output does not overwrite.
            host = torch.empty(packed.shape, dtype=packed.dtype, pin_memory=True)
            host.copy_(packed, non_blocking=True)
            copied = torch.cuda.Event()
            copied.record()
            packed = host
        if previous is not None:
            yield _wait_for(*previous)
        previous = batch.hands, packed, copied
    if previous is not None:
        yield _wait_for(*previous)


def _wait_for(hands, packed, copied):
    """Return the hands (n, 2) and the outputs (n, N_OUTPUTS) of a batch, without the padding.

    `packed` (crop, N_OUTPUTS) is being copied from the GPU until the event `copied`. On the CPU, `copied` is None.
    """
    if copied is not None:
        copied.synchronize()
    return hands, packed[: len(hands)].numpy()
