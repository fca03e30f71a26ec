#!/bin/sh
# What two workers carry, as a multiple of what one carries: bench/workers.sh [CALLS [ROUNDS]]
# Needs root and four CPU cores: the generator's, two workers', and one for the rest of the machine.
# One worker and two are measured in turns; the middle of the rounds is compared.
set -eu
cd "$(dirname "$0")/.."
calls=${1:-200}
rounds=${2:-3}
cores=$(nproc)
if [ "$cores" -lt 4 ]; then
    echo "two workers cannot be measured: there are $cores CPU cores, and it takes 4" >&2
    exit 1
fi
bench=${CARGO_TARGET_DIR:-target}/release/ringway-bench
mkdir -p bench/results
rm -f bench/results/workers-[12]-r*
round=0
while [ "$round" -lt "$rounds" ]; do
    for workers in 1 2; do
        "$bench" media --calls "$calls" --workers "$workers" \
            --json "bench/results/workers-$workers-r$round.json"
    done
    round=$((round + 1))
done

# The middle one of a field over all rounds of so many workers.
middle() {
    cat bench/results/workers-"$1"-r*[0-9].json | tr ',{}' '\n\n\n' \
        | sed -n "s/^ *\"$2\": *\([0-9.]*\).*/\1/p" | sort -n \
        | awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'
}
one=$(middle 1 lossfree_pps_median)
two=$(middle 2 lossfree_pps_median)
uname -mr
grep -m 1 'model name' /proc/cpuinfo || true
echo "$cores cores; one worker $one packets/s, two workers $two"
awk "BEGIN { ratio = $two / $one
    printf \"%.2f times (at least 1.8): %s\\n\", ratio, (ratio >= 1.8 ? \"met\" : \"MISSED\") }"
if grep -q '"generator_bound": *true' bench/results/workers-2-r*[0-9].json; then
    echo "the generator was the limit in some rounds: the workers could do more"
fi
