#!/bin/sh
# Compares all targets: audio as a gateway carries it, then video in bursts. Results and a page that
# shows them go to bench/results/. Needs root (network namespaces), and takes minutes.
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
for payload in 160 1200; do
    echo "== $payload bytes of payload, $(date -u)"
    $root "$bench" media --targets ringway,rtpengine,reflector --calls "$calls" \
        --payload-bytes "$payload" --rounds "$rounds" --step-ms 500 \
        --json "$results/media-$when-$payload.json"
done
"$bench" report --output "$results/report-$when.html" \
    "$results/media-$when-160.json" "$results/media-$when-1200.json"
