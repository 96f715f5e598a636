#!/bin/sh
# Everything that must hold: installs what the tests need, builds, and runs all tests; closes with the totals of ctest.
#
# Two builds: `release` (GCC) runs everything, on each driver; `asan` (Clang, with the address and undefined-behaviour
# sanitizers) runs what needs no device, and each fuzz target for a minute.
set -eu
cd "$(dirname "$0")/.."

tools/dependencies.sh --install build driver test

swiftshader=ON
if grep -q '^ID=ubuntu' /etc/os-release; then
    echo "Ubuntu has Chromium as a snap only: tests on SwiftShader are left out unless one is found"
    swiftshader=OFF
fi
cmake --preset release -DPUMICE_TESTS=ON -DPUMICE_REQUIRE_DRIVERS=$swiftshader
cmake --build --preset release
cmake --preset asan -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DPUMICE_FUZZ=ON -DPUMICE_DEVICE_TESTS=OFF
cmake --build --preset asan

# One run of ctest over both, so that there is one total.
mkdir -p build/check
printf 'subdirs("../release")\nsubdirs("../asan")\n' >build/check/CTestTestfile.cmake
# Two at a time: a driver that compiles a shader keeps one core busy.
ctest --test-dir build/check --output-on-failure -j2
