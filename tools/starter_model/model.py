"""The SD 1.x architecture in small, with the key names of published single-file checkpoints.

Parameters are kept in fp32; the layers compute in the dtype of their input (bf16 while
training, fp32 for reference). GroupNorm always has 32 groups; its eps is 1e-5 in the UNet's
ResBlocks and output, 1e-6 in SpatialTransformer and in the autoencoder.
"""
import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

import fused

CONFIG = {
    "kind": "sd1", "prediction": "eps",
    "unet": {"model_channels": 64, "channel_mult": [1, 2, 3], "num_res_blocks": 1, "attention_resolutions": [4, 2, 1],
             "num_heads": 8, "context_dim": 64, "in_channels": 4, "out_channels": 4, "transformer_depth": 1,
             "use_linear_in_transformer": False},
    "vae": {"ch": 64, "ch_mult": [1, 1, 2, 2], "num_res_blocks": 1, "z_channels": 4, "scale_factor": 0.18215},
    "text": {"width": 64, "heads": 1, "layers": 4, "vocab": 49408, "context_length": 77, "intermediate": 256,
             "act": "quick_gelu", "layout": "hf"},
}
SCALE = 0.18215
EOT = 49407


class Conv(nn.Conv2d):
    def forward(self, x):
        w = self.weight.to(x.dtype).contiguous(memory_format=torch.channels_last) if x.dtype != torch.float32 else self.weight
        return F.conv2d(x, w, self.bias.to(x.dtype), self.stride, self.padding)


class Linear(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype), None if self.bias is None else self.bias.to(x.dtype))


class GroupNorm(nn.Module):
    def __init__(self, c, eps):
        super().__init__()
        self.weight, self.bias, self.eps = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c)), eps

    def forward(self, x, silu=False):
        return fused.group_norm(x, self.weight, self.bias, 32, self.eps, silu)


class LayerNorm(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))

    def forward(self, x):
        return fused.layer_norm(x, self.weight, self.bias, 1e-5)


def zero(m):
    for p in m.parameters():
        nn.init.zeros_(p)
    return m


def nearest2(x):
    """Nearest upsampling by 2 that keeps channels innermost."""
    n, c, h, w = x.shape
    t = x.permute(0, 2, 3, 1)[:, :, None, :, None, :].expand(n, h, 2, w, 2, c).reshape(n, 2 * h, 2 * w, c)
    return t.permute(0, 3, 1, 2)


# ------------------------------------------------------------------ autoencoder

class VaeRes(nn.Module):
    def __init__(self, ci, co):
        super().__init__()
        self.norm1, self.conv1 = GroupNorm(ci, 1e-6), Conv(ci, co, 3, padding=1)
        self.norm2, self.conv2 = GroupNorm(co, 1e-6), Conv(co, co, 3, padding=1)
        if ci != co:
            self.nin_shortcut = Conv(ci, co, 1)

    def forward(self, x):
        h = self.conv1(self.norm1(x, True))
        h = self.conv2(self.norm2(h, True))
        return (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x) + h


class VaeAttn(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm = GroupNorm(c, 1e-6)
        self.q, self.k, self.v, self.proj_out = Conv(c, c, 1), Conv(c, c, 1), Conv(c, c, 1), Conv(c, c, 1)

    def forward(self, x):
        n, c, h, w = x.shape
        t = self.norm(x)
        q, k, v = (f(t).permute(0, 2, 3, 1).reshape(n, h * w, c) for f in (self.q, self.k, self.v))
        y = fused.attention(q, k, v).reshape(n, h, w, c).permute(0, 3, 1, 2)
        return x + self.proj_out(y)


class Box(nn.Module):
    """A holder of named children."""

    def __init__(self, **kw):
        super().__init__()
        for k, v in kw.items():
            setattr(self, k, v)


class Encoder(nn.Module):
    def __init__(self, ch, mult, blocks, z):
        super().__init__()
        self.conv_in = Conv(3, ch, 3, padding=1)
        c, downs = ch, []
        for i, m in enumerate(mult):
            res = []
            for _ in range(blocks):
                res.append(VaeRes(c, ch * m))
                c = ch * m
            d = Box(block=nn.ModuleList(res))
            if i < len(mult) - 1:
                d.downsample = Box(conv=Conv(c, c, 3, stride=2))
            downs.append(d)
        self.down = nn.ModuleList(downs)
        self.mid = Box(block_1=VaeRes(c, c), attn_1=VaeAttn(c), block_2=VaeRes(c, c))
        self.norm_out, self.conv_out = GroupNorm(c, 1e-6), Conv(c, 2 * z, 3, padding=1)

    def features(self, x):
        h = self.conv_in(x)
        for d in self.down:
            for b in d.block:
                h = b(h)
            if hasattr(d, "downsample"):
                h = d.downsample.conv(F.pad(h, (0, 1, 0, 1)))
        h = self.mid.block_2(self.mid.attn_1(self.mid.block_1(h)))
        return self.norm_out(h, True)

    def forward(self, x):
        return self.conv_out(self.features(x))


class Decoder(nn.Module):
    def __init__(self, ch, mult, blocks, z):
        super().__init__()
        c = ch * mult[-1]
        self.conv_in = Conv(z, c, 3, padding=1)
        self.mid = Box(block_1=VaeRes(c, c), attn_1=VaeAttn(c), block_2=VaeRes(c, c))
        ups = []
        for i in reversed(range(len(mult))):
            res = []
            for _ in range(blocks + 1):
                res.append(VaeRes(c, ch * mult[i]))
                c = ch * mult[i]
            u = Box(block=nn.ModuleList(res))
            if i > 0:
                u.upsample = Box(conv=Conv(c, c, 3, padding=1))
            ups.insert(0, u)
        self.up = nn.ModuleList(ups)
        self.norm_out, self.conv_out = GroupNorm(c, 1e-6), Conv(c, 3, 3, padding=1)

    def features(self, z):
        h = self.conv_in(z)
        h = self.mid.block_2(self.mid.attn_1(self.mid.block_1(h)))
        for u in reversed(self.up):
            for b in u.block:
                h = b(h)
            if hasattr(u, "upsample"):
                h = u.upsample.conv(nearest2(h))
        return self.norm_out(h, True)

    def forward(self, z):
        return self.conv_out(self.features(z))


class Autoencoder(nn.Module):
    def __init__(self, cfg=CONFIG["vae"]):
        super().__init__()
        a = (cfg["ch"], cfg["ch_mult"], cfg["num_res_blocks"], cfg["z_channels"])
        self.encoder, self.decoder = Encoder(*a), Decoder(*a)
        self.quant_conv, self.post_quant_conv = Conv(8, 8, 1), Conv(4, 4, 1)

    def encode(self, x):
        """Mean and log variance of the posterior."""
        m = self.quant_conv(self.encoder(x).float())
        return m[:, :4], m[:, 4:].clamp(-30, 20)

    def decode(self, z, dtype=torch.float32):
        return self.decoder(self.post_quant_conv(z).to(dtype))


# ------------------------------------------------------------------ text encoder

class ClipLayer(nn.Module):
    def __init__(self, c, heads, inner):
        super().__init__()
        self.self_attn = Box(q_proj=Linear(c, c), k_proj=Linear(c, c), v_proj=Linear(c, c), out_proj=Linear(c, c))
        self.layer_norm1, self.layer_norm2 = LayerNorm(c), LayerNorm(c)
        self.mlp = Box(fc1=Linear(c, inner), fc2=Linear(inner, c))
        self.heads = heads

    def forward(self, x, mask):
        n, l, c = x.shape
        t = self.layer_norm1(x)
        a = self.self_attn
        q, k, v = (f(t).view(n, l, self.heads, -1).transpose(1, 2) for f in (a.q_proj, a.k_proj, a.v_proj))
        p = (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5 + mask).softmax(-1)
        x = x + a.out_proj((p @ v).transpose(1, 2).reshape(n, l, c))
        t = self.mlp.fc1(self.layer_norm2(x))
        return x + self.mlp.fc2(t * torch.sigmoid(1.702 * t))


class TextEncoder(nn.Module):
    """`rows` token rows are kept while training (see train.py), 49,408 in the exported file."""

    def __init__(self, rows, cfg=CONFIG["text"]):
        super().__init__()
        c = cfg["width"]
        self.embeddings = Box(token_embedding=nn.Embedding(rows, c), position_embedding=nn.Embedding(cfg["context_length"], c))
        self.encoder = Box(layers=nn.ModuleList([ClipLayer(c, cfg["heads"], cfg["intermediate"]) for _ in range(cfg["layers"])]))
        self.final_layer_norm = LayerNorm(c)
        nn.init.normal_(self.embeddings.token_embedding.weight, std=0.5)
        nn.init.normal_(self.embeddings.position_embedding.weight, std=0.1)
        for m in self.encoder.layers:
            for f in (m.self_attn.out_proj, m.mlp.fc2):
                f.weight.data *= 0.5

    def forward(self, ids):
        l = ids.shape[1]
        x = self.embeddings.token_embedding(ids) + self.embeddings.position_embedding.weight[:l]
        mask = torch.full((l, l), -1e9).triu(1)
        for m in self.encoder.layers:
            x = m(x, mask)
        return self.final_layer_norm(x)


# ------------------------------------------------------------------ UNet

class ResBlock(nn.Module):
    def __init__(self, ci, co, emb):
        super().__init__()
        self.in_layers = nn.ModuleList([GroupNorm(ci, 1e-5), nn.Identity(), Conv(ci, co, 3, padding=1)])
        self.emb_layers = nn.ModuleList([nn.Identity(), Linear(emb, co)])
        self.out_layers = nn.ModuleList([GroupNorm(co, 1e-5), nn.Identity(), nn.Identity(), zero(Conv(co, co, 3, padding=1))])
        self.skip_connection = Conv(ci, co, 1) if ci != co else nn.Identity()

    def forward(self, x, e):
        h = self.in_layers[2](self.in_layers[0](x, True)) + self.emb_layers[1](e)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers[3](self.out_layers[0](h, True))


class CrossAttention(nn.Module):
    def __init__(self, c, ctx, heads):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = Linear(c, c, bias=False), Linear(ctx, c, bias=False), Linear(ctx, c, bias=False)
        self.to_out = nn.ModuleList([Linear(c, c)])

    def forward(self, x, ctx):
        return self.to_out[0](fused.head_attention(self.to_q(x), self.to_k(ctx), self.to_v(ctx), self.heads))


class GegluIn(nn.Module):
    def __init__(self, c, inner):
        super().__init__()
        self.proj = Linear(c, 2 * inner)

    def forward(self, x):
        return fused.geglu(self.proj(x))


class TransformerBlock(nn.Module):
    def __init__(self, c, ctx, heads):
        super().__init__()
        self.attn1, self.attn2 = CrossAttention(c, c, heads), CrossAttention(c, ctx, heads)
        self.ff = Box(net=nn.ModuleList([GegluIn(c, 4 * c), nn.Identity(), Linear(4 * c, c)]))
        self.norm1, self.norm2, self.norm3 = LayerNorm(c), LayerNorm(c), LayerNorm(c)

    def forward(self, x, ctx):
        t = self.norm1(x)
        x = x + self.attn1(t, t)
        x = x + self.attn2(self.norm2(x), ctx)
        return x + self.ff.net[2](self.ff.net[0](self.norm3(x)))


class SpatialTransformer(nn.Module):
    def __init__(self, c, ctx, heads, depth):
        super().__init__()
        self.norm, self.proj_in = GroupNorm(c, 1e-6), Conv(c, c, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(c, ctx, heads) for _ in range(depth)])
        self.proj_out = zero(Conv(c, c, 1))

    def forward(self, x, ctx):
        n, c, h, w = x.shape
        t = self.proj_in(self.norm(x)).permute(0, 2, 3, 1).reshape(n, h * w, c)
        for b in self.transformer_blocks:
            t = b(t, ctx)
        return x + self.proj_out(t.view(n, h, w, c).permute(0, 3, 1, 2))


class Upsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = Conv(c, c, 3, padding=1)


class UNet(nn.Module):
    def __init__(self, cfg=CONFIG["unet"]):
        super().__init__()
        ch, mult, ctx, heads, depth = (cfg[k] for k in ("model_channels", "channel_mult", "context_dim", "num_heads", "transformer_depth"))
        emb, ds = 4 * ch, 1
        self.ch = ch
        self.time_embed = nn.ModuleList([Linear(ch, emb), nn.Identity(), Linear(emb, emb)])

        def level(ci, co):
            m = [ResBlock(ci, co, emb)]
            if ds in cfg["attention_resolutions"]:
                m.append(SpatialTransformer(co, ctx, heads, depth))
            return m

        ins, chans, c = [nn.ModuleList([Conv(4, ch, 3, padding=1)])], [ch], ch
        for i, m in enumerate(mult):
            for _ in range(cfg["num_res_blocks"]):
                ins.append(nn.ModuleList(level(c, m * ch)))
                c = m * ch
                chans.append(c)
            if i < len(mult) - 1:
                ins.append(nn.ModuleList([Box(op=Conv(c, c, 3, stride=2, padding=1))]))
                chans.append(c)
                ds *= 2
        self.input_blocks = nn.ModuleList(ins)
        self.middle_block = nn.ModuleList([ResBlock(c, c, emb), SpatialTransformer(c, ctx, heads, depth), ResBlock(c, c, emb)])
        outs = []
        for i, m in reversed(list(enumerate(mult))):
            for j in range(cfg["num_res_blocks"] + 1):
                b = level(c + chans.pop(), m * ch)
                c = m * ch
                if i > 0 and j == cfg["num_res_blocks"]:
                    b.append(Upsample(c))
                    ds //= 2
                outs.append(nn.ModuleList(b))
        self.output_blocks = nn.ModuleList(outs)
        self.out = nn.ModuleList([GroupNorm(c, 1e-5), nn.Identity(), zero(Conv(c, 4, 3, padding=1))])

    def forward(self, x, t, ctx, control=None):
        """`control`: residuals of `ControlNet`, one for every skip and the middle's last."""
        e = time_features(self.time_embed, t, self.ch, x.dtype)
        h, skips = x.contiguous(memory_format=torch.channels_last), []
        for b in self.input_blocks:
            h = run_block(b, h, e, ctx)
            skips.append(h)
        h = run_block(self.middle_block, h, e, ctx)
        if control is not None:
            h = h + control[-1]
            skips = [s + r for s, r in zip(skips, control)]
        for b in self.output_blocks:
            h = run_block(b, torch.cat([h, skips.pop()], 1), e, ctx)
        return self.out[2](self.out[0](h, True))


def time_features(time_embed, t, ch, dtype):
    f = torch.exp(torch.arange(ch // 2) * (-math.log(10000) / (ch // 2)))
    a = t[:, None].float() * f
    e = torch.cat([a.cos(), a.sin()], 1).to(dtype)
    return F.silu(time_embed[2](F.silu(time_embed[0](e))))


def run_block(mods, h, e, ctx):
    for m in mods:
        if isinstance(m, ResBlock):
            h = m(h, e)
        elif isinstance(m, SpatialTransformer):
            h = m(h, ctx)
        elif isinstance(m, Upsample):
            h = m.conv(nearest2(h))
        elif isinstance(m, Box):
            h = m.op(h)
        else:
            h = m(h)
    return h


# ------------------------------------------------------------------ ControlNet

HINT_WIDTHS = (16, 16, 16, 16, 32, 32, 96)  # published: 16, 16, 32, 32, 96, 96, 256


class ControlNet(nn.Module):
    """The UNet's first half again, a hint picture added after its first convolution, and a 1x1
    convolution from each of its places to the UNet's skips and middle. `unet`: copied at the start."""

    def __init__(self, unet):
        super().__init__()
        self.ch = unet.ch
        for name in ("time_embed", "input_blocks", "middle_block"):
            setattr(self, name, copy.deepcopy(getattr(unet, name)))
        layers, c = [], 3
        for i, w in enumerate(HINT_WIDTHS + (self.ch,)):
            layers += [Conv(c, w, 3, stride=2 if i in (2, 4, 6) else 1, padding=1), nn.Identity()]
            c = w
        self.input_hint_block = nn.ModuleList(layers[:-1])
        widths = [b[-1].op.out_channels if isinstance(b[-1], Box) else b[0].out_layers[3].out_channels if isinstance(b[0], ResBlock)
                  else b[0].out_channels for b in unet.input_blocks]
        self.zero_convs = nn.ModuleList([nn.ModuleList([Conv(w, w, 1)]) for w in widths])
        self.middle_block_out = nn.ModuleList([Conv(widths[-1], widths[-1], 1)])

    def fresh(self):
        """The layers that are no copy of the UNet's."""
        return nn.ModuleList([self.input_hint_block, self.zero_convs, self.middle_block_out])

    def features(self, hint):
        """[n,3,8h,8w] in 0 to 1 to [n,ch,h,w]."""
        h = hint.contiguous(memory_format=torch.channels_last)
        convs = self.input_hint_block[::2]
        for i, m in enumerate(convs):
            h = m(h)
            if i < len(convs) - 1:
                h = F.silu(h)
        return h

    def forward(self, x, t, ctx, features):
        """Residuals: one a skip, then the middle's."""
        e = time_features(self.time_embed, t, self.ch, x.dtype)
        h, out = x.contiguous(memory_format=torch.channels_last), []
        for i, (b, z) in enumerate(zip(self.input_blocks, self.zero_convs)):
            h = run_block(b, h, e, ctx)
            if i == 0:
                h = h + features
            out.append(z[0](h))
        return out + [self.middle_block_out[0](run_block(self.middle_block, h, e, ctx))]


# ------------------------------------------------------------------ diffusion

def alphas_cumprod():
    beta = torch.linspace(0.00085 ** 0.5, 0.012 ** 0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - beta, 0)


def ddim(unet, ctx, uncond, noise, steps=20, cfg=4.5, dtype=torch.float32, control=None, features=None):
    """Deterministic DDIM with guidance; returns latents (scaled by 0.18215). With a ControlNet and its
    hints' features, both halves of the guidance are controlled."""
    ac = alphas_cumprod().float()
    ts = torch.linspace(999, 0, steps + 1).round().long()[:-1]
    x, n = noise.clone(), noise.shape[0]
    c2 = torch.cat([uncond.expand(n, -1, -1), ctx]).to(dtype)
    for i, t in enumerate(ts.tolist()):
        x2, t2 = torch.cat([x, x]).to(dtype), torch.full((2 * n,), t)
        e = unet(x2, t2, c2, None if control is None else control(x2, t2, c2, torch.cat([features, features]))).float()
        e = e[:n] + cfg * (e[n:] - e[:n])
        a, b = ac[t], ac[ts[i + 1]] if i + 1 < steps else torch.tensor(1.0)
        x0 = (x - (1 - a).sqrt() * e) / a.sqrt()
        x = b.sqrt() * x0 + (1 - b).sqrt() * e
    return x
