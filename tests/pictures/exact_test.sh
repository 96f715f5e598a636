#!/bin/sh
# The promise of --precision exact: the same bytes on every driver. And of a seed: the same bytes twice on one.
#   exact_test.sh PUMICE MODEL WORK_FOLDER NAME=ICD.json NAME=ICD.json …
set -eu
pumice=$1 model=$2 work=$3
shift 3
rm -rf "$work"
mkdir -p "$work"

# run ICD OUTPUT OPTION…
run() {
    icd=$1 output=$2
    shift 2
    VK_DRIVER_FILES=$icd VK_ICD_FILENAMES=$icd XDG_CACHE_HOME=$work/cache XDG_CONFIG_HOME=$work/config \
        "$pumice" generate -m "$model" "$@" -o "$output" >/dev/null 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
}

same() {
    cmp "$1" "$2" || { echo "$1 and $2 differ: $3" >&2; exit 1; }
    echo "same bytes: $3 ($(sha256sum <"$1" | cut -c1-16))"
}

first=
for driver in "$@"; do
    name=${driver%%=*} icd=${driver#*=}
    run "$icd" "$work/$name-1.png" --precision exact --seed 7 -W 192 -H 128 --steps 4 \
        -p "two sailing boats on a calm sea at night"
    run "$icd" "$work/$name-2.png" --precision exact --seed 41 -W 104 -H 72 --steps 5 --sampler dpmpp_2m \
        --schedule karras -p "a (red:1.3) house, [fog], green hills" -n "blurry"
    run "$icd" "$work/$name-3.png" --precision exact --seed 4294967301 -W 64 -H 128 --steps 6 --sampler ddim \
        --rng philox --clip-skip 2 -p "a castle BREAK in the snow"
    run "$icd" "$work/$name-4.png" --precision exact --seed 3 -W 64 -H 64 --steps 3 --sampler euler \
        --schedule exponential --cfg 1 -b 2 -p "a windmill at [noon:dusk:0.5]"
    run "$icd" "$work/$name-tiles.png" --precision exact --seed 3 -W 128 -H 64 --tile 64 --tile-overlap 32 --steps 2 \
        --sampler euler_a --cfg 1 -p "a lighthouse"
    run "$icd" "$work/$name-5.png" --seed 7 -W 128 -H 64 --steps 3 -p "a lighthouse"
    run "$icd" "$work/$name-6.png" --seed 7 -W 128 -H 64 --steps 3 -p "a lighthouse"
    same "$work/$name-5.png" "$work/$name-6.png" "the same seed twice on $name"
    if [ -z "$first" ]; then
        first=$name
        continue
    fi
    for picture in 1 2 3 4 4-2 tiles; do
        same "$work/$first-$picture.png" "$work/$name-$picture.png" "picture $picture on $first and $name"
    done
done
