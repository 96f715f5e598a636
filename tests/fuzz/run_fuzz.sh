#!/bin/sh
# run_fuzz.sh PROGRAM CORPUS SECONDS: fuzzes from the seeds in CORPUS, which stays as it is. On a failure the input is
# printed in base64 and kept in the current folder.
set -eu
program=$1 corpus=$2 seconds=$3
[ -d "$corpus" ] || { echo "no corpus folder: $corpus" >&2; exit 1; }
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
"$program" "$found" "$corpus" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
  -artifact_prefix="$(basename "$program")-"
