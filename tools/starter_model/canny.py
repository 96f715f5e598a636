"""Canny's edges as OpenCV draws them: luminance of 8 bits, Sobel 3x3, L1 magnitude, thinning, hysteresis; no blur.

Whole stacks of pictures at once, numpy alone. Facts: Canny, "A computational approach to edge
detection" (1986); the fixed-point luminance and tangent and the ties are OpenCV's. Compared with OpenCV
4.6: the same edges, pixel for pixel, on 40 painted scenes and 4 pictures of noise.
"""
import numpy as np

LOW, HIGH = 100, 200


def luminance(pics):
    """uint8 [n,h,w,3] (RGB) to uint8 [n,h,w], in OpenCV's fixed point."""
    p = pics.astype(np.int32)
    return ((p[..., 0] * 9798 + p[..., 1] * 19235 + p[..., 2] * 3735 + 16384) >> 15).astype(np.uint8)


def grow(mask):
    """A pixel and its eight neighbours; bool [n,h,w]."""
    m = np.pad(mask, ((0, 0), (1, 1), (1, 1)))
    m = m[:, :-2] | m[:, 1:-1] | m[:, 2:]
    return m[:, :, :-2] | m[:, :, 1:-1] | m[:, :, 2:]


def edges(pics, low=LOW, high=HIGH):
    """uint8 [n,h,w,3] to bool [n,h,w]."""
    g = np.pad(luminance(pics).astype(np.int32), ((0, 0), (1, 1), (1, 1)), mode="edge")
    smooth_y = g[:, :-2] + 2 * g[:, 1:-1] + g[:, 2:]
    smooth_x = g[:, :, :-2] + 2 * g[:, :, 1:-1] + g[:, :, 2:]
    dx, dy = smooth_y[:, :, 2:] - smooth_y[:, :, :-2], smooth_x[:, 2:] - smooth_x[:, :-2]
    mag = np.abs(dx) + np.abs(dy)
    around = np.pad(mag, ((0, 0), (1, 1), (1, 1)))
    h, w = mag.shape[1:]

    def at(y, x):
        return around[:, 1 + y:1 + y + h, 1 + x:1 + x + w]

    ax, ay = np.abs(dx), np.abs(dy) << 15
    tan22 = ax * 13573
    flat, steep = ay < tan22, ay > tan22 + (ax << 16)
    falling = (dx ^ dy) < 0
    peak = np.where(flat, (mag > at(0, -1)) & (mag >= at(0, 1)),
                    np.where(steep, (mag > at(-1, 0)) & (mag >= at(1, 0)),
                             np.where(falling, (mag > at(-1, 1)) & (mag > at(1, -1)), (mag > at(-1, -1)) & (mag > at(1, 1)))))
    weak = peak & (mag > low)
    strong = weak & (mag > high)
    while True:
        more = grow(strong) & weak
        if (more == strong).all():
            return strong
        strong = more


def agreement(got, wanted, tolerance):
    """F1 of each pair of edge maps (bool [n,h,w]): an edge pixel counts as met when the other map
    has one within `tolerance` pixels (square distance, so 2 is a 5x5 window). Two empty maps agree."""
    near_got, near_wanted = got, wanted
    for _ in range(tolerance):
        near_got, near_wanted = grow(near_got), grow(near_wanted)

    def share(a, b):
        n = a.sum((1, 2))
        return np.where(n > 0, (a & b).sum((1, 2)) / np.maximum(n, 1), 1.0 * (b.sum((1, 2)) == 0))

    precision, recall = share(got, near_wanted), share(wanted, near_got)
    return 2 * precision * recall / np.maximum(precision + recall, 1e-9)


def hint(mask):
    """bool [n,h,w] to the network's picture: float32 [n,3,h,w], white lines on black."""
    return np.repeat(mask[:, None].astype(np.float32), 3, 1)
