#!/usr/bin/env bash
# The playbook on fresh machines: two gateways and a load generator, each a Debian that systemd-nspawn boots in a network
# namespace of its own, over ssh. As root. RINGWAY_BIN and RINGWAY_BENCH name the binaries that are installed.
set -u -o pipefail
. "$(dirname "$0")/common.sh"
package=${RINGWAY_DEB:-$(echo "$repository"/target/debian/ringway_*.deb)}
bench=${RINGWAY_BENCH:-$repository/target/debug/ringway-bench}
tools

# Every package that the roles install is in the image: the machines reach no registry.
packages=systemd,systemd-sysv,dbus,python3,python3-apt,openssh-server,nftables,chrony,iproute2,ethtool,kmod,openssl
packages+=,procps,ca-certificates,udev,libpam-systemd
image=$cache/image-$(printf '%s' "$packages" | sha256sum | cut -c1-12).tar
if [ ! -e "$image" ]; then
    echo "making the image of Debian, which is kept"
    base=$cache/base.$$
    debootstrap --variant=minbase --include="$packages" bookworm "$base" >"$cache/debootstrap.log" 2>&1 || {
        tail "$cache/debootstrap.log"
        rm -rf "$base"
        exit 1
    }
    tar -C "$base" --exclude=./var/cache/apt/archives/*.deb -cf "$image.part" . && mv "$image.part" "$image"
    rm -rf "$base"
fi

work=$(mktemp -d)
machines="gw1 gw2 load1"
booted=()
cleanup() {
    local pid machine
    for pid in "${booted[@]}"; do kill -- "$pid" 2>/dev/null; done
    for pid in "${booted[@]}"; do wait "$pid" 2>/dev/null; done
    for machine in ctl $machines; do ip netns del "ansible-$machine" 2>/dev/null; done
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# A bridge in the namespace of the controller, and a machine at each of its ends.
network() {
    ip netns add ansible-ctl || return 1
    ip -n ansible-ctl link add br0 type bridge && ip -n ansible-ctl address add 10.79.0.1/24 dev br0
    ip -n ansible-ctl link set br0 up && ip -n ansible-ctl link set lo up
    local machine number=10
    for machine in $machines; do
        ip netns add "ansible-$machine" || return 1
        ip -n ansible-ctl link add "to-$machine" type veth peer name eth0 netns "ansible-$machine"
        ip -n ansible-ctl link set "to-$machine" master br0 up
        ip -n "ansible-$machine" address add "10.79.0.$number/24" dev eth0
        ip -n "ansible-$machine" link set eth0 up && ip -n "ansible-$machine" link set lo up
        number=$((number + 1))
    done
}

boot() {
    local machine root
    ssh-keygen -q -t ed25519 -N '' -f "$work/key"
    for machine in $machines; do
        root=$work/$machine
        mkdir "$root" && tar -C "$root" -xf "$image" || return 1
        mkdir -m 0700 -p "$root/root/.ssh" && cp "$work/key.pub" "$root/root/.ssh/authorized_keys"
        echo "$machine" >"$root/etc/hostname"
        # Without a name of its own a machine would take this for its first boot, and enable every unit.
        tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
        systemd-nspawn --quiet --register=no --keep-unit "--network-namespace-path=/run/netns/ansible-$machine" \
            --machine="ansible-$machine" --capability=CAP_NET_ADMIN,CAP_NET_RAW --resolv-conf=off --console=read-only -D "$root" -b >"$work/$machine.log" 2>&1 </dev/null &
        booted+=($!)
    done
    for machine in 10 11 12; do
        for _ in $(seq 100); do
            remote "$machine" systemctl is-active -q ssh 2>/dev/null && continue 2
            sleep 0.2
        done
        echo "10.79.0.$machine did not start"
        cat "$work"/*.log
        return 1
    done
}

ssh_options="-i $work/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
# remote NUMBER COMMAND...: on the machine with this last octet
remote() {
    local number=$1
    shift
    # shellcheck disable=SC2086 # options are words
    ip netns exec ansible-ctl ssh $ssh_options "root@10.79.0.$number" "$@"
}

certificate() { # NAME: a self-signed one
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" \
        -addext "subjectAltName=DNS:$1.example.com" -keyout "$work/$1.key" -out "$work/$1.pem" 2>/dev/null
}

inventory() {
    mkdir -p "$work/inventory"
    sed -e "s|@WORK@|$work|g" -e "s|@BENCH@|$bench|g" "$here/inventory.yml.in" >"$work/inventory/hosts.yml"
}

# play [OPTION...]: site.yml, whose words are kept in $work/said
play() {
    ip netns exec ansible-ctl env ANSIBLE_PRIVATE_KEY_FILE="$work/key" ANSIBLE_REMOTE_USER=root \
        ANSIBLE_SSH_ARGS="-o ControlMaster=auto -o ControlPersist=60s -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null" \
        ANSIBLE_SSH_CONTROL_PATH_DIR="$work/control" ANSIBLE_LOCALHOST_WARNING=false \
        ansible-playbook -i "$work/inventory" "${playbook:-$repository/ansible/site.yml}" "$@" >"$work/said" 2>&1
    local status=$?
    cat "$work/said"
    return "$status"
}

# changes HOST: how many the last play made there
changes() { sed -n "s/^$1 .* changed=\([0-9]*\).*/\1/p" "$work/said"; }

. "$here/cases.sh"
began=$SECONDS
network && boot && inventory || {
    echo "not ok - machines start"
    failed=1
    finish
    exit
}
echo "three machines after $((SECONDS - began)) s"
cp "$package" "$work/ringway.deb" || exit 1
certificate first
certificate second
cases
finish
