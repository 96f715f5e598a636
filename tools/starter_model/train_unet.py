#!/usr/bin/env python3
"""Stage 3: the text encoder and the UNet, jointly, on cached latents.

eps prediction, scaled-linear betas. One more token row stands for every word that no caption uses:
such words are strewn into some captions, so that the model learns to pass over them. The loss of a step is weighted clamp(snr, LOW, 5)/snr: sky
and place are decided at the noisiest steps, where the plain eps error hardly shows them. One
caption in ten is empty. The latents under an object count more than the rest. Two processes share
weights and optimizer in /dev/shm: each computes a gradient, takes a lock and makes its own step, so
that neither waits for the other (a gradient is at most a step old).

    train_unet.py --workdir DIR --minutes 90 --procs 2
"""
import common

common.ensure_env()
import argparse  # noqa: E402
import fcntl  # noqa: E402
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

    def __init__(self, name, params):
        self.params = params
        n = self.n = sum(p.numel() for p in params)
        # weights, first and second moment, average, and a few numbers
        self.all = torch.from_file(f"/dev/shm/{name}", shared=True, size=4 * n + 1024, dtype=torch.float32)
        self.p, self.m, self.v, self.ema = (self.all[i * n:(i + 1) * n] for i in range(4))
        self.num = self.all[4 * n:4 * n + 64].view(torch.float64)  # the step
        self.g = torch.empty(n)
        self.lock = open(f"/dev/shm/{name}.lock", "w")

    def init(self):
        """Rank 0: takes the modules' present weights."""
        self.p.copy_(torch.cat([p.detach().reshape(-1) for p in self.params]))
        self.m.zero_(), self.v.zero_(), self.ema.copy_(self.p), self.num.zero_()

    def attach(self):
        pos = 0
        for p in self.params:
            p.data = self.p[pos:pos + p.numel()].view(p.shape)
            pos += p.numel()

    @property
    def step(self):
        return int(self.num[0])

    def update(self, lr, ema, clip=1.0, b1=0.9, b2=0.99):
        torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).reshape(-1) for p in self.params], out=self.g)
        lib, g = fused.lib(torch.float32), self.g.data_ptr()
        norm = math.sqrt(lib.grad_square(g, g, self.n))
        if not math.isfinite(norm):
            return norm
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        k = self.step + 1
        c2 = math.sqrt(1 - b2 ** k)
        lib.adam_step(self.p.data_ptr(), g, g, self.m.data_ptr(), self.v.data_ptr(), self.ema.data_ptr(), self.n, min(1.0, clip / (norm + 1e-9)),
                      lr * c2 / (1 - b1 ** k), b1, b2, 1e-8 * c2, 0.0, 1 - min(ema, k / (k + 30)))
        self.num[0] = k
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        return norm


def naming(scene):
    """The same scene with everything but the size said."""
    return dict(scene, sky_named=True, ground_named=True, objects=[dict(o, colour_named=True, side_named=True) for o in scene["objects"]])


def object_weights(scenes, more):
    """[n,16,16] weights of the latents: 1, and 1 + more where objects stand (roughly)."""
    out = np.ones((len(scenes), 1, 16, 16), np.float16)
    for i, s in enumerate(scenes):
        for o in s["objects"]:
            x, half = {"left": 29, "centre": 64, "right": 99}[o["side"]] / 8, {"small": 2.5, "medium": 3.2, "large": 4.2}[o["size"]]
            tall = {"small": 6, "medium": 8, "large": 11}[o["size"]]
            top, low = (1, 10) if o["object"] == "balloon" else (15 - tall, 15)
            out[i, 0, top:low, max(0, round(x - half)):round(x + half)] = 1 + more
    return torch.from_numpy(out)


def fit_output(unet, lat, weight, ac, n=512):
    """Least squares for the output convolution at the start: a linear denoiser instead of zero.
    Saves the first hundreds of steps, in which the noisiest times' huge weights drown the rest.
    Some channels carry each latent and its negative beside a constant through the last skip, so
    that the norm of each pair keeps the amplitude and SiLU's even part cancels."""
    from torch.nn.functional import unfold
    with torch.no_grad():
        first, skip = unet.input_blocks[0][0], unet.output_blocks[-1][0].skip_connection
        first.weight[:16], first.bias[:16] = 0, torch.tensor([0.0, 3.0]).repeat(8)
        skip.weight[:16], skip.bias[:16] = 0, 0
        skip.weight[torch.arange(16), 64 + torch.arange(16)] = 1
        for k in range(4):
            first.weight[4 * k, k, 1, 1], first.weight[4 * k + 2, k, 1, 1] = 1, -1
        x0 = lat[torch.randperm(len(lat))[:n]].float()
        ts = (torch.arange(n) * 1000) // n
        al = ac[ts][:, None, None, None]
        eps = torch.randn_like(x0)
        x = al.sqrt() * x0 + (1 - al).sqrt() * eps
        keep = []
        hook = unet.out[0].register_forward_hook(lambda m, i, o: keep.append(o.float()))
        for i in range(0, n, 64):
            unet(x[i:i + 64].to(BF), ts[i:i + 64], torch.zeros(min(64, n - i), 77, 64, dtype=BF))
        hook.remove()
        a = unfold(torch.cat(keep), 3, padding=1).transpose(1, 2).reshape(n * 256, -1)
        y = eps.permute(0, 2, 3, 1).reshape(n * 256, 4)
        w = weight[ts].repeat_interleave(256)
        pick = torch.randperm(len(a))[:60000]
        a, y, w = torch.cat([a[pick], torch.ones(len(pick), 1)], 1), y[pick], w[pick][:, None]
        s = torch.linalg.solve((a.T @ (a * w) + 3.0 * torch.eye(a.shape[1])).double(), (a.T @ (y * w)).double()).float()
        unet.out[2].weight.copy_(s[:-1].T.reshape(4, -1, 3, 3))
        unet.out[2].bias.copy_(s[-1])
        e = ((a @ s - y) ** 2).mean(1)
        print(f"linear start: eps error {e.mean():.3f}, weighted {(e * w[:, 0]).mean():.3f}", flush=True)


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
    data = cache.load(a.workdir, ["latents", "scenes"])
    lat, scenes = torch.from_numpy(data["latents"]), data["scenes"]
    focus = object_weights(scenes, a.focus)
    ones = np.array([i for i, s in enumerate(scenes) if len(s["objects"]) == 1])
    ac = alphas_cumprod().float()
    snr = ac / (1 - ac)
    weight = snr.clamp(a.low, 5) / snr
    if rank == 0 and not os.path.exists(path):
        fit_output(unet, lat, weight, ac)
    name = f"pumice-{os.getppid() if a.procs > 1 else os.getpid()}"
    barrier = grp.dist.barrier if a.procs > 1 else (lambda: None)
    start = 0.0
    if rank == 0:
        open(f"/dev/shm/{name}", "w").close()
        sh = Shared(name, params)
        sh.init()
        barrier()
    else:
        barrier()
        sh = Shared(name, params)
    if os.path.exists(path):
        ck = torch.load(path)
        assert ck["rows"] == rows, "the captions' words changed"
        start = ck["time"]
        if rank == 0:
            for k in ("p", "m", "v", "ema"):
                getattr(sh, k).copy_(ck[k])
            sh.num[0] = ck["step"]
        del ck
    barrier()
    sh.attach()
    if rank == 0:
        os.unlink(f"/dev/shm/{name}"), os.unlink(f"/dev/shm/{name}.lock")
    step = sh.step
    if rank == 0:
        print(f"{len(scenes)} scenes, {len(rows)} token rows, {sh.n / 1e6:.2f} M parameters, latent std {lat.float().std():.3f}", flush=True)
    rng = np.random.default_rng(a.seed * 7919 + step * 2 + rank)
    torch.manual_seed(a.seed * 104729 + step * 2 + rank)
    clock = common.Clock(a.workdir, start)
    saved = said = clock.total
    seen_time, seen_step, run = clock.total, step, {}
    stop = os.path.join(a.workdir, "STOP_UNET")
    while True:
        t = 1 if os.path.exists(stop) else clock.tick() / 60 / a.minutes
        if t >= 1:
            break
        shape = 1.0 if t < a.flat else 0.5 * (1 + math.cos(math.pi * (t - a.flat) / (1 - a.flat)))
        lr = a.lr * min(1, (step + 1) / 100) * (0.02 + 0.98 * shape)
        idx = np.where(rng.uniform(size=a.batch) < a.single, rng.choice(ones, a.batch), rng.integers(len(scenes), size=a.batch))
        ids = np.array([remap[tok.row("" if rng.uniform() < 0.1 else painter.caption(scenes[int(i)] if rng.uniform() > a.named else naming(scenes[int(i)]), rng))] for i in idx])
        for r in ids:
            if rng.uniform() < a.strew:
                strew(r, remap[bpe.EOS], len(rows), rng)
        x0 = lat[torch.from_numpy(idx)].float()
        # Stratified times: every batch covers the whole range, the noisy end more densely.
        ts = torch.from_numpy((((np.arange(a.batch) + rng.uniform(size=a.batch)) / a.batch) ** a.noisy * 1000).astype(np.int64))
        eps = torch.randn_like(x0)
        al = ac[ts][:, None, None, None]
        x = al.sqrt() * x0 + (1 - al).sqrt() * eps
        ctx = text(torch.from_numpy(ids))
        e = unet(x.to(BF), ts, ctx.to(BF)).float()
        f = focus[torch.from_numpy(idx)].float()
        err = ((e - eps).square() * (f / f.mean())).mean((1, 2, 3))
        loss = (err * weight[ts]).mean()
        for p in params:
            p.grad = None
        loss.backward()
        norm = sh.update(lr, a.ema)
        step = sh.step
        for k, v in (("loss", loss.item()), ("eps", err.mean().item()), ("high", (err * weight[ts])[ts >= 700].mean().item()), ("norm", norm)):
            run[k] = 0.98 * run[k] + 0.02 * v if k in run else v
        if rank == 0:
            if clock.total - said > 60:
                said = clock.total
                rate = (step - seen_step) * a.batch / (clock.total - seen_time)
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
    ap.add_argument("--batch", type=int, default=16, help="samples a step")
    ap.add_argument("--lr", type=float, default=3e-4)
    ap.add_argument("--flat", type=float, default=0.35, help="share of the time at the full learning rate")
    ap.add_argument("--low", type=float, default=0.35, help="least weight of a step on the latent's error")
    ap.add_argument("--single", type=float, default=0.6, help="share of samples that are surely scenes of one object")
    ap.add_argument("--named", type=float, default=0.5, help="share of captions that surely name sky, ground, colour and side")
    ap.add_argument("--strew", type=float, default=0.08, help="share of captions with unknown words")
    ap.add_argument("--noisy", type=float, default=0.75, help="times are 1000 u^NOISY; 1 is uniform")
    ap.add_argument("--focus", type=float, default=1.5, help="how much more the latents under an object weigh")
    ap.add_argument("--ema", type=float, default=0.998)
    ap.add_argument("--save-every", type=float, default=180)
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    t0 = time.time()
    common.launch(work, args, args.procs, args.port)
    print("done in %.0f s" % (time.time() - t0))
