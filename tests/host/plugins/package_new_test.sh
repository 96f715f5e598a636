#!/bin/sh
# package_new_test.sh BUILD CC: installs BUILD, and from an empty folder outside the tree makes, builds, packs, signs,
# installs, lists and removes a plugin with what was installed alone.
set -eu
build=$1 cc=$2
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

pumice plugins new my_sampler --kind sampler
cmake -S my_sampler -B my_sampler/build -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_C_FLAGS="-Wall -Wextra -Werror" >cmake.log || { cat cmake.log; exit 1; }
cmake --build my_sampler/build >>cmake.log 2>&1 || { cat cmake.log; exit 1; }
pumice plugins keygen key
pumice plugins pack my_sampler/build/package -o my_sampler.pumice --key key
pumice plugins install my_sampler.pumice
pumice plugins list >plugins.txt
grep -q '^org.example.my_sampler  *0.1.0  *sampler  *user  *on' plugins.txt || { cat plugins.txt; exit 1; }
grep -q '^my_sampler  *org.example.my_sampler' plugins.txt || { cat plugins.txt; exit 1; }
pumice plugins remove org.example.my_sampler
pumice plugins list >plugins.txt
if grep -q my_sampler plugins.txt; then cat plugins.txt; exit 1; fi
