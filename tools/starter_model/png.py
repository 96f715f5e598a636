"""Reads and writes 8-bit RGB PNG files with the standard library alone."""
import struct
import zlib

import numpy as np


def write_png(path, a):
    h, w, _ = a.shape
    raw = b"".join(b"\0" + np.ascontiguousarray(a[y]).tobytes() for y in range(h))

    def chunk(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(raw, 6)) + chunk(b"IEND", b""))


def read_png(path):
    """8-bit RGB or RGBA, not interlaced; alpha is dropped."""
    data = open(path, "rb").read()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(f"{path}: not a PNG file")
    pos, idat, head = 8, b"", None
    while pos < len(data):
        n, tag = struct.unpack(">I4s", data[pos:pos + 8])
        body = data[pos + 8:pos + 8 + n]
        if tag == b"IHDR":
            head = struct.unpack(">IIBBBBB", body)
        elif tag == b"IDAT":
            idat += body
        pos += 12 + n
    w, h, depth, colour, _, _, lace = head
    if depth != 8 or colour not in (2, 6) or lace:
        raise ValueError(f"{path}: only 8-bit RGB or RGBA without interlacing")
    c = 3 if colour == 2 else 4
    raw = np.frombuffer(zlib.decompress(idat), np.uint8).reshape(h, 1 + w * c)
    out = np.zeros((h, w * c), np.uint8)
    prev = np.zeros(w * c, np.int32)
    for y in range(h):
        f, row = raw[y, 0], raw[y, 1:].astype(np.int32)
        if f == 1:
            row = (np.cumsum(row.reshape(w, c), 0) % 256).reshape(-1)
        elif f == 2:
            row = (row + prev) % 256
        elif f in (3, 4):
            for i in range(w * c):
                a = int(row[i - c]) if i >= c else 0
                b = int(prev[i])
                if f == 3:
                    p = (a + b) // 2
                else:
                    d = int(prev[i - c]) if i >= c else 0
                    e = a + b - d
                    pa, pb, pd = abs(e - a), abs(e - b), abs(e - d)
                    p = a if pa <= pb and pa <= pd else b if pb <= pd else d
                row[i] = (row[i] + p) % 256
        out[y] = row
        prev = row
    return out.reshape(h, w, c)[:, :, :3]
