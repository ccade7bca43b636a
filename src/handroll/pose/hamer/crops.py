"""Crop hands from a frame as HaMeR does: a square around the hand's box, blurred before strong reduction, mirrored for left hands.

The square is sampled to 256 x 256 pixels. The network uses the middle 192 columns, and only these are computed. Pixel (u, v) of the
square is sampled in the frame at centre + (u - 128, v - 128) size / 256, where integers are centres of pixels. Pixels outside the frame are
black. Crops without blur equal HaMeR's bit by bit; blurred crops are equal up to float32 rounding. HaMeR copies, mirrors and blurs whole
frames. Here, left hands are mirrored by the choice of the sampled positions, and only the sampled region is blurred.
"""

import cv2
import numpy as np

from handroll.camera import HAMER_CROP_PX

HEIGHT_PX = int(HAMER_CROP_PX)
"""Number of rows of a crop, and side of the sampled square (px)."""

WIDTH_PX = 192
"""Number of columns of a crop, which the network uses. 32 columns on each side of the square are left out."""

ASPECT = WIDTH_PX / HEIGHT_PX
"""Ratio of a crop's width to its height."""

BLUR_ABOVE = 1.1
"""A square is blurred before it is sampled if its side is longer than this multiple of 512 px. The blur is a Gaussian with
sigma = (side / 512 - 1) / 2 pixels."""

# Side (px) of a square that shrinks by a factor of 2 when it is sampled.
_BLUR_SIDE_PX = 2.0 * HAMER_CROP_PX

# Radius of the kernel of the blur, as a multiple of its sigma.
_TRUNCATE = 4.0

# Number of fraction bits of a position at which OpenCV samples: steps of 1/32 px.
_FRACTION_BITS = 5

# Number of fraction bits of the terms whose sum is a position in OpenCV: steps of 1/1024 px.
_FINE_BITS = 10

# Maximum of each of the two terms whose sum is a position: 16384 px, in 1/1024 px. OpenCV stores whole pixels in 16 bits, and frames are
# less than 16384 px wide.
_MAX_COORDINATE = (1 << 24) - 1


def square_of_box(boxes_px, rescale=2.0):
    """Return the squares that HaMeR crops for boxes of hands.

    Parameters
    ----------
    boxes_px : array (..., 4)
        Left, top, right, bottom in pixels of the frame.
    rescale : float
        Minimum ratio of the square's side to the box's sides. HaMeR's demo and evaluation use 2.

    Returns
    -------
    centre_px : array (..., xy 2)
        Centre of the box and of the square.
    size_px : array (...)
        Side of the square: the height of the rescaled box, or its width times 256 / 192 if that is larger. NaN where the box is NaN.
    """
    boxes = np.asarray(boxes_px, dtype=np.float64)
    low, high = boxes[..., :2], boxes[..., 2:]
    extent = rescale * (high - low)
    return (low + high) / 2.0, np.maximum(extent[..., 1], extent[..., 0] / ASPECT)


def crop(frame_rgb, centre_px, size_px, left):
    """Crop one hand for the network.

    Parameters
    ----------
    frame_rgb : array (row, column, 3), uint8
        The channels may have any order; the crop has the same order.
    centre_px : array (xy 2)
        Centre of the square, from `square_of_box`.
    size_px : float
        Side of the square, from `square_of_box`.
    left : bool
        Whether to mirror the crop, so that a left hand looks like a right one. The mirror axis is the column u = 128 of the square.

    Returns
    -------
    array (row 256, column 192, 3)
        uint8, or float32 0..255 for a blurred crop.

    Raises
    ------
    ValueError
        The centre or the size is not finite, or the size is not above 0.
    """
    x, y = (float(np.float32(c)) for c in centre_px)
    if not np.isfinite([x, y, size_px]).all() or size_px <= 0.0:
        raise ValueError(
            f"square of a hand: expected the centre and the size to be finite and the size above 0 px, found ({x}, {y}) and {size_px}"
        )
    width = frame_rgb.shape[1]
    columns, rows = _sample_positions(width - x - 1.0 if left else x, y, size_px)
    if left:
        columns = ((width - 1) << _FRACTION_BITS) - columns
    shrink = size_px / _BLUR_SIDE_PX
    if shrink > BLUR_ABOVE:
        frame_rgb, first_column, first_row = _blurred_region(frame_rgb, columns, rows, (shrink - 1.0) / 2.0)
        columns, rows = columns - (first_column << _FRACTION_BITS), rows - (first_row << _FRACTION_BITS)
    pixels = np.empty((HEIGHT_PX, WIDTH_PX, 2), dtype=np.int16)
    pixels[..., 0], pixels[..., 1] = columns >> _FRACTION_BITS, rows >> _FRACTION_BITS
    mask = (1 << _FRACTION_BITS) - 1
    fractions = ((rows & mask) << _FRACTION_BITS).astype(np.uint16) | (columns & mask).astype(np.uint16)
    return cv2.remap(frame_rgb, pixels, fractions, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


def _sample_positions(x, y, size_px):
    """Return the positions of the crop's pixels in the frame, in 1/32 px: columns (256, 192) and rows (256, 1), int32.

    `x` and `y` are the centre of the square. HaMeR samples with OpenCV's `warpAffine` and computes its matrix from three points that are
    rounded to float32. This function repeats these computations step by step.

    With the rounded points, many samples are exactly between two steps of 1/32 px. There the last bit of a float64 determines the rounding.
    Simpler formulas for the matrix, and cropped or mirrored frames, move some columns of every second crop by 1/32 px.
    """
    half, side = size_px / 2.0, float(HEIGHT_PX)
    points = np.array([(x, y), (x, y + half), (x + half, y)]).astype(np.float32)
    targets = np.array([(side / 2, side / 2), (side / 2, side), (side, side / 2)], dtype=np.float32)
    (a, b, shift_x), (c, d, shift_y) = cv2.getAffineTransform(points, targets)
    scale = 1.0 / (a * d - b * c)
    a, b, c, d = d * scale, b * -scale, c * -scale, a * scale
    shift_x, shift_y = -a * shift_x - b * shift_y, -c * shift_x - d * shift_y

    u, v = np.arange(WIDTH_PX) + (HEIGHT_PX - WIDTH_PX) // 2, np.arange(HEIGHT_PX)[:, None]
    # b and c are 0 except for rounding errors, so the term c * u is 0 and left out.
    terms = (a * u, b * v + shift_x, d * v + shift_y)
    fine = (np.rint((term * (1 << _FINE_BITS)).clip(-_MAX_COORDINATE, _MAX_COORDINATE)) for term in terms)
    from_u, from_v, rows = (term.astype(np.int32) for term in fine)
    bits = _FINE_BITS - _FRACTION_BITS
    rounding = 1 << (bits - 1)
    return from_u + (from_v + rounding) >> bits, rows + rounding >> bits


def _blurred_region(frame, columns, rows, sigma_px):
    """Blur the region of the frame that contains the sampled positions (in 1/32 px).

    Returns
    -------
    region : float32 array (row, column, 3)
        Pixels outside the frame replicate its border. Inside the frame, the region extends beyond the samples by the kernel's radius, so
        that replicated pixels do not affect the samples there.
    first_column, first_row : int
        Indices of the frame's column and row at which the region begins.
    """
    radius = int(_TRUNCATE * sigma_px + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_px) ** 2)
    spans = []
    for samples, length in ((rows, frame.shape[0]), (columns, frame.shape[1])):
        first, last = (int(samples.min()) >> _FRACTION_BITS) - radius, (int(samples.max()) >> _FRACTION_BITS) + 1 + radius
        # The region has at least one pixel, even if the square is outside the frame.
        first = min(max(first, 0), length - 1)
        spans.append(slice(first, min(max(last + 1, first + 1), length)))
    kernel /= kernel.sum()
    region = cv2.sepFilter2D(frame[tuple(spans)], cv2.CV_32F, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    return region, spans[1].start, spans[0].start
