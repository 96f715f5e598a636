#!/bin/sh
# Runs make_checkpoint ($1) on a small geometry: repeatable, never overwriting unasked, leaving nothing behind on errors.
set -eu
tool=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >small.json <<'END'
{"kind": "sd1",
 "unet": {"model_channels": 32, "channel_mult": [1, 2], "num_res_blocks": 1, "attention_resolutions": [1],
          "num_heads": 4, "context_dim": 32},
 "vae": {"ch": 32, "ch_mult": [1, 1], "num_res_blocks": 1},
 "text": {"width": 32, "layers": 1, "heads": 2, "vocab": 100}}
END
fail() {
  echo "FAILED: $*" >&2
  exit 1
}
# A command must fail with a message that has $1 in it, and leave no new file.
refused() {
  part=$1
  shift
  before=$(ls)
  if "$@" >out.txt 2>&1; then fail "accepted: $*"; fi
  grep -q -- "$part" out.txt || fail "'$part' not in: $(cat out.txt)"
  rm out.txt
  [ "$(ls)" = "$before" ] || fail "files left by: $*"
}

for dtype in f16 bf16 f32; do
  "$tool" --config small.json --seed 1 --dtype $dtype -o a-$dtype.safetensors
  "$tool" --config small.json --seed 1 --dtype $dtype -o b-$dtype.safetensors
  cmp a-$dtype.safetensors b-$dtype.safetensors || fail "the same seed gave different files"
done
"$tool" --config small.json --seed 2 -o c.safetensors
cmp -s a-f16.safetensors c.safetensors && fail "another seed gave the same file"

refused "a-f16.safetensors: exists (--force" "$tool" --config small.json --seed 2 -o a-f16.safetensors
"$tool" --config small.json --seed 2 --force -o a-f16.safetensors
cmp a-f16.safetensors c.safetensors || fail "--force did not write"
refused "absent/x.safetensors: No such file" "$tool" --config small.json -o absent/x.safetensors
refused "absent.json: cannot be read" "$tool" --config absent.json -o x.safetensors
echo '{"unet": {"model_channels": 40}}' >odd.json
refused "40 channels" "$tool" --config odd.json -o x.safetensors
echo '{' >broken.json
refused "broken.json: is not valid JSON" "$tool" --config broken.json -o x.safetensors
refused "dtype" "$tool" --dtype f8 -o x.safetensors
refused "family" "$tool" --family sd3 -o x.safetensors
if [ -e /dev/full ] && (ulimit -f 1) 2>/dev/null; then
  refused "File too large" sh -c "trap '' XFSZ; ulimit -f 64; exec '$tool' --config small.json -o x.safetensors"
fi
echo "make_checkpoint: all checks passed"
