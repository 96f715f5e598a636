#!/bin/sh
# install_test.sh BUILD EXAMPLES CC CXX: installs BUILD into a folder of its own, builds the examples against it through
# the CMake package and through pkg-config, and makes pictures with both; then with the installed program, after the
# whole tree was moved.
set -eu
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

# A model small enough for a test: the starter model if it comes with this build, else the goldens' tiny one.
model=$(find "$prefix/share/pumice" -name starter.safetensors 2>/dev/null | head -n 1)
[ -n "$model" ] || model=$(dirname "$0")/../goldens/sd1/sd1_tiny.safetensors
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
model=$(printf %s "$model" | sed "s|^$prefix|$work/moved|")
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
"$work/moved/bin/pumice" generate -q -m "$model" -p "a lighthouse at sunset" --seed 7 --steps 2 -o out.png
[ -s out.png ]
