#!/bin/sh
# install_test.sh BUILD EXAMPLES CC CXX: installs BUILD into a folder of its own, builds the examples against it through
# the CMake package and through pkg-config, and makes pictures with both; then with the installed program, after the
# whole tree was moved.
set -eu
# What builds Pumice is there; make may not be.
export CMAKE_GENERATOR=Ninja
build=$1 examples=$2 cc=$3 cxx=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
# A sanitizer's runtime is no part of an installed tree.
unset LD_PRELOAD || true

cmake --install "$build" --prefix "$prefix" >"$work/install.log"
for file in bin/pumice include/pumice/pumice.h include/pumice/pumice.hpp; do
    [ -f "$prefix/$file" ] || { echo "not installed: $file" >&2; exit 1; }
done

# The examples make pictures of 20 steps: with a model of noise, whose steps are short.
model=$(realpath "$(dirname "$0")/../goldens/sd1/sd1_tiny.safetensors")
is_ppm() { # FILE: it begins as a PPM does, and has more than a few colours
    [ "$(head -c 2 "$1")" = P6 ] && [ "$(od -An -v -tu1 -w3 "$1" | sort -u | wc -l)" -gt 50 ]
}

echo "CMake package"
cmake -S "$examples" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_CXX_COMPILER="$cxx" >"$work/cmake.log" || { cat "$work/cmake.log"; exit 1; }
cmake --build "$work/cmake" >>"$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; exit 1; }
mkdir "$work/pictures"
cd "$work/pictures"
"$work/cmake/text_to_image_c" "$model" "a lighthouse at sunset"
is_ppm out.ppm
"$work/cmake/text_to_image_cpp" "$model" "a lighthouse at sunset"
is_ppm out-1.ppm
# The same prompt and seed through both languages.
cmp out.ppm out-0.ppm

echo "pkg-config, from a tree that was moved"
mv "$prefix" "$work/moved"
PKG_CONFIG_PATH=$(dirname "$(find "$work/moved" -name pumice.pc)")
export PKG_CONFIG_PATH
# shellcheck disable=SC2046 # a list of words
"$cc" -std=c11 -Wall -Wextra -Werror "$examples/text_to_image.c" -o c_example $(pkg-config --cflags --libs pumice)
LD_LIBRARY_PATH=$(pkg-config --variable=libdir pumice)
export LD_LIBRARY_PATH
rm out.ppm
./c_example "$model" "a lighthouse at sunset"
cmp out.ppm out-0.ppm
unset LD_LIBRARY_PATH

echo "the program"
"$work/moved/bin/pumice" --version
"$work/moved/bin/pumice" generate -q -p "a lighthouse at sunset" --seed 7 --steps 2 -o out.png # with the starter model
[ -s out.png ]

echo "a plugin, as sdk/README.md writes it"
sdk=$(dirname "$0")/../../sdk
sed -n '/^```c$/,/^```$/p' "$sdk/README.md" | sed '1d;$d' | cmp - "$sdk/examples/my_euler.c"
XDG_DATA_HOME=$work/data XDG_CONFIG_HOME=$work/config XDG_STATE_HOME=$work/state XDG_CACHE_HOME=$work/cache
export XDG_DATA_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME
mkdir -p "$XDG_DATA_HOME/pumice/plugins"
# shellcheck disable=SC2046 # a list of words
"$cc" -std=c11 -Wall -Wextra -Werror -O2 -ffp-contract=off -fvisibility=hidden -shared -fPIC \
    $(pkg-config --cflags pumice-sdk) "$sdk/examples/my_euler.c" -o "$XDG_DATA_HOME/pumice/plugins/my_euler.so"
"$work/moved/bin/pumice" plugins list >plugins.txt
grep -q '^pumice.samplers .* on' plugins.txt || { cat plugins.txt; exit 1; }
grep -q '^org.example.my-euler .* on' plugins.txt || { cat plugins.txt; exit 1; }
picture() { # FILE OPTION …
    file=$1 && shift
    "$work/moved/bin/pumice" generate -q -m "$model" -p "a lighthouse at sunset" --seed 7 --steps 3 "$@" -o "$file"
}
picture euler.png --sampler euler --precision exact
picture mine.png --sampler my_euler --precision exact
picture further.png --sampler my_euler --precision exact --plugin-param sampler.stride=1.1
[ -s euler.png ] && [ -s mine.png ]
if cmp -s mine.png further.png; then echo "the parameter changed nothing" >&2; exit 1; fi

echo "an upscaler in C++, likewise"
sed -n '/^```cpp$/,/^```$/p' "$sdk/README.md" | sed '1d;$d' | cmp - "$sdk/examples/my_pixels.cpp"
# shellcheck disable=SC2046 # a list of words
"$cxx" -std=c++17 -Wall -Wextra -Werror -O2 -ffp-contract=off -fvisibility=hidden -shared -fPIC \
    $(pkg-config --cflags pumice-sdk) "$sdk/examples/my_pixels.cpp" -o "$XDG_DATA_HOME/pumice/plugins/my_pixels.so"
"$work/moved/bin/pumice" upscale -q out.png --upscaler my_pixels --scale 2 --precision exact -o large.png
"$work/moved/bin/pumice" upscale -q out.png --upscaler my_pixels --scale 2 --precision exact \
    --plugin-param upscaler.smoothness=3 -o softer.png
[ -s large.png ]
if cmp -s large.png softer.png; then echo "the parameter changed nothing" >&2; exit 1; fi
