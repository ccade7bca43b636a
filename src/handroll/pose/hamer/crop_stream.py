"""Crop the hands of a video in batches, while the network processes the previous batch.

Crops are cut on the CPU right after decoding: a crop has 0.15 MB and a 1080p frame 6 MB, so only the crops are copied to a GPU. One
thread decodes (FFmpeg has its own threads) and a few threads crop (`crops.crop`, by OpenCV, which releases Python's global lock). A queue
of bounded length holds finished batches, so memory does not grow with the video.
"""

import queue
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from handroll.hand.skeleton import HANDS
from handroll.media.frames import read_frames
from handroll.pose.hamer.crops import HEIGHT_PX, WIDTH_PX, crop, square_of_box

LEFT = HANDS.index("left")
"""Index of the left hand."""

BATCHES_AHEAD = 3
"""Maximum number of finished batches that wait for the network."""

FRAMES_AHEAD = 8
"""Maximum number of decoded frames that wait for their crops."""


@dataclass(frozen=True)
class Batch:
    """Crops of hands from one video.

    Attributes
    ----------
    crops : array (crop B, row 256, column 192, channel 3)
        RGB, with left hands mirrored; uint8, or float32 0..255 if at least one crop is blurred. B is the same for all batches. In the last
        batch, crops after the last hand are black.
    hands : int array (hand n, index 2)
        (frame, hand) indices of the first n crops, sorted by frame, left before right.
    """

    crops: np.ndarray
    hands: np.ndarray


def crop_batches(video_path, boxes_px, selected, size, rescale, threads):
    """Yield batches of the selected hands of a video, in order.

    Parameters
    ----------
    video_path : path
        The video.
    boxes_px : array (frame, hand 2, 4)
        Left, top, right, bottom in pixels of the displayed frame.
    selected : bool array (frame, hand 2)
        Hands to crop. Their boxes must be finite.
    size : int
        Number of crops in a batch.
    rescale : float
        See `crops.square_of_box`.
    threads : int
        Number of decoder threads; the number of threads that crop is the same.

    Yields
    ------
    Batch

    Raises
    ------
    ValueError
        The video ends before the last frame with a selected hand.
    """
    return _prefetch(_collect_batches(_cropped_hands(video_path, boxes_px, selected, rescale, threads), size), BATCHES_AHEAD)


def _cropped_hands(video_path, boxes_px, selected, rescale, threads):
    """Yield (frame index, hand index, crop) for every selected hand; see `crop_batches`."""
    centre, side = square_of_box(boxes_px, rescale)
    frames = set(np.flatnonzero(selected.any(axis=1)).tolist())
    pending, decoded = deque(), 0
    with ThreadPoolExecutor(threads) as pool:
        for frame in read_frames(video_path, threads=threads, indices=frames):
            decoded += 1
            for hand in np.flatnonzero(selected[frame.index]).tolist():
                at = (frame.index, hand)
                pending.append((*at, pool.submit(crop, frame.image, centre[at], float(side[at]), hand == LEFT)))
            while len(pending) > 2 * FRAMES_AHEAD:
                index, hand, done = pending.popleft()
                yield index, hand, done.result()
        for index, hand, done in pending:
            yield index, hand, done.result()
    if decoded < len(frames):
        raise ValueError(
            f"{video_path}: expected {len(selected)} frames, as in the detections, but the video ends before the last "
            f"{len(frames) - decoded} frames with hands; detect the hands of this file again"
        )


def _collect_batches(crops_of_hands, size):
    """Yield batches of `size` crops from (frame, hand, crop). The last batch is padded."""
    crops, hands = [], []
    for frame, hand, image in crops_of_hands:
        crops.append(image)
        hands.append((frame, hand))
        if len(crops) == size:
            yield _build_batch(crops, hands, size)
            crops, hands = [], []
    if crops:
        yield _build_batch(crops, hands, size)


def _build_batch(crops, hands, size):
    """Build a `Batch` of `size` crops from a list of crops and a list of their (frame, hand) indices. Missing crops are black."""
    dtype = np.uint8 if all(image.dtype == np.uint8 for image in crops) else np.float32
    stacked = np.zeros((size, HEIGHT_PX, WIDTH_PX, 3), dtype=dtype)
    for row, image in enumerate(crops):
        stacked[row] = image
    return Batch(stacked, np.array(hands))


def _prefetch(items, depth):
    """Yield the items of a generator that runs in another thread, at most `depth` items ahead, and raise its exceptions."""
    finished, stop, end = queue.Queue(depth), threading.Event(), object()

    def put(item):
        while not stop.is_set():
            try:
                finished.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work():
        try:
            for item in items:
                if not put((item, None)):
                    break
            put((end, None))
        except BaseException as error:
            put((end, error))
        finally:
            items.close()

    thread = threading.Thread(target=work, name="hamer-crops", daemon=True)
    thread.start()
    try:
        while True:
            item, error = finished.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stop.set()
        thread.join()
