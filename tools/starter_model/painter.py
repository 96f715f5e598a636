#!/usr/bin/env python3
"""Painter of captioned flat-style scenes, the only training data of Pumice's starter model.

A scene is a sky (time of day or weather), a ground, up to two objects with a colour, a side
and a size, and perhaps a sun or a moon. `paint(scene)` draws it at 128x128 with signed
distances (antialiased, no image library), `caption(scene)` words it in one of many ways.

Held-out rule: a single object's combination (sky, ground, object, colour, side) belongs to
the judge when crc32("sky|ground|object|colour|side") % 10 == 0. `sample_scene` never
returns a scene that holds such a combination; `heldout_scenes` returns only those.

    python3 painter.py sheet.png            # a contact sheet
    python3 painter.py --speed              # pictures a second
"""
import sys
import zlib

import numpy as np

SIZE = 128
SKIES = ["day", "dawn", "sunset", "night", "cloudy", "rain", "snowfall"]
GROUNDS = ["mountains", "hills", "desert", "sea", "lake", "city", "forest", "snow"]
OBJECTS = ["lighthouse", "house", "boat", "tree", "windmill", "balloon", "cactus", "castle", "tent"]
COLOURS = ["red", "orange", "yellow", "green", "blue", "purple", "pink", "white"]
SIDES = ["left", "centre", "right"]
SIZES = ["small", "medium", "large"]

RGB = {
    "red": (0.86, 0.13, 0.13), "orange": (0.96, 0.53, 0.08), "yellow": (0.98, 0.87, 0.16),
    "green": (0.16, 0.66, 0.24), "blue": (0.13, 0.36, 0.88), "purple": (0.53, 0.20, 0.72),
    "pink": (0.98, 0.52, 0.74), "white": (0.96, 0.96, 0.96),
}
# Colours used when the caption names none.
NATURAL = {"tree": ["green"], "cactus": ["green"], "lighthouse": ["red", "white"],
           "boat": ["white", "red"], "windmill": ["white"], "castle": ["white", "purple"],
           "house": ["white", "yellow", "red"], "balloon": ["red", "orange"], "tent": ["orange", "green"]}
SIDE_X = {"left": (24, 34), "centre": (59, 69), "right": (94, 104)}
SCALE = {"small": (0.62, 0.72), "medium": (0.88, 1.02), "large": (1.2, 1.35)}


def is_heldout(sky, ground, obj, colour, side):
    """True when this combination is reserved for the judge."""
    return zlib.crc32(f"{sky}|{ground}|{obj}|{colour}|{side}".encode()) % 10 == 0


def possible(ground, obj):
    """Boats need water; everything else may stand (or float) anywhere."""
    return obj != "boat" or ground in ("sea", "lake")


# ------------------------------------------------------------------ drawing

_Y, _X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) + 0.5
_ROW = np.arange(SIZE, dtype=np.float32) + 0.5


class Canvas:
    def __init__(self):
        self.a = np.empty((SIZE, SIZE, 3), np.float32)

    def _box(self, x0, y0, x1, y1):
        x0, y0 = max(0, int(x0) - 3), max(0, int(y0) - 3)
        x1, y1 = min(SIZE, int(x1) + 4), min(SIZE, int(y1) + 4)
        if x0 >= x1 or y0 >= y1:
            return None
        s = (slice(y0, y1), slice(x0, x1))
        return s, _X[s], _Y[s]

    def _put(self, s, d, colour, edge=None, width=1.3, shade=None, x=None):
        """Blends colour where the distance d is negative; edge is an outline's colour."""
        t = self.a[s]
        if edge is not None:
            m = np.clip(0.5 + width - d, 0, 1)[..., None]
            t += m * (np.asarray(edge, np.float32) - t)
        m = np.clip(0.5 - d, 0, 1)[..., None]
        c = np.asarray(colour, np.float32)
        if shade is not None:
            cx, k = shade
            c = c * (1 - k * np.clip(x - cx + 0.5, 0, 1))[..., None]
        t += m * (c - t)

    def ellipse(self, cx, cy, rx, ry, colour, edge=None, shade=None, cut=None):
        b = self._box(cx - rx, cy - ry, cx + rx, cy + ry)
        if b:
            s, x, y = b
            d = (np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2) - 1) * min(rx, ry)
            if cut is not None:  # (x, y, r): a disc taken away
                d = np.maximum(d, cut[2] - np.hypot(x - cut[0], y - cut[1]))
            self._put(s, d, colour, edge, shade=shade, x=x)

    def poly(self, pts, colour, edge=None, shade=None, width=1.3):
        """A convex polygon, corners in either order."""
        p = np.asarray(pts, np.float32)
        b = self._box(p[:, 0].min(), p[:, 1].min(), p[:, 0].max(), p[:, 1].max())
        if not b:
            return
        s, x, y = b
        q = np.roll(p, -1, 0)
        area = float((p[:, 0] * q[:, 1] - q[:, 0] * p[:, 1]).sum())
        sign = 1.0 if area > 0 else -1.0
        d = None
        for (ax, ay), (bx, by) in zip(p.tolist(), q.tolist()):
            ex, ey = bx - ax, by - ay
            n = sign / max((ex * ex + ey * ey) ** 0.5, 1e-6)
            e = (x - ax) * (ey * n) - (y - ay) * (ex * n)
            d = e if d is None else np.maximum(d, e)
        self._put(s, d, colour, edge, width, shade, x)

    def rect(self, x0, y0, x1, y1, colour, edge=None, shade=None):
        self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour, edge, shade)

    def line(self, x0, y0, x1, y1, r, colour, edge=None):
        b = self._box(min(x0, x1) - r, min(y0, y1) - r, max(x0, x1) + r, max(y0, y1) + r)
        if b:
            s, x, y = b
            ex, ey = x1 - x0, y1 - y0
            t = np.clip(((x - x0) * ex + (y - y0) * ey) / max(ex * ex + ey * ey, 1e-6), 0, 1)
            self._put(s, np.hypot(x - x0 - t * ex, y - y0 - t * ey) - r, colour, edge)

    def below(self, height, colour, colour2=None):
        """Fills under the curve height[x] (y downwards), fading to colour2 at the bottom."""
        top = max(0, int(height.min()) - 1)
        t = self.a[top:]
        m = np.clip(_ROW[top:, None] - height[None] + 0.5, 0, 1)[..., None]
        c = np.asarray(colour, np.float32)
        if colour2 is not None:
            k = np.clip((_ROW[top:] - top) / (SIZE - top), 0, 1)[:, None, None]
            c = c + k * (np.asarray(colour2, np.float32) - c)
        t += m * (c - t)


def _mix(a, b, k):
    return tuple(x + (y - x) * k for x, y in zip(a, b))


def _jit(rng, c, k=0.03):
    return np.clip(np.asarray(c, np.float32) + rng.uniform(-k, k, 3).astype(np.float32), 0, 1)


# Gradients from the top of the picture to the horizon.
SKY_RGB = {
    "day": [(0.20, 0.52, 0.93), (0.66, 0.86, 0.99)],
    "dawn": [(0.62, 0.62, 0.92), (0.99, 0.72, 0.80), (1.00, 0.93, 0.72)],
    "sunset": [(0.36, 0.16, 0.45), (0.88, 0.30, 0.25), (1.00, 0.66, 0.20)],
    "night": [(0.02, 0.03, 0.13), (0.08, 0.12, 0.32)],
    "cloudy": [(0.62, 0.65, 0.69), (0.80, 0.82, 0.84)],
    "rain": [(0.27, 0.31, 0.38), (0.46, 0.50, 0.56)],
    "snowfall": [(0.68, 0.73, 0.84), (0.86, 0.88, 0.94)],
}
TINT = {"day": (1, 1, 1), "dawn": (1.0, 0.90, 0.92), "sunset": (0.95, 0.72, 0.62), "night": (0.34, 0.40, 0.62),
        "cloudy": (0.86, 0.88, 0.90), "rain": (0.62, 0.67, 0.74), "snowfall": (0.93, 0.95, 1.0)}


def _cloud(c, rng, x, y, s, colour):
    n = int(rng.integers(3, 5))
    for i in range(n):
        u = (i - (n - 1) / 2) / n
        c.ellipse(x + u * 2.4 * s, y - rng.uniform(0, 0.25) * s * (1 - abs(u)), s * (0.75 - 0.5 * abs(u)),
                  s * (0.52 - 0.3 * abs(u)), colour)
    c.rect(x - 1.05 * s, y + 0.02 * s, x + 1.05 * s, y + 0.33 * s, colour)


def _sky(c, rng, sc, horizon):
    stops = [_jit(rng, s, 0.025) for s in SKY_RGB[sc["sky"]]]
    t = np.clip(_ROW / horizon, 0, 1) * (len(stops) - 1)
    g = np.stack([np.interp(t, np.arange(len(stops)), [s[k] for s in stops]) for k in range(3)], 1)
    c.a[:] = g.astype(np.float32)[:, None, :]
    sky = sc["sky"]
    if sky == "night":
        for _ in range(int(rng.integers(12, 22))):
            c.ellipse(rng.uniform(2, 126), rng.uniform(2, horizon - 8), *([rng.uniform(1.0, 1.7)] * 2), (0.97, 0.96, 0.85))
    if sc.get("body"):
        kind, side = sc["body"]
        x, y, r = rng.uniform(*SIDE_X[side]), rng.uniform(16, 28), rng.uniform(8.5, 11.5)
        if kind == "sun":
            if sky == "sunset":
                y += rng.uniform(4, 22)
            col = {"sunset": (1.0, 0.42, 0.14), "dawn": (1.0, 0.80, 0.40)}.get(sky, (1.0, 0.88, 0.18))
            b = c._box(x - 24, y - 24, x + 24, y + 24)
            s, gx, gy = b
            glow = (np.clip(1 - np.hypot(gx - x, gy - y) / 24, 0, 1) ** 2 * 0.6)[..., None]
            c.a[s] += glow * (np.asarray(col, np.float32) - c.a[s])
            c.ellipse(x, y, r, r, col)
        elif kind == "moon":
            c.ellipse(x, y, r, r, (0.96, 0.95, 0.82))
            c.ellipse(x - 0.3 * r, y - 0.2 * r, 0.22 * r, 0.22 * r, (0.82, 0.81, 0.72))
            c.ellipse(x + 0.35 * r, y + 0.3 * r, 0.26 * r, 0.26 * r, (0.82, 0.81, 0.72))
        else:  # crescent
            c.ellipse(x, y, r, r, (0.97, 0.94, 0.72), cut=(x + 0.5 * r, y - 0.2 * r, 0.85 * r))
    if sky == "day":
        for _ in range(int(rng.integers(0, 3))):
            _cloud(c, rng, rng.uniform(8, 120), rng.uniform(14, 44), rng.uniform(8, 13), (1, 1, 1))
    elif sky == "dawn" or sky == "sunset":
        for _ in range(int(rng.integers(0, 3))):
            col = (1.0, 0.86, 0.86) if sky == "dawn" else (0.62, 0.22, 0.36)
            y, x, w = rng.uniform(10, horizon - 18), rng.uniform(0, 128), rng.uniform(14, 34)
            c.line(x - w, y, x + w, y, rng.uniform(1.6, 3), col)
    elif sky in ("cloudy", "rain"):
        col = (0.90, 0.91, 0.92) if sky == "cloudy" else (0.36, 0.39, 0.45)
        col2 = (0.52, 0.55, 0.59) if sky == "cloudy" else (0.20, 0.23, 0.29)
        for i in range(int(rng.integers(3, 6))):
            _cloud(c, rng, rng.uniform(0, 128), rng.uniform(6, 34), rng.uniform(13, 21), col if i % 2 else col2)


def _wave(rng, base, amp, lo=0.6, hi=1.8):
    x = np.arange(SIZE, dtype=np.float32) / SIZE * 2 * np.pi
    h = np.sin(x * rng.uniform(lo, hi) + rng.uniform(0, 6.28)) + 0.45 * np.sin(x * rng.uniform(2, 3.4) + rng.uniform(0, 6.28))
    return (base - amp * h / 1.45).astype(np.float32)


def _conifer(c, x, base, h, col, trunk, snow=None):
    c.rect(x - 0.07 * h, base - 0.2 * h, x + 0.07 * h, base, trunk)
    for k in range(2):
        y0 = base - 0.14 * h - k * 0.38 * h
        w = (0.34 - 0.09 * k) * h
        c.poly([(x - w, y0), (x + w, y0), (x, y0 - 0.56 * h)], col, shade=(x, 0.15))
    if snow is not None:
        y0 = base - 0.7 * h
        c.poly([(x - 0.14 * h, y0), (x + 0.14 * h, y0), (x, y0 - 0.4 * h)], snow)


def _ground(c, rng, sc, horizon):
    """Draws the ground and returns the y where objects stand."""
    g, sky = sc["ground"], sc["sky"]
    tint = np.asarray(TINT[sky], np.float32)

    def T(col, k=0.03):
        return _jit(rng, col, k) * tint

    stand = rng.uniform(102, 112)
    if g == "mountains":
        n = int(rng.integers(3, 5))
        xs = (np.arange(n) + 0.5) / n * 140 - 6 + rng.uniform(-8, 8, n)
        rock = T((0.45, 0.43, 0.52))
        for i in rng.permutation(n):
            x, h = xs[i], rng.uniform(34, 56)
            y0, w = horizon + 8, h * rng.uniform(0.62, 0.85)
            c.poly([(x - w, y0), (x + w, y0), (x, y0 - h)], rock, edge=rock * 0.75, shade=(x, 0.22), width=0.8)
            k = rng.uniform(0.26, 0.36)
            c.poly([(x - w * k, y0 - h * (1 - k)), (x + w * k, y0 - h * (1 - k)), (x, y0 - h)], T((0.97, 0.98, 1.0)), shade=(x, 0.12))
        col = T((0.42, 0.60, 0.30))
        c.below(_wave(rng, horizon + 8, 2.5), col, col * 0.75)
    elif g == "hills":
        for i in range(3):
            col = T(_mix((0.52, 0.78, 0.36), (0.26, 0.58, 0.22), i / 2))
            c.below(_wave(rng, horizon - 5 + i * 13, 7.5 - i), col, col * 0.88)
    elif g == "desert":
        for i in range(3):
            col = T(_mix((0.96, 0.82, 0.50), (0.88, 0.66, 0.34), i / 2))
            c.below(_wave(rng, horizon + i * 13, 5), col, col * 0.92)
    elif g == "sea":
        col = T((0.12, 0.45, 0.72))
        c.below(np.full(SIZE, horizon + 2, np.float32), col, col * 0.6)
        light = np.minimum(col * 1.5 + 0.08, 1)
        for _ in range(int(rng.integers(9, 15))):
            y = horizon + 8 + (SIZE - horizon - 8) * rng.uniform() ** 0.8
            x, w = rng.uniform(0, 128), 4 + 8 * (y - horizon) / 60
            c.line(x - w, y, x + w, y, 1.1, light)
    elif g == "lake":
        far = T((0.36, 0.62, 0.34))
        c.below(_wave(rng, horizon - 3, 5), far, far * 0.8)
        near = T((0.46, 0.70, 0.32))
        c.below(np.full(SIZE, horizon + 9, np.float32), near, near * 0.85)
        water = T((0.25, 0.60, 0.82))
        cx, cy = rng.uniform(52, 76), horizon + 21
        c.ellipse(cx, cy, rng.uniform(54, 66), 12, water, edge=T((0.80, 0.74, 0.52)))
        for _ in range(4):
            x, y = cx + rng.uniform(-36, 36), cy + rng.uniform(-6, 7)
            c.line(x - 6, y, x + 6, y, 1.0, np.minimum(water * 1.3 + 0.05, 1))
        stand = rng.uniform(113, 119)
    elif g == "city":
        x = -4.0
        lit = sky in ("night", "sunset", "rain")
        win = (1.0, 0.88, 0.40) if lit else tuple(np.asarray((0.75, 0.86, 0.95)) * tint)
        while x < SIZE:
            w, h = rng.uniform(15, 24), rng.uniform(22, 58)
            col = T([(0.50, 0.52, 0.60), (0.62, 0.56, 0.54), (0.42, 0.46, 0.56), (0.66, 0.64, 0.62)][int(rng.integers(4))])
            y1 = horizon + 12
            c.rect(x, y1 - h, x + w, y1, col, edge=col * 0.72)
            nx = 2 if w < 20 else 3
            pat = rng.uniform(size=(nx, 8)) < 0.7
            for i in range(nx):
                wx = x + w * (i + 0.5) / nx
                for j in range(int((h - 6) // 9)):
                    if pat[i, j]:
                        c.rect(wx - 1.7, y1 - h + 5 + j * 9, wx + 1.7, y1 - h + 10 + j * 9, win)
            x += w + rng.uniform(-1, 2)
        road = T((0.40, 0.41, 0.43))
        c.below(np.full(SIZE, horizon + 11, np.float32), T((0.66, 0.66, 0.64)))
        c.below(np.full(SIZE, 116, np.float32), road)
        for x in range(4, 132, 22):
            c.rect(x, 121, x + 11, 123.5, T((0.92, 0.92, 0.86), 0))
        stand = rng.uniform(106, 113)
    elif g == "forest":
        back = T((0.14, 0.38, 0.22))
        c.below(_wave(rng, horizon - 2, 3), back * 0.9)
        x = rng.uniform(-6, 2)
        while x < SIZE + 6:
            col = T(_mix((0.07, 0.34, 0.18), (0.14, 0.46, 0.22), rng.uniform()), 0.02)
            _conifer(c, x, horizon + 13 + rng.uniform(-3, 3), rng.uniform(34, 50), col, T((0.36, 0.24, 0.14)))
            x += rng.uniform(9, 14)
        col = T((0.30, 0.50, 0.22))
        c.below(_wave(rng, horizon + 12, 2), col, col * 0.8)
    else:  # snow
        for i in range(3):
            col = T(_mix((0.84, 0.89, 0.97), (0.97, 0.98, 1.0), i / 2), 0.015)
            c.below(_wave(rng, horizon - 2 + i * 13, 5), col, col * 0.94)
        for _ in range(int(rng.integers(1, 4))):
            _conifer(c, rng.uniform(4, 124), horizon + rng.uniform(3, 10), rng.uniform(16, 24), T((0.16, 0.40, 0.30)),
                     T((0.36, 0.24, 0.14)), T((0.97, 0.98, 1.0)))
    return stand


def _object(c, rng, o, sc, horizon, stand):
    kind, colour = o["object"], o["colour"]
    sky, g = sc["sky"], sc["ground"]
    dim = {"night": 0.80, "rain": 0.90, "sunset": 0.95}.get(sky, 1.0)
    col = _jit(rng, RGB[colour], 0.025) * dim
    edge = col * 0.38
    alt = (np.asarray((0.70, 0.72, 0.76)) if colour == "white" else np.asarray((0.97, 0.97, 0.95))) * dim
    dark = np.asarray((0.30, 0.20, 0.16), np.float32) * dim
    wood = np.asarray((0.48, 0.30, 0.16), np.float32) * dim
    lit = (1.0, 0.90, 0.45) if sky in ("night", "rain", "sunset") else tuple(np.asarray((0.60, 0.80, 0.95)) * dim)
    s = rng.uniform(*SCALE[o["size"]])
    x = rng.uniform(*SIDE_X[o["side"]])
    y = stand + (s - 1) * 8
    y = min(y, 122)

    def stand_on(w):
        """A rock or island when the ground is the sea."""
        if g == "sea":
            rock = np.asarray((0.55, 0.48, 0.40), np.float32) * np.asarray(TINT[sky], np.float32) ** 0.7
            c.ellipse(x, y + 1.5, w, 6.5 * s ** 0.5, rock, edge=rock * 0.6)
            c.ellipse(x, y - 0.5, w * 0.8, 4.0 * s ** 0.5, rock * 1.2)

    if kind == "lighthouse":
        stand_on(17 * s)
        h, w0, w1 = 52 * s, 8.5 * s, 5.2 * s
        ws = [w0 + (w1 - w0) * k / 5 for k in range(6)]
        c.poly([(x - w0, y), (x + w0, y), (x + w1, y - h), (x - w1, y - h)], col, edge=edge)
        for k in range(5):
            if k % 2 == 1:
                ya, yb = y - h * k / 5, y - h * (k + 1) / 5
                c.poly([(x - ws[k], ya), (x + ws[k], ya), (x + ws[k + 1], yb), (x - ws[k + 1], yb)], alt, shade=(x, 0.12))
        c.rect(x - 7 * s, y - h - 2 * s, x + 7 * s, y - h + 1 * s, dark)
        c.rect(x - 4 * s, y - h - 9 * s, x + 4 * s, y - h - 2 * s, (1.0, 0.92, 0.5), edge=dark)
        c.poly([(x - 6 * s, y - h - 9 * s), (x + 6 * s, y - h - 9 * s), (x, y - h - 15 * s)], col, edge=edge)
    elif kind == "house":
        stand_on(25 * s)
        w, h = 18 * s, 22 * s
        c.rect(x - w, y - h, x + w, y, col, edge=edge)
        c.rect(x + 0.45 * w, y - h - 14 * s, x + 0.70 * w, y - h - 2 * s, dark)
        c.poly([(x - w - 4 * s, y - h), (x + w + 4 * s, y - h), (x, y - h - 16 * s)], wood, edge=dark, shade=(x, 0.15))
        c.rect(x - 3.6 * s, y - 13 * s, x + 3.6 * s, y, dark)
        for k in (-1, 1):
            c.rect(x + k * 11 * s - 3.4 * s, y - 16 * s, x + k * 11 * s + 3.4 * s, y - 9 * s, lit, edge=dark)
    elif kind == "boat":
        if g == "sea":
            y = min(y, 116)
        else:
            y = horizon + 22 + rng.uniform(-2, 4)
        hull = wood
        c.line(x, y - 6 * s, x, y - 46 * s, 1.2 * max(s, 0.8), dark)
        c.poly([(x - 2 * s, y - 45 * s), (x - 2 * s, y - 10 * s), (x - 21 * s, y - 10 * s)], col, edge=edge)
        c.poly([(x + 2 * s, y - 39 * s), (x + 2 * s, y - 10 * s), (x + 15 * s, y - 10 * s)], col * 0.88, edge=edge)
        c.poly([(x - 23 * s, y - 7 * s), (x + 23 * s, y - 7 * s), (x + 15 * s, y + 4 * s), (x - 15 * s, y + 4 * s)], hull, edge=dark)
    elif kind == "tree":
        stand_on(16 * s)
        c.rect(x - 3.4 * s, y - 22 * s, x + 3.4 * s, y, wood, edge=dark)
        for dx, dy, r in ((-9, -30, 12), (9, -30, 12), (0, -41, 13.5)):
            c.ellipse(x + dx * s, y + dy * s, r * s, r * s, col * 0.86, edge=edge)
        for dx, dy, r in ((-9, -31, 11), (8, -31, 11), (0, -41, 12.5), (0, -30, 8)):
            c.ellipse(x + dx * s, y + dy * s, r * s, r * s, col)
    elif kind == "windmill":
        stand_on(18 * s)
        h = 38 * s
        c.poly([(x - 11 * s, y), (x + 11 * s, y), (x + 7 * s, y - h), (x - 7 * s, y - h)], col, edge=edge, shade=(x, 0.12))
        c.poly([(x - 8.5 * s, y - h), (x + 8.5 * s, y - h), (x, y - h - 9 * s)], dark)
        c.rect(x - 3 * s, y - 10 * s, x + 3 * s, y, dark)
        a0 = rng.uniform(0.35, 1.22)
        blade = np.asarray((0.99, 0.96, 0.86), np.float32) * dim
        hy = y - h + 1 * s
        for k in range(4):
            a = a0 + k * np.pi / 2
            c.line(x, hy, x + 25 * s * np.cos(a), hy + 25 * s * np.sin(a), 2.3 * s, blade, edge=dark)
        c.ellipse(x, hy, 3 * s, 3 * s, dark)
    elif kind == "balloon":
        y = rng.uniform(62, 80) + (s - 1) * 14
        cy = y - 32 * s
        r = 18 * s
        basket_y = y - 3 * s
        for k in (-1, 1):
            c.line(x + k * 9 * s, cy + 14 * s, x + k * 3.4 * s, basket_y - 5 * s, 0.9, dark)
        c.poly([(x - 14.5 * s, cy + 10 * s), (x + 14.5 * s, cy + 10 * s), (x + 5 * s, cy + 23 * s), (x - 5 * s, cy + 23 * s)], col, edge=edge)
        c.ellipse(x, cy, r, r, col, edge=edge)
        c.ellipse(x, cy, 6.5 * s, r - 0.5, alt)
        c.poly([(x - 5.2 * s, cy + 10 * s), (x + 5.2 * s, cy + 10 * s), (x + 2 * s, cy + 22.5 * s), (x - 2 * s, cy + 22.5 * s)], alt)
        c.rect(x - 4.4 * s, basket_y - 5 * s, x + 4.4 * s, basket_y + 2.5 * s, wood, edge=dark)
    elif kind == "cactus":
        stand_on(15 * s)
        r = 5.2 * s
        for k, (ya, yb) in ((-1, (-18, -33)), (1, (-14, -28))):
            c.line(x, y + ya * s, x + k * 13 * s, y + ya * s, 3.9 * s, col, edge=edge)
            c.line(x + k * 13 * s, y + ya * s, x + k * 13 * s, y + yb * s, 3.9 * s, col, edge=edge)
        c.line(x, y - 2 * s, x, y - 45 * s, r, col, edge=edge)
        for k, (ya, yb) in ((-1, (-18, -33)), (1, (-14, -28))):
            c.line(x, y + ya * s, x + k * 12 * s, y + ya * s, 3.5 * s, col)
        c.line(x + 1.2 * s, y - 4 * s, x + 1.2 * s, y - 44 * s, 1.1 * s, col * 0.72)
    elif kind == "castle":
        stand_on(26 * s)
        w, h = 18 * s, 24 * s
        c.rect(x - w, y - h, x + w, y, col, edge=edge)
        for k in range(4):
            bx = x - 12 * s + k * 8 * s
            c.rect(bx - 2.4 * s, y - h - 5 * s, bx + 2.4 * s, y - h + 1, col, edge=edge)
        for k in (-1, 1):
            tx = x + k * 18 * s
            c.rect(tx - 6.5 * s, y - 36 * s, tx + 6.5 * s, y, col * 0.93, edge=edge)
            c.poly([(tx - 8.5 * s, y - 36 * s), (tx + 8.5 * s, y - 36 * s), (tx, y - 51 * s)], dark * 1.25, edge=dark)
            c.rect(tx - 1.9 * s, y - 28 * s, tx + 1.9 * s, y - 21 * s, lit, edge=dark)
        c.rect(x - 4.6 * s, y - 10 * s, x + 4.6 * s, y, dark)
        c.ellipse(x, y - 10 * s, 4.6 * s, 4.6 * s, dark)
    elif kind == "tent":
        stand_on(24 * s)
        h = 32 * s
        c.poly([(x - 24 * s, y), (x + 24 * s, y), (x, y - h)], col, edge=edge, shade=(x, 0.2))
        c.poly([(x - 7.5 * s, y), (x + 7.5 * s, y), (x, y - h * 0.72)], dark)
        c.line(x, y - h, x, y - h - 6 * s, 1.0, dark)


def paint(scene):
    """Returns the picture, uint8 [128,128,3]."""
    rng = np.random.default_rng(scene["seed"])
    c = Canvas()
    horizon = rng.uniform(70, 80)
    _sky(c, rng, scene, horizon)
    stand = _ground(c, rng, scene, horizon)
    for o in scene["objects"]:
        _object(c, rng, o, scene, horizon, stand)
    if scene["sky"] == "rain":
        slant = rng.uniform(3, 6)
        for _ in range(int(rng.integers(20, 28))):
            x, y = rng.uniform(0, 132), rng.uniform(0, 120)
            c.line(x, y, x - slant, y + 11, 0.75, (0.74, 0.80, 0.88))
    elif scene["sky"] == "snowfall":
        for _ in range(int(rng.integers(24, 34))):
            r = rng.uniform(1.5, 2.3)
            c.ellipse(rng.uniform(0, 128), rng.uniform(0, 126), r, r, (1, 1, 1), edge=(0.80, 0.84, 0.93))
    return (np.clip(c.a, 0, 1) * 255 + 0.5).astype(np.uint8)


# ------------------------------------------------------------------ scenes

def _pick(rng, seq):
    return seq[int(rng.integers(len(seq)))]


def _make_object(rng, ground, side=None):
    o = _pick(rng, OBJECTS)
    while not possible(ground, o):
        o = _pick(rng, OBJECTS)
    named = rng.uniform() < 0.87
    return {"object": o, "colour": _pick(rng, COLOURS) if named else _pick(rng, NATURAL[o]), "colour_named": bool(named),
            "side": side or _pick(rng, SIDES), "side_named": bool(rng.uniform() < 0.8),
            "size": _pick(rng, ["small", "medium", "medium", "large"]), "size_named": bool(rng.uniform() < 0.7)}


def _body(rng, sky):
    if rng.uniform() < 0.45:
        if sky in ("day", "dawn", "sunset"):
            return ("sun", _pick(rng, SIDES))
        if sky == "night":
            return (_pick(rng, ["moon", "moon", "crescent"]), _pick(rng, SIDES))
    return None


def holds_heldout(sc):
    return any(is_heldout(sc["sky"], sc["ground"], o["object"], o["colour"], o["side"]) for o in sc["objects"])


def sample_scene(rng, objects=None):
    """A random training scene; `objects` fixes their number (0, 1 or 2)."""
    while True:
        sky, ground = _pick(rng, SKIES), _pick(rng, GROUNDS)
        u = rng.uniform()
        n = objects if objects is not None else (0 if u < 0.05 else 1 if u < 0.78 else 2)
        sc = {"sky": sky, "ground": ground, "seed": int(rng.integers(1 << 62)), "objects": [], "body": _body(rng, sky),
              "sky_named": bool(rng.uniform() < 0.92), "ground_named": bool(rng.uniform() < 0.92), "twins": False}
        if n == 1:
            sc["objects"] = [_make_object(rng, ground)]
        elif n == 2:
            a, b = _make_object(rng, ground, "left"), _make_object(rng, ground, "right")
            a["size"] = b["size"] = _pick(rng, ["small", "medium"])
            if rng.uniform() < 0.4:
                b = dict(a, side="right")
                sc["twins"] = True
            sc["objects"] = [a, b]
        if not holds_heldout(sc):
            return sc


def heldout_scenes(n, seed=2024):
    """The judge's scenes: one object, everything but the size named, held-out combinations only."""
    rng = np.random.default_rng(seed)
    combos = [(s, g, o, c, d) for s in SKIES for g in GROUNDS for o in OBJECTS for c in COLOURS for d in SIDES
              if possible(g, o) and is_heldout(s, g, o, c, d)]
    out = []
    for i in rng.permutation(len(combos))[:n]:
        s, g, o, c, d = combos[i]
        out.append({"sky": s, "ground": g, "seed": int(rng.integers(1 << 62)), "body": None, "sky_named": True,
                    "ground_named": True, "twins": False,
                    "objects": [{"object": o, "colour": c, "colour_named": True, "side": d, "side_named": True,
                                 "size": "medium", "size_named": False}]})
    return out


# ------------------------------------------------------------------ words

SKY_WORDS = {
    "day": ["on a clear day", "on a sunny day", "under a blue sky", "at noon", "in daylight", "under a clear blue sky", "during the day"],
    "dawn": ["at dawn", "at sunrise", "in the early morning", "under a pink morning sky", "at daybreak"],
    "sunset": ["at sunset", "at dusk", "in the evening", "under a red evening sky", "at sundown"],
    "night": ["at night", "under the stars", "under a starry sky", "by night", "on a starry night", "at midnight"],
    "cloudy": ["on a cloudy day", "under grey clouds", "under an overcast sky", "in cloudy weather", "under a cloudy sky"],
    "rain": ["in the rain", "on a rainy day", "in stormy weather", "during a storm", "in heavy rain"],
    "snowfall": ["in falling snow", "while it is snowing", "during snowfall", "in a snowfall", "with snow falling"],
}
SKY_KEYS = {"day": ["sunny day", "blue sky", "clear day"], "dawn": ["dawn", "sunrise", "early morning"],
            "sunset": ["sunset", "dusk", "evening"], "night": ["night", "starry night", "stars"],
            "cloudy": ["cloudy", "grey clouds", "overcast"], "rain": ["rain", "storm", "rainy"],
            "snowfall": ["snowfall", "falling snow", "snowing"]}
GROUND_WORDS = {
    "mountains": ["in the mountains", "in front of mountains", "before high mountains", "below snowy peaks", "near the mountains"],
    "hills": ["on green hills", "in the hills", "on rolling hills", "on a grassy hill", "in a green meadow"],
    "desert": ["in the desert", "among sand dunes", "in a sandy desert", "on the sand"],
    "sea": ["by the sea", "on the sea", "in the ocean", "on a calm sea", "at sea"],
    "lake": ["by a lake", "at the lake", "on a lake", "at a quiet lake", "near a lake"],
    "city": ["in the city", "in front of a city", "before a city skyline", "in a big city", "in town"],
    "forest": ["in the forest", "at the edge of a forest", "in the woods", "in front of a forest"],
    "snow": ["in the snow", "on a snowy field", "in a winter landscape", "on a snowy plain", "on snow-covered ground"],
}
GROUND_KEYS = {"mountains": ["mountains", "peaks"], "hills": ["hills", "green hills", "meadow"], "desert": ["desert", "sand dunes"],
               "sea": ["sea", "ocean"], "lake": ["lake"], "city": ["city", "skyline"], "forest": ["forest", "woods"],
               "snow": ["snowy field", "winter landscape"]}
OBJECT_WORDS = {"lighthouse": ["lighthouse"], "house": ["house", "house", "cottage", "hut"],
                "boat": ["boat", "sailing boat", "sailboat", "sailing ship"], "tree": ["tree"], "windmill": ["windmill", "windmill", "mill"],
                "balloon": ["hot air balloon", "balloon", "hot-air balloon"], "cactus": ["cactus"], "castle": ["castle", "castle", "fortress"],
                "tent": ["tent"]}
PLURAL = {"lighthouse": "lighthouses", "house": "houses", "cottage": "cottages", "hut": "huts", "boat": "boats",
          "sailing boat": "sailing boats", "sailboat": "sailboats", "sailing ship": "sailing ships", "tree": "trees",
          "windmill": "windmills", "mill": "mills", "hot air balloon": "hot air balloons", "balloon": "balloons",
          "hot-air balloon": "hot-air balloons", "cactus": "cacti", "castle": "castles", "fortress": "fortresses", "tent": "tents"}
SIDE_WORDS = {"left": ["on the left", "on the left side", "to the left", "at the left"],
              "centre": ["in the middle", "in the centre", "in the center", "at the centre"],
              "right": ["on the right", "on the right side", "to the right", "at the right"]}
SIZE_WORDS = {"small": ["small", "little", "tiny"], "medium": [""], "large": ["large", "big", "huge"]}
PREFIX = ["", "", "", "", "a picture of ", "a painting of ", "an illustration of ", "a drawing of ", "a view of "]


def _a(words):
    return ("an " if words[0] in "aeiou" else "a ") + words


def _noun(rng, o, plural=False, article=True):
    w = _pick(rng, OBJECT_WORDS[o["object"]])
    if plural:
        w = PLURAL[w]
    parts = [_pick(rng, SIZE_WORDS[o["size"]]) if o["size_named"] else "", o["colour"] if o["colour_named"] else "", w]
    t = " ".join(p for p in parts if p)
    return _a(t) if article and not plural else t


def caption(scene, rng):
    """One of many wordings of the scene."""
    objs = scene["objects"]
    keys = rng.uniform() < 0.18
    sky = _pick(rng, (SKY_KEYS if keys else SKY_WORDS)[scene["sky"]]) if scene["sky_named"] else ""
    ground = _pick(rng, (GROUND_KEYS if keys else GROUND_WORDS)[scene["ground"]]) if scene["ground_named"] else ""
    body = ""
    if scene["body"] and rng.uniform() < 0.5:
        kind, side = scene["body"]
        body = {"sun": _pick(rng, ["the sun", "a bright sun", "the sun"]), "moon": _pick(rng, ["the moon", "a full moon"]),
                "crescent": "a crescent moon"}[kind]
        if rng.uniform() < 0.5:
            body += " " + _pick(rng, SIDE_WORDS[side])
        body = body if keys else "with " + body
    if not objs:
        what, side = "", ""
        if not keys:
            what = _pick(rng, ["a landscape", "an empty landscape", "a scene", "a quiet scene"])
    elif len(objs) == 1:
        o = objs[0]
        what = _noun(rng, o, article=not keys or rng.uniform() < 0.5)
        side = _pick(rng, SIDE_WORDS[o["side"]]) if o["side_named"] else ""
    elif scene["twins"]:
        what, side = "two " + _noun(rng, objs[0], plural=True), ""
    else:
        a, b = objs
        what, side = "", ""
        wa, wb = _noun(rng, a), _noun(rng, b)
        if a["side_named"]:
            wa, wb = wa + " " + _pick(rng, SIDE_WORDS["left"]), wb + " " + _pick(rng, SIDE_WORDS["right"])
            if rng.uniform() < 0.3:
                wa, wb = wb, wa
        elif rng.uniform() < 0.5:
            wa, wb = wb, wa
        what = wa + " and " + wb
    if keys:
        parts = [p for p in (what, ground, sky, body) if p]
        if side:
            parts.insert(int(rng.integers(1, len(parts) + 1)), side)
        return ", ".join(parts)
    pre = _pick(rng, PREFIX)
    u = rng.uniform()
    if u < 0.30:
        t = [pre + what, side, ground, sky, body]
    elif u < 0.55:
        t = [pre + what, ground, side, sky, body]
    elif u < 0.75:
        t = [pre + what, ground, sky + ("," if side and sky else ""), side, body]
    elif u < 0.88 and sky:
        t = [sky + ",", what, side, ground, body]
    else:
        t = [pre + what, side, sky, ground, body]
    return " ".join(p for p in t if p).strip(" ,").replace(" ,", ",")


def labels(scene):
    """Label indices: sky, ground, and for the first object its kind, colour, side, size (-1: none)."""
    r = [SKIES.index(scene["sky"]), GROUNDS.index(scene["ground"])]
    if scene["objects"]:
        o = scene["objects"][0]
        return r + [OBJECTS.index(o["object"]), COLOURS.index(o["colour"]), SIDES.index(o["side"]), SIZES.index(o["size"])]
    return r + [-1] * 4


def make(rng, objects=None):
    """(picture, caption, scene)"""
    sc = sample_scene(rng, objects)
    return paint(sc), caption(sc, rng), sc


def sheet(pics, cols=8):
    """Puts pictures of one size side by side."""
    rows = [np.concatenate(list(pics[i:i + cols]) + [np.full_like(pics[0], 255)] * (cols - len(pics[i:i + cols])), 1)
            for i in range(0, len(pics), cols)]
    return np.concatenate(rows, 0)


if __name__ == "__main__":
    rng = np.random.default_rng(1)
    if "--speed" in sys.argv:
        import time
        t = time.time()
        for _ in range(400):
            make(rng)
        print("%.0f pictures/s" % (400 / (time.time() - t)))
    else:
        from png import write_png
        out = [make(rng) for _ in range(48)]
        write_png(sys.argv[1], sheet([o[0] for o in out]))
        for o in out:
            print(o[1])
