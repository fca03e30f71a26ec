#!/usr/bin/env bash
# Installs the package in a bare Debian 12 of its own, calls the echo in it, and removes it again. As
# root. The Debian is made once, and kept in target/.
#   tests/deploy/package.sh PACKAGE.deb
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
cd "$(dirname "$0")/../.."
package=$(readlink -f "$1")
here=tests/deploy
cache=target/deploy
packages=systemd-standalone-sysusers,iproute2
image=$cache/bookworm-$(echo "$packages" | sha256sum | cut -c1-12).tar
root=$(mktemp -d)
passed=0 failed=0

end() {
    ip netns del "ringway-deb-$$" 2>/dev/null || true
    rm -rf "$root"
}
trap end EXIT

check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >"$root.log" 2>&1; then
        passed=$((passed + 1))
        echo "ok: $name"
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        cat "$root.log"
    fi
    rm -f "$root.log"
}

# A command in the Debian, which has a network and processes of its own.
inside() {
    ip netns exec "ringway-deb-$$" unshare --fork --pid --mount-proc="$root/proc" \
        chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
}

mkdir -p "$cache"
if [ ! -e "$image" ]; then
    debootstrap --variant=minbase --include="$packages" bookworm "$root/new" >"$cache/debootstrap.log"
    tar -C "$root/new" -cf "$image.new" .
    mv "$image.new" "$image"
    rm -rf "$root/new"
fi
tar -C "$root" -xf "$image"
ip netns add "ringway-deb-$$"
ip -n "ringway-deb-$$" link set lo up
ip -n "ringway-deb-$$" addr add 192.0.2.1/24 dev lo
cp "$package" "$root/ringway.deb"

unit=control/debian/ringway.service
check "the unit exposes at most 2.0" \
    systemd-analyze security --offline=yes --threshold=20 --no-pager "$unit"
# With a program that this machine has.
verified() {
    sed 's#^ExecStart=/usr/bin/ringway#ExecStart=/bin/true#' "$unit" >"$root/ringway.service"
    systemd-analyze verify --man=no "$root/ringway.service"
    rm "$root/ringway.service"
}
check "systemd-analyze verify" verified
no_errors() { ! lintian --allow-root "$package" | grep '^E:'; }
check "lintian finds no errors" no_errors

check "it installs" inside dpkg -i /ringway.deb
check "a user of its own" inside getent passwd ringway
mode() { [ "$(inside stat -c '%U:%G %a' "$1")" = "$2" ]; }
check "its configuration is its own" mode /etc/ringway/ringway.toml "root:ringway 640"
check "the configuration of the package is valid" inside ringway check-config /etc/ringway/ringway.toml
pages() { inside test -s /usr/share/man/man1/ringway.1.gz -a -s /usr/share/bash-completion/completions/ringway; }
check "manual page and completions" pages

# A call, as the user that the unit has.
cat "$here/selftest.toml" >"$root/etc/ringway/ringway.toml"
call() {
    inside sh -c '
        setpriv --reuid=ringway --regid=ringway --clear-groups \
            ringway --config /etc/ringway/ringway.toml 2>/tmp/log & pid=$!
        for _ in $(seq 50); do
            ringway selftest --config /etc/ringway/ringway.toml && kill "$pid" && exit 0
            sleep 0.1
        done
        cat /tmp/log; exit 1'
}
check "the echo is called" call

conffile() { inside grep -q 'number = "1001"' /etc/ringway/ringway.toml; }
check "it installs again" inside dpkg -i --force-confold /ringway.deb
check "an own configuration stays" conffile
check "modes of its owner stay" inside sh -c 'chmod 0600 /etc/ringway/ringway.toml && dpkg -i /ringway.deb &&
    [ "$(stat -c %a /etc/ringway/ringway.toml)" = 600 ]'
check "it installs where the configuration was removed" inside sh -c 'mv /etc/ringway/ringway.toml /kept &&
    dpkg -i /ringway.deb && mv /kept /etc/ringway/ringway.toml'
check "a unit that was enabled" inside sh -c 'wants=/etc/systemd/system/multi-user.target.wants &&
    mkdir -p $wants && ln -s /lib/systemd/system/ringway.service $wants/'
check "it goes" inside dpkg -r ringway
check "an own configuration stays when it goes" conffile
check "nothing else stays" inside sh -c '! find / -xdev -path /proc -prune -o -path "*ringway*" -print |
    grep -v -e "^/ringway.deb$" -e "^/etc/ringway" -e "^/var/lib/dpkg/info/ringway\." | grep .'
check "it is purged" inside dpkg -P ringway
check "nothing stays" inside sh -c '! ls -d /etc/ringway /var/lib/ringway 2>/dev/null'

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
