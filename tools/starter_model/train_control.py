#!/usr/bin/env python3
"""Stage 5: a ControlNet for the finished model: Canny's edges in, residuals for the frozen UNet out.

The first half of the UNet is copied and trained on, with a new hint block and new 1x1 convolutions
in front of the skips. These do not start at zero, as published, but small: the copy then learns from
the first step on. Four captions in ten are empty, so that the edges must carry the picture, and the
noisy times come oftener, where structure is decided. Latents that an edge crosses count double.
Two processes share weights as in stage 3.

    train_control.py --workdir DIR --file starter.safetensors --minutes 30 --out starter_canny.safetensors
"""
import common

common.ensure_env()
import argparse  # noqa: E402
import fcntl  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
import math  # noqa: E402
import os  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

import bpe  # noqa: E402
import canny  # noqa: E402
import export  # noqa: E402
import fused  # noqa: E402
import painter  # noqa: E402
import safetensors  # noqa: E402
from model import CONFIG, SCALE, ControlNet, alphas_cumprod  # noqa: E402
from train_unet import Shared  # noqa: E402
from train_vae import to_tensor  # noqa: E402

BF = torch.bfloat16
PREFIX = "control_model."


class TwoRates(Shared):
    """The first `fresh` numbers learn at a rate of their own."""

    def update_both(self, rates, fresh, ema, clip=1.0, b1=0.9, b2=0.99):
        torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).reshape(-1) for p in self.params], out=self.g)
        lib = fused.lib(torch.float32)
        norm = math.sqrt(lib.grad_square(self.g.data_ptr(), self.g.data_ptr(), self.n))
        if not math.isfinite(norm):
            return norm
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        k = self.step + 1
        c2 = math.sqrt(1 - b2 ** k)
        for lr, at, n in ((rates[0], 0, fresh), (rates[1], fresh, self.n - fresh)):
            p, g, m, v, avg = (t.data_ptr() + 4 * at for t in (self.p, self.g, self.m, self.v, self.ema))
            lib.adam_step(p, g, g, m, v, avg, n, min(1.0, clip / (norm + 1e-9)), lr * c2 / (1 - b1 ** k), b1, b2, 1e-8 * c2, 0.0,
                          1 - min(ema, k / (k + 30)))
        self.num[0] = k
        fcntl.flock(self.lock, fcntl.LOCK_UN)
        return norm


def part_names(a):
    folder = os.path.join(a.workdir, "cache")
    return [n[:-4] for n in sorted(os.listdir(folder)) if n.endswith(".npz")][:a.parts]


def draw_edges(rank, a):
    """Paints the cached scenes again and keeps their edges as bits: control/NNN.npy, uint8 [n,2048]."""
    for name in part_names(a)[rank::a.procs]:
        path = os.path.join(a.workdir, "control", name + ".npy")
        if os.path.exists(path):
            continue
        scenes = json.loads(np.load(os.path.join(a.workdir, "cache", name + ".npz"))["scenes"].tobytes())
        rows = []
        for i in range(0, len(scenes), 50):
            e = canny.edges(np.stack([painter.paint(s) for s in scenes[i:i + 50]]))
            rows.append(np.packbits(e.reshape(len(e), -1), axis=1))
        with open(path + ".tmp", "wb") as f:
            np.save(f, np.concatenate(rows))
        os.replace(path + ".tmp", path)
        print(f"edges of part {name}", flush=True)


def load_data(a):
    """Latents fp16 [n,4,16,16], edge bits uint8 [n,2048], scenes."""
    lat, bits, scenes = [], [], []
    for name in part_names(a):
        z = np.load(os.path.join(a.workdir, "cache", name + ".npz"))
        lat.append(z["latents"]), bits.append(np.load(os.path.join(a.workdir, "control", name + ".npy")))
        scenes += json.loads(z["scenes"].tobytes())
    return torch.from_numpy(np.concatenate(lat)), np.concatenate(bits), scenes


def unpack_edges(bits):
    return np.unpackbits(bits, axis=1).reshape(-1, 128, 128).astype(bool)


def start_fresh(net, hints):
    """Scales the hint block's layers, so that each puts out a spread of one; small 1x1 convolutions."""
    with torch.no_grad():
        convs = list(net.input_hint_block[::2])
        h = hints
        for i, m in enumerate(convs):
            torch.nn.init.normal_(m.weight, std=(m.in_channels * 9) ** -0.5)
            torch.nn.init.zeros_(m.bias)
            m.weight /= m(h).std()
            h = torch.nn.functional.silu(m(h))
        convs[-1].weight *= 0.5
        for m in [z[0] for z in net.zero_convs] + [net.middle_block_out[0]]:
            torch.nn.init.normal_(m.weight, std=0.1 * m.in_channels ** -0.5)
            torch.nn.init.zeros_(m.bias)


class Heldout:
    """Loss on held-out scenes at fixed noise and times, with and without the control."""

    def __init__(self, mods, tok, ac, weight, n=64):
        scenes = painter.heldout_scenes(n, seed=77)
        pics = [painter.paint(s) for s in scenes]
        g, rng = torch.Generator().manual_seed(5), np.random.default_rng(5)
        x0 = mods["vae"].encode(to_tensor(pics).contiguous(memory_format=torch.channels_last).to(BF))[0] * SCALE
        self.ts = torch.arange(n) * 1000 // n
        al = ac[self.ts][:, None, None, None]
        self.eps = torch.randn(x0.shape, generator=g)
        self.x = (al.sqrt() * x0 + (1 - al).sqrt() * self.eps).to(BF)
        words = ["" if i % 2 else painter.caption(s, rng) for i, s in enumerate(scenes)]
        self.ctx = mods["text"](torch.tensor([tok.row(w) for w in words])).to(BF)
        self.hint = torch.from_numpy(canny.hint(canny.edges(np.stack(pics)))).to(BF)
        self.weight = weight[self.ts]

    def loss(self, unet, net=None):
        with torch.no_grad():
            c = None if net is None else net(self.x, self.ts, self.ctx, net.features(self.hint))
            err = (unet(self.x, self.ts, self.ctx, c).float() - self.eps).square().mean((1, 2, 3)) * self.weight
        return err.mean().item()


def prepare(rank, a, sh, net, grp):
    """Weights of the checkpoint, or fresh ones; returns the time trained so far."""
    path, start = os.path.join(a.workdir, a.name + ".pt"), 0.0
    if rank == 0:
        sh.init()
    if os.path.exists(path):
        ck = torch.load(path)
        start = ck["time"]
        if rank == 0:
            for k in ("p", "m", "v", "ema"):
                getattr(sh, k).copy_(ck[k])
            sh.num[0] = ck["step"]
    if grp.world > 1:
        grp.dist.barrier()
    sh.attach()
    return start


def ordered(net):
    """Parameters, the fresh layers' first, and how many numbers those hold."""
    fresh = list(net.fresh().parameters())
    known = {id(p) for p in fresh}
    return fresh + [p for p in net.parameters() if id(p) not in known], sum(p.numel() for p in fresh)


def work(rank, a):
    torch.set_num_threads(1)
    grp = common.Group(rank, a.procs, a.port)
    barrier = grp.dist.barrier if a.procs > 1 else (lambda: None)
    draw_edges(rank, a)
    tok = bpe.Tokenizer(a.workdir)
    mods, _, _ = export.build(a.file)
    unet, text = mods["unet"], mods["text"]
    for p in list(unet.parameters()) + list(text.parameters()):
        p.requires_grad_(False)
    ac = alphas_cumprod().float()
    snr = ac / (1 - ac)
    weight = snr.clamp(a.low, 5) / snr
    torch.manual_seed(a.seed)
    net = ControlNet(unet).requires_grad_(True)
    barrier()  # all edges are drawn
    lat, bits, scenes = load_data(a)
    if rank == 0:
        start_fresh(net, torch.from_numpy(canny.hint(unpack_edges(bits[:64]))))
    params, fresh = ordered(net)
    name = f"pumice-control-{os.getppid() if a.procs > 1 else os.getpid()}"
    if rank == 0:
        open(f"/dev/shm/{name}", "w").close()
    barrier()
    sh = TwoRates(name, params)
    start = prepare(rank, a, sh, net, grp)
    barrier()
    if rank == 0:
        os.unlink(f"/dev/shm/{name}"), os.unlink(f"/dev/shm/{name}.lock")
        held = Heldout(mods, tok, ac, weight)
        print(f"{len(scenes)} scenes, {sh.n / 1e6:.2f} M parameters, {fresh / 1e6:.2f} M of them new; "
              f"held-out loss without control {held.loss(unet):.4f}, with {held.loss(unet, net):.4f}", flush=True)
    step = sh.step
    rng = np.random.default_rng(a.seed * 7919 + step * 2 + rank)
    torch.manual_seed(a.seed * 104729 + step * 2 + rank)
    clock = common.Clock(a.workdir, start)
    saved = said = seen_time = clock.total
    seen_step, run = step, {}
    stop = os.path.join(a.workdir, "STOP_CONTROL")
    while True:
        t = 1 if os.path.exists(stop) else clock.tick() / 60 / a.minutes
        if t >= 1:
            break
        shape = 1.0 if t < a.flat else 0.5 * (1 + math.cos(math.pi * (t - a.flat) / (1 - a.flat)))
        rate = min(1, (step + 1) / 100) * (0.02 + 0.98 * shape)
        idx = rng.integers(len(scenes), size=a.batch)
        words = ["" if rng.uniform() < a.drop else painter.caption(scenes[int(i)], rng) for i in idx]
        ts = torch.from_numpy((((np.arange(a.batch) + rng.uniform(size=a.batch)) / a.batch) ** a.noisy * 1000).astype(np.int64))
        x0 = lat[torch.from_numpy(idx)].float()
        eps = torch.randn_like(x0)
        al = ac[ts][:, None, None, None]
        x = (al.sqrt() * x0 + (1 - al).sqrt() * eps).to(BF)
        with torch.no_grad():
            ctx = text(torch.tensor([tok.row(w) for w in words])).to(BF)
        mask = unpack_edges(bits[idx])
        crossed = torch.from_numpy(mask.reshape(-1, 16, 8, 16, 8).any((2, 4)).astype(np.float32))[:, None] + 1
        e = unet(x, ts, ctx, net(x, ts, ctx, net.features(torch.from_numpy(canny.hint(mask)).to(BF)))).float()
        err = ((e - eps).square() * (crossed / crossed.mean())).mean((1, 2, 3))
        loss = (err * weight[ts]).mean()
        for p in params:
            p.grad = None
        loss.backward()
        norm = sh.update_both((a.fresh_lr * rate, a.lr * rate), fresh, a.ema)
        step = sh.step
        for k, v in (("loss", loss.item()), ("eps", err.mean().item()), ("norm", norm)):
            run[k] = 0.97 * run[k] + 0.03 * v if k in run else v
        if rank:
            continue
        if clock.total - said > 60:
            per = (step - seen_step) * a.batch / (clock.total - seen_time)
            said = seen_time = clock.total
            seen_step = step
            print(f"{clock.total:7.0f}s step {step} " + " ".join(f"{k} {v:.4f}" for k, v in run.items()) +
                  f" held-out {held.loss(unet, net):.4f} rate {rate:.2f} {per:.0f}/s", flush=True)
        if clock.total - saved > a.save_every:
            saved = clock.total
            checkpoint(a, sh, clock.total)
    barrier()
    if rank == 0:
        checkpoint(a, sh, clock.total)


def checkpoint(a, sh, total):
    common.save({k: getattr(sh, k).clone() for k in ("p", "m", "v", "ema")} | {"time": total, "step": sh.step},
                os.path.join(a.workdir, a.name + ".pt"))


def write(a):
    """The averaged weights as a published single file holds them, fp16; read back."""
    net = ControlNet(export.build(a.file)[0]["unet"])
    ck, pos = torch.load(os.path.join(a.workdir, a.name + ".pt")), 0
    for p in ordered(net)[0]:
        p.data = ck["ema"][pos:pos + p.numel()].view(p.shape).clone()
        pos += p.numel()
    out = {PREFIX + n: v.detach().numpy().astype(np.float16) for n, v in net.state_dict().items()}
    unet = {k: CONFIG["unet"][k] for k in ("model_channels", "channel_mult", "num_res_blocks", "attention_resolutions", "num_heads", "context_dim")}
    meta = {"format": "pt", "tiny_config": json.dumps({"kind": "controlnet-sd1", "unet": unet, "hint_channels": 3}), "license": "MIT",
            "title": "Pumice starter model: Canny control", "note": a.note}
    safetensors.save(a.out, out, meta)
    load(a.out, export.build(a.file)[0]["unet"])
    data = open(a.out, "rb").read()
    print(f"{a.out}: {len(out)} tensors, {len(data) / 1e6:.2f} MB, largest weight {max(float(np.abs(v).max()) for v in out.values()):.1f}, "
          f"step {ck['step']}, {ck['time'] / 60:.1f} min, sha256 {hashlib.sha256(data).hexdigest()}")


def load(file, unet):
    """The network (fp32) of an exported file; every tensor must find its place."""
    net = ControlNet(unet)
    t, _ = safetensors.load(file)
    net.load_state_dict({n[len(PREFIX):]: torch.from_numpy(v.astype(np.float32)) for n, v in t.items()})
    return net


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--workdir", default=common.default_workdir())
    ap.add_argument("--file", required=True, help="the finished model (export.py's)")
    ap.add_argument("--name", default="control", help="the checkpoint's")
    ap.add_argument("--out", help="writes the checkpoint's averaged weights here at the end")
    ap.add_argument("--minutes", type=float, default=30, help="total training time, also the learning rate's horizon; 0 only writes --out")
    ap.add_argument("--parts", type=int, default=12, help="parts of the cache that are used")
    ap.add_argument("--procs", type=int, default=2, choices=(1, 2))
    ap.add_argument("--port", type=int, default=29613)
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--lr", type=float, default=3e-4, help="of the copied layers")
    ap.add_argument("--fresh-lr", type=float, default=1e-3, help="of the hint block and the 1x1 convolutions")
    ap.add_argument("--flat", type=float, default=0.4, help="share of the time at the full learning rate")
    ap.add_argument("--low", type=float, default=0.35, help="least weight of a step on the latent's error")
    ap.add_argument("--noisy", type=float, default=0.7, help="times are 1000 u^NOISY; 1 is uniform")
    ap.add_argument("--drop", type=float, default=0.4, help="share of empty captions")
    ap.add_argument("--ema", type=float, default=0.998)
    ap.add_argument("--save-every", type=float, default=120)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--note", default="")
    args = ap.parse_args()
    os.makedirs(os.path.join(args.workdir, "control"), exist_ok=True)
    if args.minutes > 0:
        common.launch(work, args, args.procs, args.port)
    if args.out:
        write(args)
