#!/usr/bin/env python3
"""The judge: a small classifier of painted pictures, asked about pictures made from 200 prompts
whose combinations (sky, ground, object, colour, side) never occurred in training.

    judge.py train   --workdir DIR                   # trains it, states its own accuracy
    judge.py prompts --workdir DIR                   # prints the prompts, one a line
    judge.py sample  --workdir DIR --name unet       # torch pictures of a checkpoint, judged
    judge.py sample  --workdir DIR --file X.safetensors
    judge.py folder  --workdir DIR --pictures FOLDER # 000.png ... 199.png, made by pumice
"""
import common

common.ensure_env()
import argparse  # noqa: E402
import os  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn as nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import painter  # noqa: E402
from model import SCALE, Autoencoder, Conv, Linear, ddim  # noqa: E402
from png import read_png, write_png  # noqa: E402

HEADS = {"sky": painter.SKIES, "ground": painter.GROUNDS, "object": painter.OBJECTS, "colour": painter.COLOURS, "side": painter.SIDES}
BF = torch.bfloat16


class Judge(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([Conv(3, 32, 3, 2, 1), Conv(32, 64, 3, 2, 1), Conv(64, 96, 3, 1, 1), Conv(96, 128, 3, 2, 1)])
        self.hidden = Linear(128 * 64, 192)
        self.heads = nn.ModuleDict({k: Linear(192, len(v)) for k, v in HEADS.items()})

    def forward(self, x, drop=0.0):
        """x: 64x64 pictures in [-1,1]."""
        for c in self.convs:
            x = F.relu(c(x))
        h = F.relu(self.hidden(F.dropout(x.flatten(1), drop))).float()
        return {k: f(F.dropout(h, drop)) for k, f in self.heads.items()}


def small(pics):
    """uint8 [n,128,128,3] (or any even size: reduced to 64x64) to the judge's input."""
    x = torch.from_numpy(np.ascontiguousarray(pics)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return F.adaptive_avg_pool2d(x, 64)


def to_uint8(x):
    """Decoded pictures to bytes, truncating as the engine does."""
    return ((x.clamp(-1, 1) + 1) * 127.5).byte().permute(0, 2, 3, 1).contiguous().numpy()


def load_vae(workdir):
    vae = Autoencoder()
    vae.load_state_dict(torch.load(os.path.join(workdir, "vae_final.pt")))
    return vae


def train(a):
    import cache
    d = cache.load(a.workdir, ["small", "labels"])
    pics, lab = d["small"], torch.from_numpy(d["labels"][:len(d["small"])]).long()
    print(len(pics), "pictures")
    m = Judge()
    if os.path.exists(os.path.join(a.workdir, "vae_final.pt")):
        vae = load_vae(a.workdir)
        lat = torch.from_numpy(cache.load(a.workdir, ["latents"])["latents"][:a.decoded]).float()
        with torch.no_grad():
            dec = np.concatenate([(small(to_uint8(vae.decode(z / SCALE, BF).float())) * 127.5 + 127.5).round().byte().permute(0, 2, 3, 1).numpy()
                                  for z in lat.split(16)])
        pics, lab = np.concatenate([pics, dec, dec]), torch.cat([lab, lab[:a.decoded], lab[:a.decoded]])
    opt = torch.optim.AdamW(m.parameters(), lr=1e-3, weight_decay=1e-2)
    rng, t0 = np.random.default_rng(3), time.time()
    total = int(a.epochs * len(pics) / 64)
    for step in range(total):
        for g in opt.param_groups:
            g["lr"] = 1e-3 * min(1, (step + 1) / 100) * max(0.02, 1 - step / total)
        i = rng.integers(len(pics), size=64)
        x = torch.from_numpy(pics[i]).permute(0, 3, 1, 2).float() / 127.5 - 1
        u = rng.uniform()
        if u < 0.3:  # softened, as an autoencoder does
            x = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
        x = x + torch.randn_like(x) * (0.08 * rng.uniform()) + 0.03 * torch.randn(len(i), 3, 1, 1)
        out = m(x.to(BF), 0.1)
        y = lab[i]
        loss = F.cross_entropy(out["sky"], y[:, 0]) + F.cross_entropy(out["ground"], y[:, 1])
        one = y[:, 6] == 1
        for k, j in (("object", 2), ("colour", 3), ("side", 4)):
            if one.any():
                loss = loss + F.cross_entropy(out[k][one], y[one, j])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        if step % 500 == 0:
            print(f"{time.time() - t0:6.0f}s {step}/{total} loss {loss.item():.3f}", flush=True)
    common.save(m.state_dict(), os.path.join(a.workdir, "judge.pt"))
    accuracy(a)


def accuracy(a, n=600):
    """On fresh paintings of held-out combinations, as painted and through the autoencoder."""
    m = load_judge(a.workdir)
    sc = painter.heldout_scenes(n, seed=777)
    pics = np.stack([painter.paint(s) for s in sc])
    report("painted", verdicts(m, pics, sc))
    if os.path.exists(os.path.join(a.workdir, "vae_final.pt")):
        from train_vae import to_tensor
        vae, out = load_vae(a.workdir), []
        with torch.no_grad():
            for i in range(0, n, 16):
                out.append(to_uint8(vae.decode(vae.encode(to_tensor(list(pics[i:i + 16])).to(BF))[0], BF).float()))
        report("painted, through the autoencoder", verdicts(m, np.concatenate(out), sc))


def load_judge(workdir):
    m = Judge()
    m.load_state_dict(torch.load(os.path.join(workdir, "judge.pt")))
    return m


def verdicts(m, pics, scenes):
    """bool [n,5]: sky, ground, object, colour, side right."""
    with torch.no_grad():
        got = [m(x.to(BF)) for x in small(pics).split(64)]
    got = torch.stack([torch.cat([g[k] for g in got]).argmax(1) for k in HEADS], 1)
    want = torch.tensor([painter.labels(s)[:5] for s in scenes])
    return (got == want).numpy()


def report(name, v):
    print(f"{name}: " + " ".join(f"{k} {x:.3f}" for k, x in zip(HEADS, v.mean(0))) + f" all {v.all(1).mean():.3f} ({len(v)} pictures)", flush=True)


def judged_prompts(n):
    scenes = painter.heldout_scenes(n)
    rng = np.random.default_rng(11)
    return scenes, [painter.caption(s, rng) for s in scenes]


def context_fn(a):
    """unet, vae, and a function from captions to contexts."""
    import bpe
    tok = bpe.Tokenizer(a.workdir)
    if a.file:
        import export
        mods, _, _ = export.build(a.file)
        return mods["unet"], mods["vae"], lambda c: mods["text"](torch.tensor([tok.row(t) for t in c]))
    from train_unet import load_models
    unet, text, rows, ck = load_models(os.path.join(a.workdir, a.name + ".pt"))
    print(f"checkpoint at {ck['time'] / 60:.1f} min, step {ck['step']}")
    remap = np.full(49408, len(rows), np.int64)
    remap[rows] = np.arange(len(rows))
    return unet, load_vae(a.workdir), lambda c: text(torch.from_numpy(remap[np.array([tok.row(t) for t in c])]))


def generate(a, prompts, seed):
    unet, vae, ctx = context_fn(a)
    out, g = [], torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for i in range(0, len(prompts), 20):
            c = prompts[i:i + 20]
            z = ddim(unet, ctx(c), ctx([""]), torch.randn(len(c), 4, 16, 16, generator=g), a.steps, a.cfg, BF)
            out.append(to_uint8(vae.decode(z / SCALE, BF).float()))
    return np.concatenate(out)


SHOW = ["a lighthouse at sunset", "two sailing boats on a calm sea at night", "a red house on green hills under a blue sky",
        "a purple castle in the mountains at dawn", "a green cactus in the desert at sunset with the sun on the left",
        "a white windmill on a snowy field in falling snow", "a hot air balloon over the sea at sunrise, on the right",
        "an orange tent in the forest at night with a full moon", "a pink tree by a lake on a cloudy day",
        "a yellow house on the left and a blue tree on the right in the snow", "a small blue boat on a lake in the rain",
        "a huge white castle in the desert under a starry sky", "a red balloon above the city at night",
        "a red windmill and a green house in a meadow", "an empty landscape with mountains at sunset", "a beautiful old lighthouse by the sea in a storm"]


def sample(a):
    t0 = time.time()
    if a.show:
        pics = generate(a, SHOW, a.seed)
        write_png(os.path.join(a.workdir, a.sheet), painter.sheet(list(pics), 4 if len(pics) <= 16 else 10))
        print("%.0f s" % (time.time() - t0))
        return
    scenes, prompts = judged_prompts(a.n)
    pics = generate(a, prompts, a.seed)
    write_png(os.path.join(a.workdir, a.sheet), painter.sheet(list(pics[:60]), 10))
    if os.path.exists(os.path.join(a.workdir, "judge.pt")):
        v = verdicts(load_judge(a.workdir), pics, scenes)
        report(f"cfg {a.cfg} steps {a.steps}", v)
    print("%.0f s" % (time.time() - t0))


def folder(a):
    scenes, _ = judged_prompts(a.n)
    pics = np.stack([read_png(os.path.join(a.pictures, f"{i:03d}.png")) for i in range(a.n)])
    report(a.pictures, verdicts(load_judge(a.workdir), pics, scenes))


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("mode", choices=["train", "accuracy", "prompts", "sample", "folder"])
    ap.add_argument("--workdir", default=common.default_workdir())
    ap.add_argument("--name", default="unet")
    ap.add_argument("--file", default="")
    ap.add_argument("--pictures", default="")
    ap.add_argument("--sheet", default="judged.png")
    ap.add_argument("--show", action="store_true", help="a fixed list of 16 prompts instead, not judged")
    ap.add_argument("--n", type=int, default=200)
    ap.add_argument("--steps", type=int, default=20)
    ap.add_argument("--cfg", type=float, default=4.5)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--epochs", type=float, default=6)
    ap.add_argument("--decoded", type=int, default=2000, help="training pictures that also pass through the autoencoder")
    args = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if args.mode == "prompts":
        print("\n".join(judged_prompts(args.n)[1]))
    else:
        {"train": train, "accuracy": accuracy, "sample": sample, "folder": folder}[args.mode](args)
