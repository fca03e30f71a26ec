#!/bin/sh
# Builds the Debian package: target/debian/ringway_VERSION_ARCH.deb. Two builds of one commit give the
# same bytes, wherever they are made: paths are cut off, and times are the commit's. PROFILE=dev
# packs the binary of the tests.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
cargo_home=${CARGO_HOME:-$HOME/.cargo}
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
if [ "${PROFILE:-release}" = dev ]; then
    # Libraries in C would be built anew for it.
    built=target/debug
else
    built=target/release
    export SOURCE_DATE_EPOCH
    for map in "$root=/build" "$cargo_home=/cargo"; do
        RUSTFLAGS="${RUSTFLAGS:-} --remap-path-prefix=$map"
        CFLAGS="${CFLAGS:-} -ffile-prefix-map=$map"
    done
    export RUSTFLAGS CFLAGS
fi

cargo build --profile "${PROFILE:-release}" --locked -p control --bin ringway
rm -rf "$built/package"
"$built/ringway" generate "$built/package"
gzip -n9 "$built"/package/*.1
rm -f target/debian/ringway_*.deb
export SOURCE_DATE_EPOCH
cargo deb --profile "${PROFILE:-release}" --no-build --strip --locked -p control
