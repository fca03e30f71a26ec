#!/bin/sh
# Compares all targets: audio as a gateway carries it, then video in bursts; then holds what calls
# cost against the bars. Results, a page that shows them and the tables of README go to
# bench/results/. Needs root (network namespaces); 200 calls and 3 rounds take less than ten minutes.
#   bench/compare.sh CALLS ROUNDS
set -eu
cd "$(dirname "$0")/.."
calls=${1:-200}
rounds=${2:-3}
bench=${CARGO_TARGET_DIR:-target}/release/ringway-bench
results=bench/results
when=$(date -u +%Y%m%dT%H%M%SZ)
mkdir -p "$results"
root=
[ "$(id -u)" -eq 0 ] || root=sudo
media() { # TARGETS PAYLOAD_BYTES OVERLOAD_MS
    echo "== $2 bytes of payload, $(date -u)"
    $root "$bench" media --targets "$1" --calls "$calls" --rounds "$rounds" --payload-bytes "$2" \
        --step-ms 500 --overload-ms "$3" --json "$results/media-$when-$2.json"
}
media ringway,rtpengine,reflector,uring-reflector 160 2000
media ringway,rtpengine,reflector 1200 1000
echo "== what calls cost, $(date -u)"
$root "$bench" cost --json "$results/cost-$when.json"
"$bench" report --output "$results/report-$when.html" --markdown "$results/table-$when.md" \
    "$results/media-$when-160.json" "$results/media-$when-1200.json" "$results/cost-$when.json"
echo "the tables of README: $results/table-$when.md"
