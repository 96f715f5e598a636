#!/bin/sh
# From a fresh checkout to a picture: installs what is missing, builds, and makes out.png. A second run takes seconds.
#
#   tools/quickstart.sh ["a lighthouse at sunset"]
set -eu
cd "$(dirname "$0")/.."
prompt=${1:-a lighthouse at sunset}
begin=$(date +%s)

tools/dependencies.sh --install build

# Left in place it would slow down each further run; a new version of CMake or of a dependency configures again by itself.
[ -f build/release/build.ninja ] || cmake --preset release -DPUMICE_TESTS=OFF
cmake --build --preset release --target pumice_cli
pumice=build/release/bin/pumice

# Nothing usable: a machine without a GPU, or without its driver.
if ! "$pumice" devices --json 2>/dev/null | grep -q '"missing": ""'; then
    echo "no Vulkan device: installing a driver in software"
    tools/dependencies.sh --install driver
fi

"$pumice" generate -p "$prompt" -o out.png
echo "out.png shows \"$prompt\", made in $(($(date +%s) - begin)) s; for more: $pumice --help"
