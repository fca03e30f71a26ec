#!/bin/sh
# Brings what a bare Debian 12 with Rust lacks. Nothing is touched that is already there.
#   tests/install.sh build   what `make run` needs: a C compiler, Node.js and npm
#   tests/install.sh bench   that, and what `make bench` compares with
#   tests/install.sh package what `make run` and `make deb` need
#   tests/install.sh test    what `make run` needs, and the browsers, SIP stacks and network tools of `make test`
set -eu
PATH=$PATH:/usr/sbin:/sbin

packages=
lacks() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null 2>&1 || packages="$packages $2"
}

lacks cc build-essential
lacks node nodejs
lacks npm npm
if [ "${1:-test}" = test ]; then
    lacks chromium chromium
    lacks firefox firefox-esr
    lacks kamailio kamailio
    lacks sipp sip-tester
    lacks baresip baresip-core
    lacks ip iproute2
    lacks sysctl procps
    lacks tcpdump tcpdump
    lacks openssl openssl
    lacks dnsmasq dnsmasq-base
    lacks pebble pebble
    lacks debootstrap debootstrap
    lacks lintian lintian
    lacks systemd-analyze systemd
    # The playbook on machines of its own.
    lacks systemd-nspawn systemd-container
    lacks ssh openssh-client
    lacks nft nftables
    lacks python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages="$packages python3-venv"
    # A module of Kamailio, somewhere under the machine's own library directory.
    ls /usr/lib/*/kamailio/modules/tls.so >/dev/null 2>&1 ||
        packages="$packages kamailio-tls-modules"
    # A library: the oracle of the SRTP tests.
    [ -e /usr/include/srtp2/srtp.h ] || packages="$packages libsrtp2-dev"
fi

if [ "${1:-test}" = bench ]; then
    lacks rtpengine rtpengine-daemon
    lacks ip iproute2
    lacks sysctl procps
    lacks taskset util-linux
    lacks strace strace
    lacks ethtool ethtool
    lacks kamailio kamailio
    ls /usr/lib/*/kamailio/modules/websocket.so >/dev/null 2>&1 ||
        packages="$packages kamailio-websocket-modules"
fi

if [ -n "$packages" ]; then
    root=
    [ "$(id -u)" -eq 0 ] || root=sudo
    command -v apt-get >/dev/null 2>&1 || {
        echo "install these by hand, there is no apt-get here:$packages" >&2
        exit 1
    }
    echo "installing:$packages"
    $root apt-get update -q
    # shellcheck disable=SC2086 # a list of words
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages
    case "$packages" in
    *kamailio*)
        # The tests start their own; the service that the package starts would only be in the way.
        if command -v systemctl >/dev/null 2>&1; then
            $root systemctl disable --now kamailio >/dev/null 2>&1 || true
        fi
        ;;
    esac
    case "$packages" in
    *rtpengine*)
        if command -v systemctl >/dev/null 2>&1; then
            $root systemctl disable --now rtpengine-daemon >/dev/null 2>&1 || true
        fi
        ;;
    esac
fi

if [ "${1:-test}" != build ] && [ "${1:-test}" != bench ] && ! command -v cargo-deb >/dev/null 2>&1; then
    root=$(cd "$(dirname "$0")/.." && pwd)
    [ -x "$root/target/tools/bin/cargo-deb" ] ||
        cargo install --locked --root "$root/target/tools" cargo-deb@3.8.0
fi

major=$(node --version | sed 's/^v\([0-9]*\).*/\1/')
if [ "$major" -lt 18 ]; then
    echo "Node.js $(node --version) is too old, 18 or newer is needed" >&2
    exit 1
fi

if [ "${1:-test}" = test ]; then
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
fi
