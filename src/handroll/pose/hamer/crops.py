"""What HaMeR sees of a frame: a square about the hand's box, blurred where it shrinks much, mirrored for left hands.

The square is sampled to 256 x 256 pixels, of which the network sees the middle 192 columns; only these are made. Pixel (u, v) of the
256 shows the frame at centre + (u - 128, v - 128) size / 256, where whole numbers are centres of pixels; what is outside the frame
is black. Crops without blur equal HaMeR's own bit by bit, blurred ones to float32; but where HaMeR copies, mirrors and blurs whole
frames, here left hands are mirrored by where they are sampled, and only the region that is seen is blurred.
"""

import cv2
import numpy as np

from handroll.camera import HAMER_CROP_PX

HEIGHT_PX = int(HAMER_CROP_PX)
WIDTH_PX = 192
"""Columns that the network sees; 32 on each side of the square are left out."""

ASPECT = WIDTH_PX / HEIGHT_PX

BLUR_ABOVE = 1.1
"""Squares larger than 512 px times this are blurred before they are sampled, by sigma = (size / 512 - 1) / 2 pixels."""

_BLUR_SIDE_PX = 2.0 * HAMER_CROP_PX
_TRUNCATE = 4.0  # sigmas after which the blur's kernel ends
_PART_BITS, _FINEST_BITS = 5, 10  # OpenCV samples at 1/32 px, and sums coordinates in 1/1024 px
_FARTHEST = (1 << 24) - 1  # of half a coordinate, 1/1024 px: pixels have 16 bits, and no frame is 16384 px wide


def square_of_box(boxes_px, rescale=2.0):
    """Squares that HaMeR cuts out for hands' boxes.

    Parameters
    ----------
    boxes_px : array (..., 4)
        Left, top, right, bottom in pixels of the frame.
    rescale : float
        How much larger than the box the square is at least; HaMeR's demo and evaluation use 2.

    Returns
    -------
    centre_px : array (..., xy 2)
        Of the box.
    size_px : array (...)
        Side of the square: the taller of the rescaled box's height and what its width needs at 192 : 256. NaN where the box is.
    """
    boxes = np.asarray(boxes_px, dtype=np.float64)
    low, high = boxes[..., :2], boxes[..., 2:]
    extent = rescale * (high - low)
    return (low + high) / 2.0, np.maximum(extent[..., 1], extent[..., 0] / ASPECT)


def crop(frame_rgb, centre_px, size_px, left):
    """The network's view of one hand.

    Parameters
    ----------
    frame_rgb : array (row, column, 3), uint8
        The channels may stand in any order; the crop has the same.
    centre_px : array (xy 2)
    size_px : float
        As `square_of_box` gives.
    left : bool
        Mirror it, so that a left hand looks like a right one. It is mirrored about u = 128, not about the crop's middle.

    Returns
    -------
    array (row 256, column 192, 3)
        uint8; float32, still 0..255, where it is blurred.

    Raises
    ------
    ValueError
        The centre or the size is not finite, or the size is not above 0.
    """
    x, y = (float(np.float32(c)) for c in centre_px)
    if not np.isfinite([x, y, size_px]).all() or size_px <= 0.0:
        raise ValueError(f"expected the centre and the size above 0 of a hand's square, found ({x}, {y}) and {size_px}")
    width = frame_rgb.shape[1]
    columns, rows = _samples(width - x - 1.0 if left else x, y, size_px)
    if left:
        columns = ((width - 1) << _PART_BITS) - columns
    shrink = size_px / _BLUR_SIDE_PX
    if shrink > BLUR_ABOVE:
        frame_rgb, first_column, first_row = _blurred_region(frame_rgb, columns, rows, (shrink - 1.0) / 2.0)
        columns, rows = columns - (first_column << _PART_BITS), rows - (first_row << _PART_BITS)
    pixels = np.empty((HEIGHT_PX, WIDTH_PX, 2), dtype=np.int16)
    pixels[..., 0], pixels[..., 1] = columns >> _PART_BITS, rows >> _PART_BITS
    part = (1 << _PART_BITS) - 1
    parts = ((rows & part) << _PART_BITS).astype(np.uint16) | (columns & part).astype(np.uint16)
    return cv2.remap(frame_rgb, pixels, parts, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


def normalise(crops, mean, std):
    """Crops as the network takes them: (value - 255 mean) / (255 std), in float32.

    Parameters
    ----------
    crops : array (crop, row 256, column 192, channel 3)
        0..255, RGB.
    mean, std : sequence of 3 floats
        Of the channels, as shares of 255; HaMeR's are (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225).

    Returns
    -------
    array (crop, channel 3, row 256, column 192), float32
    """
    offset, scale = ((255.0 * np.asarray(values, dtype=np.float64)).astype(np.float32) for values in (mean, std))
    return np.ascontiguousarray(np.moveaxis((np.asarray(crops, dtype=np.float32) - offset) / scale, -1, 1))


def _samples(x, y, size_px):
    """Where the crop's pixels lie in the frame, in whole 1/32 px: columns (256, 192) and rows (256, 1), int32.

    HaMeR leaves the sampling to OpenCV's `warpAffine`, on a matrix from three points that are rounded to float32. This repeats both
    step by step, since the rounded points put many samples exactly between two 1/32 px, where the last bit of a float64 decides:
    shorter ways to the matrix, and cut or mirrored frames, move some columns of every second crop by 1/32 px.
    """
    half, side = size_px / 2.0, float(HEIGHT_PX)
    points = np.array([(x, y), (x, y + half), (x + half, y)]).astype(np.float32)
    targets = np.array([(side / 2, side / 2), (side / 2, side), (side, side / 2)], dtype=np.float32)
    (a, b, shift_x), (c, d, shift_y) = cv2.getAffineTransform(points, targets)
    scale = 1.0 / (a * d - b * c)
    a, b, c, d = d * scale, b * -scale, c * -scale, a * scale
    shift_x, shift_y = -a * shift_x - b * shift_y, -c * shift_x - d * shift_y

    u, v = np.arange(WIDTH_PX) + (HEIGHT_PX - WIDTH_PX) // 2, np.arange(HEIGHT_PX)[:, None]
    # b and c are 0 but for the last bits of the solution; c u rounds to 0.
    finest = (np.rint((part * (1 << _FINEST_BITS)).clip(-_FARTHEST, _FARTHEST)) for part in (a * u, b * v + shift_x, d * v + shift_y))
    from_u, from_v, rows = (part.astype(np.int32) for part in finest)
    bits = _FINEST_BITS - _PART_BITS
    half_part = 1 << (bits - 1)
    return from_u + (from_v + half_part) >> bits, rows + half_part >> bits


def _blurred_region(frame, columns, rows, sigma_px):
    """What samples (1/32 px) need of the frame, blurred, float32 (row, column, 3), and its first column and row in the frame.

    The frame's own borders are replicated; towards the rest of the frame the region is wider than what is seen by the kernel's radius,
    so that what is replicated there is not seen.
    """
    radius = int(_TRUNCATE * sigma_px + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_px) ** 2)
    spans = []
    for samples, length in ((rows, frame.shape[0]), (columns, frame.shape[1])):
        first, last = (int(samples.min()) >> _PART_BITS) - radius, (int(samples.max()) >> _PART_BITS) + 1 + radius
        # At least one pixel, if only to be told that the square lies beside it.
        first = min(max(first, 0), length - 1)
        spans.append(slice(first, min(max(last + 1, first + 1), length)))
    kernel /= kernel.sum()
    region = cv2.sepFilter2D(frame[tuple(spans)], cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    return region, spans[1].start, spans[0].start
