"""A video becomes batches of crops, while the network is busy with the batch before.

Crops are cut on the CPU, right after decoding: a crop is 0.15 MB and a 1080p frame 6, so that a GPU is fed with what it looks at and
nothing else. A thread decodes (FFmpeg has threads of its own), a few cut (`crops.crop`, OpenCV, without Python's lock), and a queue of
bounded length holds finished batches, so memory does not grow with the video.
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

BATCHES_AHEAD = 3
"""Finished batches that may wait for the network."""

FRAMES_AHEAD = 8
"""Decoded frames that may wait for their crops."""


@dataclass(frozen=True)
class Batch:
    """Crops of hands of one video.

    Attributes
    ----------
    crops : array (crop B, row 256, column 192, channel 3)
        RGB, left hands mirrored; uint8, or float32 0..255 where one of them is blurred. Always B of them: those after the last hand
        are black.
    places : int array (hand n, 2)
        Frame and hand (`skeleton.HANDS`) of the first n crops; by frame, left before right.
    """

    crops: np.ndarray
    places: np.ndarray


def batches(video_path, boxes_px, wanted, size, rescale, threads):
    """Batches of the wanted hands of a video, in order.

    Parameters
    ----------
    video_path : path
    boxes_px : array (frame, hand 2, 4)
        Left, top, right, bottom in pixels of the shown picture.
    wanted : bool array (frame, hand 2)
        Hands to cut out; their boxes are finite.
    size : int
        Crops a batch.
    rescale : float
        See `crops.square_of_box`.
    threads : int
        Of the decoder, and as many that cut.

    Yields
    ------
    Batch

    Raises
    ------
    ValueError
        The video has fewer frames than a wanted hand needs.
    """
    return _ahead(_collected(_crops(video_path, boxes_px, wanted, rescale, threads), size), BATCHES_AHEAD)


def _crops(video_path, boxes_px, wanted, rescale, threads):
    """(frame, hand, crop) of every wanted hand."""
    centre, side = square_of_box(boxes_px, rescale)
    frames = set(np.flatnonzero(wanted.any(axis=1)).tolist())
    waiting, seen = deque(), 0
    with ThreadPoolExecutor(threads) as pool:
        for frame in read_frames(video_path, threads=threads, indices=frames):
            seen += 1
            for hand in np.flatnonzero(wanted[frame.index]).tolist():
                place = (frame.index, hand)
                waiting.append((*place, pool.submit(crop, frame.image, centre[place], float(side[place]), hand == LEFT)))
            while len(waiting) > 2 * FRAMES_AHEAD:
                index, hand, done = waiting.popleft()
                yield index, hand, done.result()
        for index, hand, done in waiting:
            yield index, hand, done.result()
    if seen < len(frames):
        raise ValueError(
            f"{video_path}: expected {len(wanted)} frames, as when its hands were detected; found {len(frames) - seen} fewer with hands"
        )


def _collected(hands, size):
    """Batches of `size` crops of (frame, hand, crop); the last one padded."""
    crops, places = [], []
    for frame, hand, image in hands:
        crops.append(image)
        places.append((frame, hand))
        if len(crops) == size:
            yield _batch(crops, places, size)
            crops, places = [], []
    if crops:
        yield _batch(crops, places, size)


def _batch(crops, places, size):
    dtype = np.uint8 if all(image.dtype == np.uint8 for image in crops) else np.float32
    stacked = np.zeros((size, HEIGHT_PX, WIDTH_PX, 3), dtype=dtype)
    for row, image in enumerate(crops):
        stacked[row] = image
    return Batch(stacked, np.array(places))


def _ahead(items, depth):
    """The items, made by a thread of their own that is at most `depth` ahead; its exceptions are raised here."""
    made, stop, end = queue.Queue(depth), threading.Event(), object()

    def put(item):
        while not stop.is_set():
            try:
                made.put(item, timeout=0.1)
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

    thread = threading.Thread(target=work, name="hamer-feed", daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item
    finally:
        stop.set()
        thread.join()
