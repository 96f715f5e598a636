#!/usr/bin/env python3
"""How well pictures follow the edges they were given, with the control on and off, in torch.

Held-out scenes are painted, their Canny edges are the hint, pictures are sampled from them, and the
pictures' own edges are compared with the hint: F1 of edge pixels, met within a tolerance. Caption
and start noise are the same with and without control.

    judge_control.py --workdir DIR --file starter.safetensors --control starter_canny.safetensors [--sheet sheet.png]
    judge_control.py --workdir DIR --compare edges.png picture.png      # any two pictures of 128x128
    judge_control.py --workdir DIR --hint edges.png --index 3           # the hint of one held-out scene
"""
import common

common.ensure_env()
import argparse  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

import canny  # noqa: E402
import painter  # noqa: E402
from judge import judged_prompts, to_uint8  # noqa: E402
from model import SCALE, ddim  # noqa: E402
from png import read_png, write_png  # noqa: E402

GENERIC = "a landscape"


def figures(got, wanted):
    return " ".join("within %d px %.3f" % (t, canny.agreement(got, wanted, t).mean()) for t in (0, 1, 2))


def to_picture(mask):
    return np.repeat(mask[..., None].astype(np.uint8) * 255, 3, -1)


def measure(a):
    import bpe
    import export
    from train_control import load
    from train_vae import to_tensor
    t0 = time.time()
    tok = bpe.Tokenizer(a.workdir)
    mods, _, _ = export.build(a.file)
    unet, vae = mods["unet"], mods["vae"]
    net = load(a.control, unet)
    scenes, captions = judged_prompts(a.n)
    painted = np.stack([painter.paint(s) for s in scenes])
    wanted = canny.edges(painted)
    dt = torch.float32 if a.exact else torch.bfloat16
    rows = [painted, to_picture(wanted)]
    with torch.no_grad():
        def context(words):
            return mods["text"](torch.tensor([tok.row(w) for w in words]))

        through = to_uint8(vae.decode(vae.encode(to_tensor(list(painted)).to(dt))[0], dt).float())
        print(f"painted, through the autoencoder: {figures(canny.edges(through), wanted)}", flush=True)
        f = net.features(torch.from_numpy(canny.hint(wanted)).to(dt))
        empty = context([""])
        noise = torch.randn(a.n, 4, 16, 16, generator=torch.Generator().manual_seed(a.seed))
        for name, words in (("its caption", captions), (f'"{GENERIC}"', [GENERIC] * a.n)):
            ctx = context(words)
            for on in (True, False):
                z = ddim(unet, ctx, empty, noise, a.steps, a.cfg, dt, *((net, f) if on else ()))
                pics = to_uint8(vae.decode(z / SCALE, dt).float())
                got = canny.edges(pics)
                print(f"{name}, control {'on' if on else 'off'}: {figures(got, wanted)}; edge pixels {got.mean():.3f} of {wanted.mean():.3f}", flush=True)
                rows.append(pics)
    if a.sheet:
        write_png(a.sheet, np.concatenate([painter.sheet(list(r[:a.columns]), a.columns) for r in rows]))
    print("%d scenes, DDIM %d steps, guidance %g, %.0f s" % (a.n, a.steps, a.cfg, time.time() - t0))


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--workdir", default=common.default_workdir())
    ap.add_argument("--file")
    ap.add_argument("--control")
    ap.add_argument("-n", type=int, default=32)
    ap.add_argument("--steps", type=int, default=16)
    ap.add_argument("--cfg", type=float, default=4.0)
    ap.add_argument("--seed", type=int, default=3)
    ap.add_argument("--exact", action="store_true", help="fp32 instead of bf16")
    ap.add_argument("--sheet", help="rows: painted, hint, caption on, off, generic on, off")
    ap.add_argument("--columns", type=int, default=12)
    ap.add_argument("--compare", nargs=2, metavar=("EDGES", "PICTURE"))
    ap.add_argument("--hint", metavar="PNG")
    ap.add_argument("--index", type=int, default=0)
    args = ap.parse_args()
    if args.compare:
        mask, pic = (read_png(p)[None] for p in args.compare)
        print(figures(canny.edges(pic), mask[..., 0] > 127))
    elif args.hint:
        sc, prompts = judged_prompts(args.index + 1)
        write_png(args.hint, to_picture(canny.edges(painter.paint(sc[-1])[None]))[0])
        print(prompts[-1])
    else:
        measure(args)
