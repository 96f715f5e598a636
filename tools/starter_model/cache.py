#!/usr/bin/env python3
"""Stage 2: paints scenes and stores their latents (fp16, scaled by 0.18215), the scenes for the
captions, and pictures halved to 64x64 for the judge. Each process writes its own parts:
cache/NNN.npz; an existing part is kept, so that the stage resumes and more parts may be added.

    cache.py --workdir DIR --parts 24 --size 2000 --procs 2
"""
import common

common.ensure_env()
import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

import painter  # noqa: E402
from model import SCALE, Autoencoder  # noqa: E402
from train_vae import to_tensor  # noqa: E402


def work(rank, a):
    torch.set_num_threads(1)
    m = Autoencoder()
    m.load_state_dict(torch.load(os.path.join(a.workdir, "vae_final.pt")))
    clock = common.Clock(a.workdir)
    for part in range(rank, a.parts, a.procs):
        path = os.path.join(a.workdir, "cache", f"{part:03d}.npz")
        if os.path.exists(path):
            continue
        rng = np.random.default_rng(500_000 + part)
        lat, small, lab, scenes = [], [], [], []
        while len(scenes) < a.size:
            clock.tick()
            n = min(20, a.size - len(scenes))
            sc = [painter.sample_scene(rng) for _ in range(n)]
            pics = [painter.paint(s) for s in sc]
            with torch.no_grad():
                x = to_tensor(pics).contiguous(memory_format=torch.channels_last)
                lat.append((m.encode(x.to(torch.bfloat16))[0] * SCALE).half().numpy())
            p = np.stack(pics).astype(np.uint16)
            small.append(((p[:, ::2, ::2] + p[:, 1::2, ::2] + p[:, ::2, 1::2] + p[:, 1::2, 1::2] + 2) // 4).astype(np.uint8))
            lab += [painter.labels(s) + [len(s["objects"])] for s in sc]
            scenes += sc
        if part >= a.small_parts:
            small = [np.zeros((0, 64, 64, 3), np.uint8)]
        with open(path + ".tmp", "wb") as f:
            np.savez(f, latents=np.concatenate(lat), small=np.concatenate(small), labels=np.array(lab, np.int8),
                     scenes=np.frombuffer(json.dumps(scenes).encode(), np.uint8))
        os.replace(path + ".tmp", path)
        print(f"part {part} at {clock.total:.0f} s", flush=True)


def load(workdir, want):
    """Arrays of all parts by name; scenes come as a list."""
    out = {k: [] for k in want}
    folder = os.path.join(workdir, "cache")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".npz"):
            z = np.load(os.path.join(folder, name))
            for k in want:
                out[k] += json.loads(z[k].tobytes()) if k == "scenes" else [z[k]]
    return {k: v if k == "scenes" else np.concatenate(v) for k, v in out.items()}


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--workdir", default=common.default_workdir())
    ap.add_argument("--parts", type=int, default=24)
    ap.add_argument("--small-parts", type=int, default=12, help="parts that keep the judge's small pictures")
    ap.add_argument("--size", type=int, default=2000)
    ap.add_argument("--procs", type=int, default=2)
    args = ap.parse_args()
    os.makedirs(os.path.join(args.workdir, "cache"), exist_ok=True)
    t0 = time.time()
    common.launch(work, args, args.procs, 0)
    print("done in %.0f s" % (time.time() - t0))
