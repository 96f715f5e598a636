#!/bin/sh
# Checkpoints of the published geometry of SD 2.1 and SDXL, with random weights in fp16, loaded and run for one step.
#
#   tools/bench/geometry.sh BUILD [SIDE [OPTIONS…]]
#
# BUILD is a build folder; SIDE the picture's side in pixels (128); OPTIONS go to `pumice generate`. Needs 10 GB in
# TMPDIR, which are given back, and up to 6 GB of memory.
set -eu
build=$(cd "$1" && pwd)
side=${2:-128}
shift
[ $# -eq 0 ] || shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export HOME="$folder"
for family in sd2 sdxl; do
  "$build/tools/make_checkpoint/make_checkpoint" --family $family --seed 1 --dtype f16 -o $family.safetensors
  "$build/bin/pumice" models inspect $family.safetensors | grep -E '^(size|family)'
  "$build/bin/pumice" generate -q --json -m $family.safetensors -p "a boat" --steps 1 -W "$side" -H "$side" --seed 1 \
    --precision fp16 -o $family.png "$@" >$family.json
  tr -d '\n' <$family.json | sed 's/.*"timings": \({.*}\), *"unet_flops".*/\1/' | tr -s ' '
  echo
  rm $family.safetensors
done
