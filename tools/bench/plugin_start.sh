#!/bin/sh
# plugin_start.sh PUMICE PLUGIN [N] [RUNS]: how long `pumice plugins list` takes from start to exit with no plugins but
# Pumice's own, and with N (50) whose verdicts are kept. PLUGIN is tests/plugins/bad/none.so of a build with tests: its
# id ends in two digits, which each copy gets its own of. Prints the median of RUNS (21) in milliseconds for each.
set -eu
pumice=$1 plugin=$2 count=${3:-50} runs=${4:-21}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
XDG_DATA_HOME=$work/data XDG_CONFIG_HOME=$work/config XDG_STATE_HOME=$work/state XDG_CACHE_HOME=$work/cache
export XDG_DATA_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME
unset PUMICE_PLUGIN_PATH
mkdir -p "$work/many"
i=0
while [ $i -lt "$count" ]; do
    number=$(printf %02d $i)
    LC_ALL=C sed "s/test\\.none-00/test.none-$number/g" "$plugin" >"$work/many/p$number.so"
    i=$((i + 1))
done

list() { PUMICE_PLUGIN_PATH=$1 "$pumice" plugins list >"$work/list.txt"; }
median() {
    i=0
    while [ $i -lt "$runs" ]; do
        begin=$(date +%s%N)
        list "$1"
        end=$(date +%s%N)
        echo $(((end - begin) / 1000))
        i=$((i + 1))
    done | sort -n | sed -n "$((runs / 2 + 1))p"
}
begin=$(date +%s%N)
list "$work/many"  # tries them out, and keeps the verdicts
end=$(date +%s%N)
[ "$(grep -c '^test.none-' "$work/list.txt")" -eq "$count" ] || { cat "$work/list.txt"; exit 1; }
none=$(median "") many=$(median "$work/many")
awk -v first=$((end - begin)) -v none="$none" -v many="$many" -v count="$count" 'BEGIN {
    printf "no plugins %.1f ms, %d plugins %.1f ms: %.1f ms more; the first start, which tries them out, %.0f ms\n",
        none / 1000, count, many / 1000, (many - none) / 1000, first / 1e6 }'
