#!/usr/bin/env bash
# The one test command (`make test`): static checks, unit tests, interop tests with real browsers
# and SIP stacks, a short bench run. All stages always run; the last line says how it went.
#   tests/run.sh                     everything
#   tests/run.sh clippy interop      only these stages
set -u -o pipefail
PATH=$PATH:/usr/sbin:/sbin
cd "$(dirname "$0")/.."

STAGES="fmt clippy doc unit build package interop bench"
# Only where it is named: `tests/run.sh build package ansible`.
MORE_STAGES=ansible
passed=0
failed=0
summary=()

# note STAGE PASSED FAILED
note() {
    passed=$((passed + $2))
    failed=$((failed + $3))
    local line='%-28s %4d passed %4d failed  %4d s'
    # shellcheck disable=SC2059 # the format is the one above
    summary+=("$(printf "$line" "$1" "$2" "$3" "$((SECONDS - began))")")
}

begin() {
    began=$SECONDS
    printf '\n=== %s\n' "$*"
}

# check NAME COMMAND...: a command that passes or fails as a whole
check() {
    local name=$1
    shift
    begin "$name"
    if "$@"; then note "$name" 1 0; else note "$name" 0 1; fi
}

sum() { # sums the numbers on standard input
    awk '{ total += $1 } END { print total + 0 }'
}

fmt() { check fmt cargo fmt --all --check; }

clippy() {
    check clippy cargo clippy --workspace --all-targets --locked -- -D warnings
    # As release builds have it, without what stands in debug builds alone. Libraries stay as they are.
    local without=() package
    for package in crypto dataplane control bench; do
        without+=(--config "profile.dev.package.$package.debug-assertions=false")
    done
    check "clippy as released" \
        cargo clippy "${without[@]}" -p control -p bench --bins --locked -- -D warnings
}

doc() {
    RUSTDOCFLAGS="-D warnings" check doc cargo doc --workspace --no-deps --locked
}

unit() {
    begin "unit: cargo test"
    local log status=0 good bad
    log=$(mktemp)
    cargo test --workspace --locked --no-fail-fast 2>&1 | tee "$log" || status=1
    good=$(sed -n 's/^test result: .* \([0-9][0-9]*\) passed; .*/\1/p' "$log" | sum)
    bad=$(sed -n 's/^test result: .* \([0-9][0-9]*\) failed; .*/\1/p' "$log" | sum)
    # A test program that does not build, or dies, has no summary.
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    rm -f "$log"
    note unit "$good" "$bad"
}

# In the profile of the tests: it is optimised too, checks more (overflow, what must never be), and
# most of it is built already.
build() {
    check build cargo build --locked -p control --bin ringway \
        -p bench --bin ringway-bench --features bench/libsrtp
}

# The Debian package, with the binary of the tests: installed in a bare Debian, called, and removed.
package() {
    begin package
    local root=() log good bad
    [ "$(id -u)" -eq 0 ] || root=(sudo -E env "PATH=$PATH")
    log=$(mktemp)
    PATH=$PATH:$PWD/target/tools/bin PROFILE=dev control/debian/build.sh &&
        "${root[@]}" tests/deploy/package.sh target/debian/ringway_*.deb 2>&1 | tee "$log"
    good=$(sed -n 's/^\([0-9][0-9]*\) passed, .*/\1/p' "$log" | sum)
    bad=$(sed -n 's/.* passed, \([0-9][0-9]*\) failed$/\1/p' "$log" | sum)
    if [ "$good" -eq 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    rm -f "$log"
    note package "$good" "$bad"
}

interop() {
    local root=() file log status good bad
    export RINGWAY_BIN="${RINGWAY_BIN:-$target/debug/ringway}"
    [ "$(id -u)" -eq 0 ] || root=(sudo -E env "PATH=$PATH")
    for file in tests/interop/*.test.mjs; do
        begin "interop: ${file##*/}"
        log=$(mktemp)
        status=0
        timeout --kill-after=10 600 "${root[@]}" node --test --test-reporter=tap "$file" 2>&1 |
            tee "$log" || status=1
        good=$(sed -n 's/^# pass \([0-9][0-9]*\)$/\1/p' "$log" | sum)
        bad=$(sed -n 's/^# \(fail\|cancelled\) \([0-9][0-9]*\)$/\2/p' "$log" | sum)
        if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
        rm -f "$log"
        note "interop ${file##*/}" "$good" "$bad"
    done
}

# Needs what the stages `build` and `package` make. Its tools and the image of Debian are kept in target/ansible-cache.
ansible() {
    local root=() script log status good bad
    [ "$(id -u)" -eq 0 ] || root=(sudo -E env "PATH=$PATH")
    for script in static machines; do
        begin "ansible: $script"
        log=$(mktemp)
        status=0
        timeout --kill-after=10 900 "${root[@]}" "tests/ansible/$script.sh" 2>&1 | tee "$log" || status=1
        good=$(sed -n 's/^# pass \([0-9][0-9]*\)$/\1/p' "$log" | sum)
        bad=$(sed -n 's/^# fail \([0-9][0-9]*\)$/\1/p' "$log" | sum)
        if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
        rm -f "$log"
        note "ansible $script" "$good" "$bad"
    done
}

bench_run() {
    local report status=0
    report=$(mktemp -d)
    "$target/debug/ringway-bench" media --loopback --calls 10 --step-ms 300 \
        --json "$report/rows.json" &&
        node tests/check_bench.mjs "$report/rows.json" 10 || status=1
    rm -rf "$report"
    return "$status"
}

bench_srtp() {
    local report status=0
    report=$(mktemp -d)
    "$target/debug/ringway-bench" srtp --rounds 5 --batches 2 --json "$report/rows.json" &&
        node tests/check_srtp_bench.mjs "$report/rows.json" || status=1
    rm -rf "$report"
    return "$status"
}

bench() {
    check "bench media" bench_run
    check "bench srtp" bench_srtp
}

target=${CARGO_TARGET_DIR:-$PWD/target}
began=$SECONDS
[ $# -gt 0 ] || set -- $STAGES
for stage in "$@"; do
    case " $STAGES $MORE_STAGES " in
    *" $stage "*) ;;
    *)
        echo "no stage $stage; there are: $STAGES $MORE_STAGES" >&2
        exit 2
        ;;
    esac
done

begin "install what is missing"
if ! tests/install.sh test || ! npm ci --prefix tests/interop --loglevel=error; then
    note install 0 1
fi
for stage in "$@"; do "$stage"; done

printf '\n'
printf '%s\n' "${summary[@]}"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
