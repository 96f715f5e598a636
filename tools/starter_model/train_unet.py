#!/usr/bin/env python3
"""Stage 3: the text encoder and the UNet, jointly, on cached latents.

eps prediction, scaled-linear betas. One more token row stands for every word that no caption uses:
such words are strewn into a fifth of the captions, so that the model learns to pass over them. The loss of a step is weighted clamp(snr, LOW, 5)/snr: sky
and place are decided at the noisiest steps, where the plain eps error hardly shows them. One
caption in ten is empty. Two processes share weights and optimizer in /dev/shm: each puts down
its gradient, then updates half of the weights.

    train_unet.py --workdir DIR --minutes 90 --procs 2
"""
import common

common.ensure_env()
import argparse  # noqa: E402
import math  # noqa: E402
import os  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

import bpe  # noqa: E402
import cache  # noqa: E402
import fused  # noqa: E402
import painter  # noqa: E402
from model import TextEncoder, UNet, alphas_cumprod  # noqa: E402

BF = torch.bfloat16


def caption_rows(tok):
    """Token ids that captions can hold, ascending: the rows that are trained."""
    words = " ".join(painter.COLOURS + painter.PREFIX + list(painter.PLURAL.values()))
    for d in (painter.SKY_WORDS, painter.SKY_KEYS, painter.GROUND_WORDS, painter.GROUND_KEYS, painter.OBJECT_WORDS, painter.SIDE_WORDS, painter.SIZE_WORDS):
        for v in d.values():
            words += " " + " ".join(v)
    words += " a an two and with , . the sun a bright sun moon full crescent landscape empty scene quiet of"
    return sorted(set(tok.encode(words)) | {bpe.BOS, bpe.EOS})


def strew(row, eos, unknown, rng):
    """Inserts one to four unknown words at random places of a caption, in place."""
    n = int(np.argmax(row == eos))
    for _ in range(int(rng.integers(1, 5))):
        if n < 2 or n > len(row) - 3:
            return
        at = int(rng.integers(1, n + 1))
        row[at + 1:] = row[at:-1].copy()
        row[at] = unknown
        n += 1


class Shared:
    """One flat fp32 array for the weights and the optimizer, seen by all processes."""

    def __init__(self, name, params, rank, world):
        self.params, self.rank, self.world = params, rank, world
        n = self.n = sum(p.numel() for p in params)
        # weights, first and second moment, average, gradients of two processes, a few numbers
        size = 6 * n + 1024
        self.all = torch.from_file(f"/dev/shm/{name}", shared=True, size=size, dtype=torch.float32)
        self.p, self.m, self.v, self.ema, g0, g1 = (self.all[i * n:(i + 1) * n] for i in range(6))
        self.g = [g0, g1]
        self.num = self.all[6 * n:].view(torch.float64)
        self.lo, self.hi = (0, n) if world == 1 else ((0, n // 2), (n // 2, n))[rank]

    def init(self):
        """Rank 0: takes the modules' present weights."""
        self.p.copy_(torch.cat([p.detach().reshape(-1) for p in self.params]))
        self.m.zero_(), self.v.zero_(), self.ema.copy_(self.p)

    def attach(self):
        pos = 0
        for p in self.params:
            p.data = self.p[pos:pos + p.numel()].view(p.shape)
            pos += p.numel()

    def update(self, step, lr, barrier, decay=0.0, avg=0.001, clip=1.0, b1=0.9, b2=0.99):
        torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).reshape(-1) for p in self.params], out=self.g[self.rank])
        barrier()
        lib, lo, hi = fused.lib(torch.float32), self.lo, self.hi
        g0, g1 = self.g[0][lo:hi], self.g[self.world - 1][lo:hi]
        self.num[self.rank] = lib.grad_square(g0.data_ptr(), g1.data_ptr(), hi - lo)
        barrier()
        norm = math.sqrt(float(self.num[:self.world].sum()))
        if not math.isfinite(norm):
            return norm
        k = step + 1
        c2 = math.sqrt(1 - b2 ** k)
        lib.adam_step(self.p[lo:hi].data_ptr(), g0.data_ptr(), g1.data_ptr(), self.m[lo:hi].data_ptr(), self.v[lo:hi].data_ptr(),
                      self.ema[lo:hi].data_ptr(), hi - lo, min(1.0, clip / (norm + 1e-9)), lr * c2 / (1 - b1 ** k), b1, b2, 1e-8 * c2,
                      lr * decay, avg)
        barrier()
        return norm


def work(rank, a):
    torch.set_num_threads(1)
    grp = common.Group(rank, a.procs, a.port)
    path = os.path.join(a.workdir, a.name + ".pt")
    tok = bpe.Tokenizer(a.workdir)
    rows = caption_rows(tok)
    remap = np.full(49408, len(rows), np.int64)
    remap[rows] = np.arange(len(rows))
    torch.manual_seed(a.seed)
    unet, text = UNet(), TextEncoder(len(rows) + 1)
    params = list(unet.parameters()) + list(text.parameters())
    sh = Shared(f"pumice-{os.getppid() if a.procs > 1 else os.getpid()}-{a.port}", params, rank, a.procs)
    barrier = grp.dist.barrier if a.procs > 1 else (lambda: None)
    start, step = 0.0, 0
    if rank == 0:
        sh.init()
    if os.path.exists(path):
        ck = torch.load(path)
        assert ck["rows"] == rows, "the captions' words changed"
        start, step = ck["time"], ck["step"]
        if rank == 0:
            for k in ("p", "m", "v", "ema"):
                getattr(sh, k).copy_(ck[k])
        del ck
    barrier()
    sh.attach()
    barrier()
    if rank == 0:
        os.unlink(f"/dev/shm/pumice-{os.getppid() if a.procs > 1 else os.getpid()}-{a.port}")
    data = cache.load(a.workdir, ["latents", "scenes"])
    lat, scenes = torch.from_numpy(data["latents"]), data["scenes"]
    if rank == 0:
        print(f"{len(scenes)} scenes, {len(rows)} token rows, {sh.n / 1e6:.2f} M parameters, latent std {lat.float().std():.3f}", flush=True)
    ac = alphas_cumprod().float()
    snr = ac / (1 - ac)
    weight = snr.clamp(a.low, 5) / snr
    rng = np.random.default_rng(a.seed * 7919 + step * 2 + rank)
    torch.manual_seed(a.seed * 104729 + step * 2 + rank)
    clock = common.Clock(a.workdir, start)
    saved = said = clock.total
    seen_time, seen_step, run = clock.total, step, {}
    stop = os.path.join(a.workdir, "STOP_UNET")
    while True:
        t = grp.agree(1 if os.path.exists(stop) else clock.tick() / 60 / a.minutes)
        if t >= 1:
            break
        shape = 1.0 if t < a.flat else 0.5 * (1 + math.cos(math.pi * (t - a.flat) / (1 - a.flat)))
        lr = a.lr * min(1, (step + 1) / 100) * (0.02 + 0.98 * shape)
        idx = rng.integers(len(scenes), size=a.batch)
        ids = np.array([remap[tok.row("" if rng.uniform() < 0.1 else painter.caption(scenes[int(i)], rng))] for i in idx])
        for r in ids:
            if rng.uniform() < 0.2:
                strew(r, remap[bpe.EOS], len(rows), rng)
        x0 = lat[torch.from_numpy(idx)].float()
        # Stratified times: every batch covers the whole range evenly.
        ts = torch.from_numpy(((np.arange(a.batch) + rng.uniform(size=a.batch)) / a.batch * 1000).astype(np.int64))
        eps = torch.randn_like(x0)
        al = ac[ts][:, None, None, None]
        x = al.sqrt() * x0 + (1 - al).sqrt() * eps
        ctx = text(torch.from_numpy(ids))
        e = unet(x.to(BF), ts, ctx.to(BF)).float()
        err = (e - eps).square().mean((1, 2, 3))
        loss = (err * weight[ts]).mean()
        for p in params:
            p.grad = None
        loss.backward()
        norm = sh.update(step, lr, barrier, avg=1 - min(a.ema, (step + 1) / (step + 30)))
        step += 1
        for k, v in (("loss", loss.item()), ("eps", err.mean().item()), ("high", (err * weight[ts])[ts >= 700].mean().item()), ("norm", norm)):
            run[k] = 0.98 * run[k] + 0.02 * v if k in run else v
        if rank == 0:
            if clock.total - said > 60:
                said = clock.total
                rate = (step - seen_step) * a.batch * a.procs / (clock.total - seen_time)
                seen_time, seen_step = clock.total, step
                print(f"{clock.total:7.0f}s step {step} " + " ".join(f"{k} {v:.4f}" for k, v in run.items()) + f" lr {lr:.1e} {rate:.0f}/s", flush=True)
            if clock.total - saved > a.save_every:
                saved = clock.total
                checkpoint(path, sh, rows, clock.total, step)
    barrier()
    if rank == 0:
        checkpoint(path, sh, rows, clock.total, step)


def checkpoint(path, sh, rows, total, step):
    common.save({k: getattr(sh, k).clone() for k in ("p", "m", "v", "ema")} | {"rows": rows, "time": total, "step": step}, path)


def load_models(path, ema=True):
    """UNet and text encoder (trained rows, then the unknown word's) of a checkpoint, and the rows' token ids."""
    ck = torch.load(path)
    unet, text = UNet(), TextEncoder(len(ck["rows"]) + 1)
    flat, pos = ck["ema" if ema else "p"], 0
    for p in list(unet.parameters()) + list(text.parameters()):
        p.data = flat[pos:pos + p.numel()].view(p.shape).clone()
        pos += p.numel()
    return unet, text, ck["rows"], ck


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--workdir", default=common.default_workdir())
    ap.add_argument("--name", default="unet")
    ap.add_argument("--minutes", type=float, default=90, help="total training time, also the learning rate's horizon")
    ap.add_argument("--procs", type=int, default=2, choices=(1, 2))
    ap.add_argument("--port", type=int, default=29612)
    ap.add_argument("--batch", type=int, default=24, help="samples a process")
    ap.add_argument("--lr", type=float, default=7e-4)
    ap.add_argument("--flat", type=float, default=0.35, help="share of the time at the full learning rate")
    ap.add_argument("--low", type=float, default=0.7, help="least weight of a step on the latent's error")
    ap.add_argument("--ema", type=float, default=0.998)
    ap.add_argument("--save-every", type=float, default=180)
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    t0 = time.time()
    common.launch(work, args, args.procs, args.port)
    print("done in %.0f s" % (time.time() - t0))
