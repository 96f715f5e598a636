#!/bin/sh
# The contact sheet of the ways of working, with the starter model:
#   tools/ways_sheet/make.sh BUILD_FOLDER [SHEET.png]
set -eu
build=$1
here=$(cd "$(dirname "$0")" && pwd)
sheet=${2:-$here/sheet.png}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
join=$build/tools/ways_sheet/ways_sheet

# make NAME OPTION…
make() {
    name=$1
    shift
    echo "$name" >&2
    "$build/bin/pumice" generate -q --precision exact --steps 16 --sampler ddim --cfg 4.5 "$@" -o "$work/$name.png" >/dev/null
}

house="a red house on green hills under a blue sky"
make start -p "$house" --seed 3
for strength in 0.2 0.4 0.6 0.8 1; do
    make "img2img-$strength" -p "a white castle in the snow at night" --init-image "$work/start.png" \
        --strength "$strength" --seed 4
done
"$join" mask "$work/mask.png" 128 128 24 32 104 112
make inpaint -p "a white windmill on green hills under a blue sky" --init-image "$work/start.png" --mask "$work/mask.png" \
    --mask-fill noise --strength 1 --seed 5
make outpaint -p "$house" --init-image "$work/start.png" --outpaint right=64 --mask-fill noise --strength 1 --seed 6
make small -p "a lighthouse at sunset" --seed 7
make hires -p "a lighthouse at sunset" --seed 7 --hires 2 --hires-upscaler lanczos --hires-strength 0.4
make tiling -p "a calm sea at sunset" --seed 8 --seamless both
make one -p "a purple castle in the mountains at dawn" --seed 9
for i in 1 2 3 4; do
    make "variation-$i" -p "a purple castle in the mountains at dawn" --seed 9 --variation-seed "$i" \
        --variation-strength 0.35
done
make grid -p "a lighthouse at sunset" --seed 10 --x steps=4,8,16 --y cfg=1.5,4.5
make panorama -p "mountains at sunset" -W 384 -H 128 --tile 128 --tile-overlap 64 --seed 11
make stretched -p "mountains at sunset" -W 384 -H 128 --seed 11

cd "$work"
"$join" join "$sheet" start.png img2img-0.2.png img2img-0.4.png img2img-0.6.png img2img-0.8.png img2img-1.png \
    / start.png mask.png inpaint.png outpaint.png small.png \
    / hires.png tile:tiling.png \
    / one.png variation-1.png variation-2.png variation-3.png variation-4.png \
    / grid.png \
    / panorama.png stretched.png
