#!/usr/bin/env python3
"""Stage 1: the autoencoder.

Starts as a pass-through: colours are carried to three latent channels, residual branches are
zero, down-convolutions average, the two output convolutions are fitted by least squares. Then
L1 + pooled L1 + gradient L1, a small penalty on the latents' size and fixed noise on the
latents (in place of the learned variance). First on 64x64 crops, at the end on whole pictures.

    train_vae.py --workdir DIR --minutes 30 --procs 2
    train_vae.py --workdir DIR --decoder-minutes 20     # later: the decoder alone, latents fixed
"""
import common

common.ensure_env()
import argparse  # noqa: E402
import math  # noqa: E402
import os  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import painter  # noqa: E402
from model import Autoencoder, VaeAttn, VaeRes  # noqa: E402

NOISE = 0.05  # of a latent's standard deviation, about
BF = torch.bfloat16


def to_tensor(pics):
    x = torch.from_numpy(np.stack(pics)).float() / 127.5 - 1
    return x.permute(0, 3, 1, 2)


def passthrough(m, pics):
    """The initial state described above; prints how well it reproduces the pictures."""
    g = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for r in m.modules():
            if isinstance(r, VaeRes):
                r.conv2.weight.zero_(), r.conv2.bias.zero_()
                if hasattr(r, "nin_shortcut"):
                    o, i = r.nin_shortcut.weight.shape[:2]
                    w = torch.empty(o, i)
                    torch.nn.init.orthogonal_(w)
                    r.nin_shortcut.weight.copy_(w[:, :, None, None] * (max(o, i) / i) ** 0.5), r.nin_shortcut.bias.zero_()
            elif isinstance(r, VaeAttn):
                r.proj_out.weight.zero_(), r.proj_out.bias.zero_()
        # Pairs of channels form a norm group: one carries a colour mix, its partner nearly a constant,
        # so that the group's mean and size still tell the colour.
        w = torch.randn(64, 3, 3, 3, generator=g) * 0.03
        b = torch.zeros(64)
        w[0::2, :, 1, 1] += F.normalize(torch.randn(32, 3, generator=g), dim=1)
        b[1::2] = torch.randn(32, generator=g).sign() * (0.6 + torch.rand(32, generator=g))
        m.encoder.conv_in.weight.copy_(w), m.encoder.conv_in.bias.copy_(b)
        for d in list(m.encoder.down)[:-1]:
            c = d.downsample.conv.weight.shape[0]
            k = torch.zeros(c, c, 3, 3)
            k[:, :, :2, :2] = torch.eye(c)[:, :, None, None] / 4
            d.downsample.conv.weight.copy_(k), d.downsample.conv.bias.zero_()
        w = torch.randn(128, 4, 3, 3, generator=g) * 0.03
        w[0::2, :, 1, 1] += F.normalize(torch.randn(64, 4, generator=g), dim=1)
        b = torch.zeros(128)
        b[1::2] = torch.randn(64, generator=g).sign() * (0.6 + torch.rand(64, generator=g))
        m.decoder.conv_in.weight.copy_(w), m.decoder.conv_in.bias.copy_(b)
        smooth = torch.tensor([1.0, 2, 1])
        smooth = (smooth[:, None] * smooth[None]) / 16
        for u in list(m.decoder.up)[1:]:
            c = u.upsample.conv.weight.shape[0]
            u.upsample.conv.weight.copy_(torch.eye(c)[:, :, None, None] * smooth), u.upsample.conv.bias.zero_()
        m.quant_conv.weight.copy_(torch.eye(8)[:, :, None, None]), m.quant_conv.bias.zero_()
        m.post_quant_conv.weight.copy_(torch.eye(4)[:, :, None, None]), m.post_quant_conv.bias.zero_()

        def fit(conv, feats, target, ridge):
            n, c, h, wd = feats.shape
            a = F.unfold(feats.float(), 3, padding=1).transpose(1, 2).reshape(-1, c * 9)
            y = target.permute(0, 2, 3, 1).reshape(-1, target.shape[1])
            pick = torch.randperm(len(a), generator=g)[:60000]
            a, y = torch.cat([a[pick], torch.ones(len(pick), 1)], 1).double(), y[pick].double()
            s = torch.linalg.solve(a.T @ a + ridge * len(a) * torch.eye(a.shape[1], dtype=torch.float64), a.T @ y).float()
            conv.weight[:s.shape[1]] = s[:-1].T.reshape(-1, c, 3, 3)
            conv.bias[:s.shape[1]] = s[-1]

        x = to_tensor(pics)
        small = F.avg_pool2d(x, 8) * 2.0
        lum = x.mean(1, keepdim=True)
        side = F.avg_pool2d(lum, 4)[..., 1::2] - F.avg_pool2d(lum, 4)[..., 0::2]
        side = F.avg_pool2d(side, (2, 1)) * 3
        z = torch.cat([small, side], 1)
        m.encoder.conv_out.weight.zero_(), m.encoder.conv_out.bias.zero_()
        fit(m.encoder.conv_out, torch.cat([m.encoder.features(p.to(BF)) for p in x.split(16)]), z, 1e-4)
        z2 = torch.cat([m.encode(p.to(BF))[0] for p in x.split(16)])
        feats = torch.cat([m.decoder.features(p.to(BF)) for p in z2[:24].split(8)])
        fit(m.decoder.conv_out, feats, x[:24], 1e-5)


def psnr(m, x):
    with torch.no_grad():
        e = 0.0
        for p in x.split(8):
            y = m.decode(m.encode(p.to(BF))[0], BF).float().clamp(-1, 1)
            e += ((y - p) / 2).square().mean((1, 2, 3)).log10().sum().item()
    return -10 * e / len(x)


def loss_fn(y, x):
    loss = (y - x).abs().mean()
    d = y - x
    for _ in range(3):
        d = F.avg_pool2d(d, 2)
        loss = loss + 0.5 * d.abs().mean()
    gx = (y[..., 1:] - y[..., :-1]) - (x[..., 1:] - x[..., :-1])
    gy = (y[..., 1:, :] - y[..., :-1, :]) - (x[..., 1:, :] - x[..., :-1, :])
    return loss + 0.5 * (gx.abs().mean() + gy.abs().mean())


def work(rank, a):
    torch.set_num_threads(1)
    grp = common.Group(rank, a.procs, a.port)
    path = os.path.join(a.workdir, "vae.pt")
    torch.manual_seed(a.seed)
    m = Autoencoder()
    start, step = 0.0, 0
    held = [painter.make(np.random.default_rng(10_000_000 + i))[0] for i in range(32)]
    test = to_tensor(held)
    if os.path.exists(path):
        ck = torch.load(path)
        m.load_state_dict(ck["model"])
        start, step = ck["time"], ck["step"]
    elif rank == 0:
        r = np.random.default_rng(7)
        passthrough(m, [painter.make(r)[0] for _ in range(64)])
        print("pass-through %.2f dB" % psnr(m, test), flush=True)
    params = list(m.parameters())
    grp.sync_params(params)
    opt = torch.optim.AdamW(params, lr=a.lr, betas=(0.9, 0.99), weight_decay=1e-4)
    ema = [p.detach().clone() for p in params]
    if os.path.exists(path):
        opt.load_state_dict(ck["opt"])
        ema = ck["ema"]
    rng = np.random.default_rng(a.seed * 1000 + rank * 77 + step)
    pool = [painter.make(rng)[0] for _ in range(a.pool)]
    clock = common.Clock(a.workdir, start)
    saved = said = clock.total
    run = 0.0
    while True:
        t = grp.agree(clock.tick() / 60 / a.minutes)
        if t >= 1:
            break
        lr = a.lr * min(1, (step + 1) / 50) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * t)))
        for gq in opt.param_groups:
            gq["lr"] = lr
        whole = t > a.whole_from
        for _ in range(3):
            pool[int(rng.integers(len(pool)))] = painter.make(rng)[0]
        if whole:
            x = to_tensor([pool[int(i)] for i in rng.integers(len(pool), size=a.batch // 4)])
        else:
            crops = []
            for i in rng.integers(len(pool), size=a.batch):
                u, v = rng.integers(0, 65, 2)
                crops.append(pool[int(i)][u:u + 64, v:v + 64])
            x = to_tensor(crops)
        x = x.contiguous(memory_format=torch.channels_last)
        z = m.encode(x.to(BF))[0]
        y = m.decode(z + NOISE * torch.randn_like(z), BF).float()
        rec = loss_fn(y, x)
        loss = rec + 1e-3 * z.square().mean()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        grp.average_grads(params)
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        step += 1
        d = min(0.998, (step + 1) / (step + 20))
        torch._foreach_mul_(ema, d)
        torch._foreach_add_(ema, [p.detach() for p in params], alpha=1 - d)
        run = 0.98 * run + 0.02 * rec.item() if run else rec.item()
        if rank == 0:
            if clock.total - said > 30:
                said = clock.total
                print(f"{clock.total:7.0f}s step {step} loss {run:.4f} lr {lr:.2e}", flush=True)
            if clock.total - saved > a.save_every:
                saved = clock.total
                checkpoint(path, m, opt, ema, params, clock.total, step, test)
    if rank == 0:
        checkpoint(path, m, opt, ema, params, clock.total, step, test)
        finish(a.workdir, m, ema, params)


def refine(rank, a):
    """The decoder alone, with the encoder as it is in vae_final.pt: cached latents stay valid."""
    torch.set_num_threads(1)
    grp = common.Group(rank, a.procs, a.port)
    path, state = os.path.join(a.workdir, "vae_final.pt"), os.path.join(a.workdir, "vae_refine.pt")
    m = Autoencoder()
    m.load_state_dict(torch.load(path))
    params = list(m.decoder.parameters()) + list(m.post_quant_conv.parameters())
    opt = torch.optim.AdamW(params, lr=a.lr, betas=(0.9, 0.99), weight_decay=1e-4)
    ema, start, step = [p.detach().clone() for p in params], 0.0, 0
    if os.path.exists(state):
        ck = torch.load(state)
        opt.load_state_dict(ck["opt"])
        ema, start, step = ck["ema"], ck["time"], ck["step"]
        for p, v in zip(params, ck["params"]):
            p.data.copy_(v)
    test = to_tensor([painter.make(np.random.default_rng(10_000_000 + i))[0] for i in range(32)])
    rng = np.random.default_rng(a.seed * 1000 + 500 + rank * 77 + step)
    clock = common.Clock(a.workdir, start)
    saved = said = clock.total
    run = 0.0

    def keep():
        now = [p.detach().clone() for p in params]
        common.save({"opt": opt.state_dict(), "ema": ema, "params": now, "time": clock.total, "step": step}, state)
        with torch.no_grad():
            for p, e in zip(params, ema):
                p.copy_(e)
            print(f"{clock.total:7.0f}s decoder step {step} held-out PSNR {psnr(m, test):.2f} dB", flush=True)
            y = m.decode(m.encode(test[:8].to(BF))[0], BF).float().clamp(-1, 1)
            both = [((v.permute(1, 2, 0) + 1) * 127.5).round().byte().numpy() for v in torch.cat([test[:8], y])]
            from png import write_png
            write_png(os.path.join(a.workdir, "vae.png"), painter.sheet(both, 8))
            common.save(m.state_dict(), path)
            for p, n in zip(params, now):
                p.copy_(n)

    while True:
        t = grp.agree(clock.tick() / 60 / a.decoder_minutes)
        if t >= 1:
            break
        for g in opt.param_groups:
            g["lr"] = a.lr * min(1, (step + 1) / 50) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * t)))
        x = to_tensor([painter.make(rng)[0] for _ in range(a.batch // 4)]).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            z = m.encode(x.to(BF))[0]
            z = z + NOISE / 0.18215 * torch.randn_like(z)
        rec = loss_fn(m.decode(z, BF).float(), x)
        opt.zero_grad(set_to_none=True)
        rec.backward()
        grp.average_grads(params)
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        step += 1
        d = min(0.998, (step + 1) / (step + 20))
        torch._foreach_mul_(ema, d)
        torch._foreach_add_(ema, [p.detach() for p in params], alpha=1 - d)
        run = 0.98 * run + 0.02 * rec.item() if run else rec.item()
        if rank == 0:
            if clock.total - said > 30:
                said = clock.total
                print(f"{clock.total:7.0f}s decoder step {step} loss {run:.4f}", flush=True)
            if clock.total - saved > a.save_every:
                saved = clock.total
                keep()
    if rank == 0:
        keep()


def checkpoint(path, m, opt, ema, params, total, step, test):
    common.save({"model": m.state_dict(), "opt": opt.state_dict(), "ema": ema, "time": total, "step": step}, path)
    now = [p.detach().clone() for p in params]
    with torch.no_grad():
        for p, e in zip(params, ema):
            p.copy_(e)
        print(f"{total:7.0f}s step {step} held-out PSNR {psnr(m, test):.2f} dB", flush=True)
        sample = test[:8]
        y = m.decode(m.encode(sample.to(BF))[0], BF).float().clamp(-1, 1)
        both = [((v.permute(1, 2, 0) + 1) * 127.5).round().byte().numpy() for v in torch.cat([sample, y])]
        from png import write_png
        write_png(os.path.join(os.path.dirname(path), "vae.png"), painter.sheet(both, 8))
        for p, n in zip(params, now):
            p.copy_(n)


def finish(workdir, m, ema, params, n=256):
    """Averaged weights, latents whitened exactly inside quant_conv and post_quant_conv."""
    with torch.no_grad():
        for p, e in zip(params, ema):
            p.copy_(e)
        rng = np.random.default_rng(99)
        x = to_tensor([painter.make(rng)[0] for _ in range(n)])
        z = torch.cat([m.encode(p.to(BF))[0] for p in x.split(16)]).double()
        flat = z.permute(0, 2, 3, 1).reshape(-1, 4)
        mu = flat.mean(0)
        val, vec = torch.linalg.eigh((flat - mu).T @ (flat - mu) / len(flat))
        k = 1 / 0.18215
        fwd = torch.diag(val ** -0.5) @ vec.T * k
        back = torch.linalg.inv(fwd)
        q, qb = m.quant_conv.weight[:4, :4, 0, 0].double(), m.quant_conv.bias[:4].double()
        p, pb = m.post_quant_conv.weight[:, :, 0, 0].double(), m.post_quant_conv.bias.double()
        m.quant_conv.weight.zero_()
        m.quant_conv.weight[:4, :4, 0, 0] = (fwd @ q).float()
        m.quant_conv.bias[:4] = (fwd @ (qb - mu)).float()
        m.quant_conv.bias[4:] = 2 * math.log(NOISE * k)  # the log variance is a constant
        m.encoder.conv_out.weight[4:] = 0
        m.encoder.conv_out.bias[4:] = 0
        m.post_quant_conv.weight[:, :, 0, 0] = (p @ back).float()
        m.post_quant_conv.bias.copy_((p @ mu + pb).float())
        common.save(m.state_dict(), os.path.join(workdir, "vae_final.pt"))
        print("whitened; variances before: " + " ".join("%.3f" % v for v in val), flush=True)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--workdir", default=common.default_workdir())
    ap.add_argument("--minutes", type=float, default=30)
    ap.add_argument("--decoder-minutes", type=float, default=0, help="instead: train only the decoder, from vae_final.pt")
    ap.add_argument("--procs", type=int, default=2)
    ap.add_argument("--port", type=int, default=29611)
    ap.add_argument("--batch", type=int, default=16, help="64x64 crops a process")
    ap.add_argument("--pool", type=int, default=1500)
    ap.add_argument("--lr", type=float, default=3e-4)
    ap.add_argument("--whole-from", type=float, default=0.6, help="share of the time after which whole pictures are used")
    ap.add_argument("--save-every", type=float, default=180)
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    os.makedirs(args.workdir, exist_ok=True)
    t0 = time.time()
    common.launch(refine if args.decoder_minutes else work, args, args.procs, args.port)
    print("done in %.0f s" % (time.time() - t0))
