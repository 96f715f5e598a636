#!/bin/sh
# Runs make_checkpoint ($1) and pumice ($2) on a tiny random checkpoint of every family and way of working that a file may
# be made for: each is recognized by its tensors and makes a picture.
set -eu
make=$1
pumice=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export HOME="$folder" PUMICE_VALIDATION=1

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
# checkpoint NAME KIND UNET TEXT: UNET and TEXT are what the geometry has beyond what all have.
checkpoint() {
  cat >"$1.json" <<END
{"kind": "$2",
 "unet": {"model_channels": 32, "channel_mult": [1, 2], "num_res_blocks": 1, "attention_resolutions": [2], $3},
 "vae": {"ch": 32, "ch_mult": [1, 1, 1, 1], "num_res_blocks": 1}, $4}
END
  "$make" --config "$1.json" --seed 1 -o "$1.safetensors" >/dev/null
  "$pumice" models inspect "$1.safetensors" >"$1.txt"
  grep -q "$5" "$1.txt" || fail "$1 is not recognized: $(cat "$1.txt")"
}
# picture NAME OPTIONS…: makes NAME.png
picture() {
  name=$1
  shift
  "$pumice" generate -q -p "a boat" -n fog -W 64 -H 64 --steps 2 --seed 1 --precision fp32 -o "$name.png" "$@" \
    >/dev/null || fail "$name"
}
# same A B: whether two pictures have the same pixels, whatever their texts say.
same() {
  for each in "$1" "$2"; do
    [ -f "$each.pixels.png" ] || "$pumice" preprocess invert "$each.png" -q -o "$each.pixels.png" >/dev/null || fail "$each"
  done
  cmp -s "$1.pixels.png" "$2.pixels.png"
}
text='"text": {"width": 32, "layers": 2, "heads": 2}'
xl='"text_l": {"width": 32, "layers": 2, "heads": 2}, "text_g": {"width": 32, "layers": 2, "heads": 2}'

checkpoint sd1 sd1 '"num_heads": 4, "context_dim": 32' "$text" 'Stable Diffusion 1.x$'
checkpoint inpainting sd1 '"num_heads": 4, "context_dim": 32, "in_channels": 9' "$text" '1.x inpainting$'
checkpoint edit sd1 '"num_heads": 4, "context_dim": 32, "in_channels": 8' "$text" 'InstructPix2Pix$'
checkpoint sd2 sd2 '"num_head_channels": 16, "context_dim": 32' "$text" 'Stable Diffusion 2.x$'
checkpoint xl sdxl '"num_head_channels": 16, "context_dim": 64, "adm_in_channels": 1568' "$xl" 'Stable Diffusion XL$'
checkpoint refiner sdxl_refiner '"num_head_channels": 16, "context_dim": 32, "adm_in_channels": 1312' \
  '"text_g": {"width": 32, "layers": 2, "heads": 2}' 'XL refiner$'

picture plain -m sd1.safetensors
picture inpainting -m inpainting.safetensors
picture inpainted -m inpainting.safetensors --init-image plain.png --mask inpainting.png --mask-fill noise
same inpainting inpainted && fail "an inpainting model does not see the picture"
picture edited -m edit.safetensors --init-image plain.png
picture edited-less -m edit.safetensors --init-image plain.png --image-cfg 3
same edited edited-less && fail "--image-cfg does nothing"
"$pumice" generate -q -p "a boat" -m edit.safetensors -o none.png 2>edit.txt && fail "editing without a picture"
grep -q "edits pictures: give it one" edit.txt || fail "$(cat edit.txt)"
picture sd2 -m sd2.safetensors
picture sd2-v -m sd2.safetensors --prediction v
picture sd2-zero -m sd2.safetensors --prediction v-zero-snr --schedule sgm_uniform
same sd2 sd2-v && fail "--prediction does nothing"
picture xl -m xl.safetensors
picture refined -m xl.safetensors --refiner refiner.safetensors --refiner-switch 0.3
same xl refined && fail "the refiner does nothing"
picture scored -m xl.safetensors --refiner refiner.safetensors --refiner-switch 0.3 --aesthetic-score 1
same scored refined && fail "--aesthetic-score does nothing"
# As folders of diffusers and back, all of them give the same bytes.
same_as_folder() {
  file=$1
  shift
  [ -d "$file-folder" ] || "$pumice" convert "$file.safetensors" -o "$file-folder" -q >/dev/null || fail "$file as a folder"
  picture "$file-file" "$@" --precision exact -m "$file.safetensors"
  picture "$file-there" "$@" --precision exact -m "$file-folder"
  same "$file-file" "$file-there" || fail "$file: the folder gives another picture"
}
same_as_folder inpainting
same_as_folder edit --init-image plain.png
same_as_folder sd2
same_as_folder xl
"$pumice" convert refiner.safetensors -o refiner-folder -q >/dev/null
picture refined-there -m xl-folder --refiner refiner-folder --refiner-switch 0.3
same refined refined-there || fail "the refiner's folder gives another picture"
for file in xl refiner sd2; do
  "$pumice" convert "$file-folder" -o "$file-back.safetensors" -q >/dev/null
  "$pumice" models inspect "$file-back.safetensors" >"$file-back.txt"
done
picture refined-back -m xl-back.safetensors --refiner refiner-back.safetensors --refiner-switch 0.3
same refined refined-back || fail "what comes back from folders gives another picture"
# Distilled models (Turbo, Lightning, Hyper; LCM): few steps, and without guidance the network runs for one prompt, not
# for two. 0, which other programs take for that, means the same as 1.
distilled() {
  "$pumice" generate -q --json -p "a boat" -W 64 -H 64 --seed 1 --schedule sgm_uniform -m xl.safetensors -o turbo.png \
    "$@" >turbo.json || fail "a distilled model's way: $*"
}
flops() {
  distilled --steps 1 "$@"
  sed -n 's/^ *"unet_flops": \([0-9.e+]*\),*$/\1/p' turbo.json
}
one=$(flops --cfg 1)
two=$(flops --cfg 2)
[ "$(flops --cfg 0)" = "$one" ] || fail "--cfg 0 costs another step than --cfg 1"
awk "BEGIN { exit !($one > 0 && $two > 1.9 * $one) }" || fail "flops of a step: $one without guidance, $two with it"
for steps in 1 2 3 4; do
  distilled --steps $steps --cfg 1 --sampler euler
  # One evaluation a step: as many steps were timed, and the picture knows of no other prompt.
  timed=$(tr -d ' \n' <turbo.json | sed 's/.*"steps":\[\([^]]*\)\].*/\1/' | tr ',' '\n' | grep -c .)
  [ "$timed" = $steps ] || fail "$timed steps were run, not $steps"
done
distilled --steps 4 --cfg 1 --sampler euler -o cfg1.png
distilled --steps 4 --cfg 0 --sampler euler -o cfg0.png -n fog
same cfg1 cfg0 || fail "--cfg 0 gives another picture than --cfg 1, or the negative prompt counts"
distilled --steps 4 --cfg 1.5 --sampler euler -o cfg15.png -n fog
same cfg1 cfg15 && fail "--cfg 1.5 does nothing"
distilled --steps 4 --cfg 1 --sampler lcm -o lcm.png
same cfg1 lcm && fail "the sampler does nothing"
# Ways of working, with the tiny model.
picture larger -m sd1.safetensors --hires 1.5 --hires-strength 0.5 --hires-steps 1 --hires-sampler euler_a
grep -a -q "Hires upscale: 1.5, Hires steps: 1, Hires upscaler: Latent" larger.png || fail "the text of --hires"
picture lanczos -m sd1.safetensors --hires 1.5 --hires-strength 0.5 --hires-steps 1 --hires-sampler euler_a \
  --hires-upscaler lanczos
same larger lanczos && fail "--hires-upscaler does nothing"
"$pumice" generate -q -p "a boat" -m sd1.safetensors --init-image plain.png --hires 2 -o none.png 2>hires.txt &&
  fail "a second pass over a picture"
grep -q "goes with text alone" hires.txt || fail "$(cat hires.txt)"
# size FILE WIDTH HEIGHT: as the PNG's header has them, whose numbers are below 256 times 256.
size() {
  [ "$(od -An -tu1 -j16 -N8 "$1" | tr -s ' ')" = " 0 0 0 $2 0 0 0 $3" ] || fail "$1 is no picture of $2x$3"
}
size larger.png 96 96

echo "families: all of them make pictures"
