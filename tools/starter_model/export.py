#!/usr/bin/env python3
"""Writes the single-file SD 1.x checkpoint (fp16) from the averaged weights, and reads it back.

    export.py --workdir DIR --out starter.safetensors
    export.py --workdir DIR --unpack starter.safetensors   # the reverse, to go on training elsewhere
"""
import common

common.ensure_env()
import argparse  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

import safetensors  # noqa: E402
from model import CONFIG, Autoencoder, TextEncoder, UNet, alphas_cumprod  # noqa: E402

PARTS = {"unet": "model.diffusion_model.", "vae": "first_stage_model.", "text": "cond_stage_model.transformer.text_model."}


def build(file):
    """Modules (fp32) from a checkpoint file; the reverse of `main`. Every tensor must find its place."""
    t, meta = safetensors.load(file)
    cfg = json.loads(meta.get("tiny_config", "null")) or CONFIG
    mods = {"unet": UNet(cfg["unet"]), "vae": Autoencoder(cfg["vae"]), "text": TextEncoder(cfg["text"]["vocab"], cfg["text"])}
    used = 0
    for k, prefix in PARTS.items():
        sd = {n[len(prefix):]: torch.from_numpy(v.astype(np.float32)) for n, v in t.items()
              if n.startswith(prefix) and not n.endswith("position_ids")}
        mods[k].load_state_dict(sd)
        used += len(sd)
    rest = [n for n in t if not any(n.startswith(p) for p in PARTS.values())]
    return mods, meta, rest


def unpack(a):
    """vae_final.pt and a UNet checkpoint (fresh optimizer) from an exported file."""
    import bpe
    from train_unet import caption_rows
    mods, _, _ = build(a.unpack)
    os.makedirs(a.workdir, exist_ok=True)
    common.save(mods["vae"].state_dict(), os.path.join(a.workdir, "vae_final.pt"))
    rows = caption_rows(bpe.Tokenizer(a.workdir))
    table = mods["text"].embeddings.token_embedding
    table.weight = torch.nn.Parameter(torch.cat([table.weight[rows], table.weight[:1]]))  # row 0 is no caption's word
    flat = torch.cat([p.detach().reshape(-1) for m in ("unet", "text") for p in mods[m].parameters()])
    common.save({"p": flat, "ema": flat.clone(), "m": torch.zeros_like(flat), "v": torch.zeros_like(flat), "rows": rows, "time": 0.0, "step": 0},
                os.path.join(a.workdir, a.name + ".pt"))
    print(f"{flat.numel() / 1e6:.2f} M parameters and the autoencoder written to {a.workdir}")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--workdir", default=common.default_workdir())
    ap.add_argument("--name", default="unet", help="checkpoint of the UNet stage")
    ap.add_argument("--out")
    ap.add_argument("--unpack")
    ap.add_argument("--note", default="")
    a = ap.parse_args()
    if a.unpack:
        return unpack(a)
    torch.manual_seed(0)
    vae = Autoencoder()
    p = os.path.join(a.workdir, "vae_final.pt")
    if os.path.exists(p):
        vae.load_state_dict(torch.load(p))
    p = os.path.join(a.workdir, a.name + ".pt")
    if os.path.exists(p):
        from train_unet import load_models
        unet, text, rows, _ = load_models(p)
    else:  # geometry only
        unet, text, rows = UNet(), TextEncoder(3), [49406, 49407]
    out = {}
    for k, m in (("unet", unet), ("vae", vae), ("text", text)):
        for n, v in m.state_dict().items():
            out[PARTS[k] + n] = v.detach().numpy()
    key = PARTS["text"] + "embeddings.token_embedding.weight"
    table = np.repeat(out[key][-1:], 49408, 0)  # every other word: the unknown word's row
    table[rows] = out[key][:-1]
    out[key] = table
    worst = max(float(np.abs(v).max()) for v in out.values())
    if not worst < 60000:
        raise SystemExit(f"a weight of {worst} does not fit fp16")
    out = {n: v.astype(np.float16) for n, v in out.items()}
    out[PARTS["text"] + "embeddings.position_ids"] = np.arange(77, dtype=np.int64)[None]
    ac = alphas_cumprod().numpy()
    out["alphas_cumprod"] = ac.astype(np.float32)
    out["betas"] = (1 - ac / np.concatenate([[1.0], ac[:-1]])).astype(np.float32)
    short = {"family": "sd1", "num_heads": CONFIG["unet"]["num_heads"], "clip_heads": CONFIG["text"]["heads"], "prediction": "eps",
             "scale_factor": 0.18215, "width": 128, "height": 128, "steps": 20, "cfg": 4.5}
    meta = {"format": "pt", "pumice.config": json.dumps(short), "tiny_config": json.dumps(CONFIG), "license": "MIT",
            "title": "Pumice starter model", "note": a.note}
    safetensors.save(a.out, out, meta)
    mods, meta2, rest = build(a.out)
    assert meta2 == meta and sorted(rest) == ["alphas_cumprod", "betas"]
    d = max((mods[k].state_dict()[n] - v).abs().max().item() for k, m in (("unet", unet), ("vae", vae)) for n, v in m.state_dict().items())
    data = open(a.out, "rb").read()
    print(f"{a.out}: {len(out)} tensors, {len(data) / 1e6:.2f} MB, largest weight {worst:.1f}, largest rounding {d:.1e}, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
