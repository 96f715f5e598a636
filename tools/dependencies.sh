#!/bin/sh
# The packages of Debian 12, Debian 13 and Ubuntu 24.04 that Pumice needs: the only list of them.
#
#   tools/dependencies.sh GROUP…             prints those that are not installed, one a line
#   tools/dependencies.sh --install GROUP…   says which, and installs them, as root or with sudo
#
# Groups: build   to build the program
#         driver  a Vulkan driver in software (Mesa's lavapipe), for machines without a GPU's
#         test    what the tests need beside: both software drivers, the validation layer, fuzzers and sanitizers
set -eu

packages_of() {
    case $1 in
    build)
        echo git ca-certificates g++ cmake ninja-build pkg-config
        echo libvulkan-dev glslc libshaderc-dev glslang-dev spirv-tools
        echo libboost-dev libeigen3-dev nlohmann-json3-dev libspdlog-dev libfmt-dev libtomlplusplus-dev libcli11-dev
        echo libpcre2-dev libutf8proc-dev libpng-dev libssl-dev libarchive-dev zlib1g-dev libsodium-dev
        echo libpango1.0-dev fonts-dejavu-core
        # They fetch and convert the tokenizer's vocabulary. Where Node.js was installed from elsewhere, Debian's package
        # conflicts: so only when it is missing.
        command -v node >/dev/null 2>&1 || command -v nodejs >/dev/null 2>&1 || echo nodejs
        command -v npm >/dev/null 2>&1 || command -v curl >/dev/null 2>&1 || echo curl
        ;;
    driver)
        echo mesa-vulkan-drivers
        ;;
    test)
        echo catch2 mesa-vulkan-drivers vulkan-validationlayers clang python3-jsonschema
        libclang_rt
        # SwiftShader, the second driver of the tests, comes with it. Ubuntu's package is a snap, which a script cannot
        # rely on: there the tests run on lavapipe alone.
        is_ubuntu || echo chromium
        ;;
    *)
        echo "$0: no such group: $1" >&2
        exit 2
        ;;
    esac
}

is_ubuntu() {
    grep -q '^ID=ubuntu' /etc/os-release
}

# The sanitizers' and the fuzzer's runtime; the package without a number is not in Ubuntu 24.04.
libclang_rt() {
    if is_ubuntu; then
        echo libclang-rt-18-dev
    else
        echo libclang-rt-dev
    fi
}

is_installed() {
    dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

missing() {
    for group in "$@"; do
        for package in $(packages_of "$group"); do
            is_installed "$package" || echo "$package"
        done
    done | sort -u
}

install_missing() {
    list=$(missing "$@" | tr '\n' ' ')
    [ -n "$list" ] || return 0
    echo "packages to install: $list"
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            echo "$0: neither root nor sudo: install these packages, then try again" >&2
            exit 1
        fi
        as_root=sudo
    fi
    $as_root apt-get update -qq
    # shellcheck disable=SC2086 # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $list >/dev/null
}

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "$0: this script knows Debian and Ubuntu; on another system install the like of:" >&2
    for group in build driver test; do packages_of "$group" 2>/dev/null; done >&2
    exit 1
fi
action=missing
if [ $# -gt 0 ] && [ "$1" = --install ]; then
    action=install_missing
    shift
fi
for group in "$@"; do packages_of "$group" >/dev/null; done  # ends here if there is none of that name
$action "$@"
