#!/bin/sh
# package_new_test.sh BUILD CC [MODEL]: installs BUILD, and from an empty folder outside the tree makes, builds, verifies,
# packs, signs, installs, lists, uses (with a MODEL, on the device that the environment chooses) and removes a plugin of
# each kind with what was installed alone.
set -eu
# What builds Pumice is there; make may not be.
export CMAKE_GENERATOR=Ninja
build=$1 cc=$2 model=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
# A sanitizer's runtime is no part of an installed tree.
unset LD_PRELOAD || true
cmake --install "$build" --prefix "$prefix" >"$work/install.log"

cd "$work"
XDG_DATA_HOME=$work/data XDG_CONFIG_HOME=$work/config XDG_STATE_HOME=$work/state XDG_CACHE_HOME=$work/cache
export XDG_DATA_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME
pumice() { echo "\$ pumice $*"; "$prefix/bin/pumice" "$@"; }
quietly() { "$@" >log.txt 2>&1 || { cat log.txt; exit 1; }; }
has() { grep -q "$1" "$2" || { echo "no \"$1\" in:"; cat "$2"; exit 1; }; }

# What users give to use a plugin of each kind, and a parameter of it.
use() {
    case $1 in
        sampler) echo "--sampler my_sampler --plugin-param sampler.step_scale=0.98" ;;
        schedule) echo "--schedule my_schedule --plugin-param schedule.bend=3" ;;
        guidance) echo "--guidance my_guidance --plugin-param guidance.strength=0.5" ;;
        image_filter) echo "--filter my_image_filter" ;;
        control) echo "--control method=my_control,model=$work/my_control.safetensors,image=$work/out.png" ;;
    esac
}

# A network of zeros but for the bias, for a UNet of $1 channels: 192 inputs each.
control_model() {
    weight=$(($1 * 192 * 4)) all=$(($1 * 193 * 4))
    header=$(printf '{"my_control.weight":{"dtype":"F32","shape":[%d,192],"data_offsets":[0,%d]},' "$1" $weight)
    header=$header$(printf '"my_control.bias":{"dtype":"F32","shape":[%d],"data_offsets":[%d,%d]}}' "$1" $weight $all)
    printf "\\$(printf %o $((${#header} % 256)))\\$(printf %o $((${#header} / 256)))\\0\\0\\0\\0\\0\\0"
    printf %s "$header"
    head -c $weight /dev/zero
    i=0
    while [ $i -lt "$1" ]; do printf '\0\0\200\077'; i=$((i + 1)); done # 1.0
}
control_model 32 >"$work/my_control.safetensors"

# Without a model there is no device either.
without="--device none"
[ -z "$model" ] || without=
# shellcheck disable=SC2086
verify() { pumice plugins verify "$@" $without --file my_control="$work/my_control.safetensors"; }

"$prefix/bin/pumice" plugins new --help >help.txt
kinds=$(sed -n 's/^ *--kind KIND *//p' help.txt | tr -d ,)
[ -n "$kinds" ] || { cat help.txt; exit 1; }
pumice plugins keygen key
for kind in $kinds; do
    name=my_$kind
    echo "== $kind"
    pumice plugins new "$name" --kind "$kind"
    echo "\$ cmake -S $name -B $name/build && cmake --build $name/build"
    quietly cmake -S "$name" -B "$name/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
        -DCMAKE_C_FLAGS="-Wall -Wextra -Werror"
    quietly cmake --build "$name/build"
    verify "$name/build/package"
    pumice plugins pack "$name/build/package" -o "$name.pumice" --key key
    verify "$name.pumice" >verify.txt
    if [ -n "$model" ] && grep '^not run' verify.txt; then exit 1; fi
    has '^ok *package: plugin.toml says the same' verify.txt
    pumice plugins install "$name.pumice"
    verify "org.example.$name" --json >verify.txt
    has '"failed": 0' verify.txt
    pumice plugins list >plugins.txt
    has "^org.example.$name  *0.1.0  *$kind  *user  *on" plugins.txt
    has "^$name  *org.example.$name" plugins.txt
    if [ -n "$model" ] && [ "$kind" = upscaler ]; then
        pumice upscale out.png --upscaler "$name" --scale 2 -q -o large.png
        [ -s large.png ]
    elif [ -n "$model" ] && [ "$kind" = preprocessor ]; then
        pumice preprocess "$name" out.png -q -o edges.png --plugin-param preprocessor.gain=6
        [ -s edges.png ]
    elif [ -n "$model" ]; then
        for with in "" "$(use "$kind")"; do
            # shellcheck disable=SC2086
            pumice generate -q -m "$model" -p "a boat" -W 64 -H 64 --steps 3 --seed 7 -o "out${with:+-with}.png" $with
        done
        if cmp -s out.png out-with.png; then echo "$name made no difference"; exit 1; fi
    fi
    pumice plugins remove "org.example.$name"
    pumice plugins list >plugins.txt
    if grep -q "$name" plugins.txt; then cat plugins.txt; exit 1; fi
done

echo "== a package that says what its library does not"
sed -i 's/^version = .*/version = "0.2.0"/' my_sampler/build/package/plugin.toml
status=0
verify my_sampler/build/package >verify.txt 2>error.txt || status=$?
[ $status -eq 38 ] || { cat verify.txt error.txt; exit 1; }
has '^FAILED *package: plugin.toml says the same: its version is 0.2.0' verify.txt
has 'checks of my_sampler/build/package failed' error.txt
