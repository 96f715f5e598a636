"""Reads and writes the safetensors container: a JSON header, then the tensors' bytes."""
import json
import os
import struct

import numpy as np

_NP = {"F16": np.float16, "F32": np.float32, "I64": np.int64}
_NAME = {np.dtype(v): k for k, v in _NP.items()}


def save(path, tensors, metadata):
    head, pos, names = {"__metadata__": metadata}, 0, sorted(tensors)
    for n in names:
        t = tensors[n]
        head[n] = {"dtype": _NAME[t.dtype], "shape": list(t.shape), "data_offsets": [pos, pos + t.nbytes]}
        pos += t.nbytes
    h = json.dumps(head, separators=(",", ":")).encode()
    h += b" " * (-len(h) % 8)
    with open(path + ".tmp", "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h)
        for n in names:
            f.write(np.ascontiguousarray(tensors[n]).tobytes())
    os.replace(path + ".tmp", path)


def load(path):
    with open(path, "rb") as f:
        n, = struct.unpack("<Q", f.read(8))
        head, data = json.loads(f.read(n)), f.read()
    meta = head.pop("__metadata__", {})
    out = {}
    for k, v in head.items():
        a, b = v["data_offsets"]
        out[k] = np.frombuffer(data[a:b], _NP[v["dtype"]]).reshape(v["shape"])
    return out, meta
