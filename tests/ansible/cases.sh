# What is asked of the playbook, case by case; `machines.sh` has the machines.
# shellcheck shell=bash

cases() {
    test_that "check mode passes on fresh machines, lists the changes and makes none" check_fresh
    began=$SECONDS
    test_that "the playbook passes: two gateways and a load generator" apply
    echo "fresh machines to gateways: $((SECONDS - began)) s"
    test_that "units run, files belong to whom they should, no secret is said" installed
    test_that "calls from another machine pass, and their report is fetched" load
    began=$SECONDS
    test_that "the second run changes nothing" nothing_changes
    echo "second run: $((SECONDS - began)) s"
    test_that "check mode with differences shows none" no_difference
    test_that "another certificate and another trunk arrive" changed
    test_that "a certificate that does not fit its key is stopped" \
        stopped "the certificate does not fit its key" -e "{\"gateway_certificate\": $(json "$work/first.pem")}"
    test_that "a port that is used is stopped" used_port
    test_that "a core that is missing is stopped" \
        stopped "core 99 is not for media: this host has cores 0 to" -e '{"gateway_cores": [99]}'
    test_that "a configuration that does not pass is not installed" \
        stopped "failed to validate" -e '{"gateway_settings": {"media": {"no_such_key": 1}}}'
    test_that "what was good comes back if the call after a change fails" goes_back
    test_that "the package goes away cleanly" removed
}

json() { python3 -c 'import json, sys; print(json.dumps(open(sys.argv[1]).read()))' "$1"; }

# state: sums of all that a gateway has
state() { remote 10 'cat /etc/ringway/*.* /etc/systemd/system/ringway.service.d/* | sha256sum; systemctl show -p MainPID ringway'; }

check_fresh() {
    play --check || return 1
    local host
    for host in gw1 gw2 load1; do
        [ "$(changes "$host")" -gt 5 ] || return 1
    done
    grep -q 'would restart ringway' "$work/said" || return 1
    remote 10 '! test -e /etc/ringway && ! test -e /etc/sysctl.d/60-ringway.conf && ! test -e /usr/bin/ringway'
}

apply() {
    play || return 1
    # Long lines are wrapped.
    [ "$(tr -s ' \n' ' ' <"$work/said" | grep -o 'with ICE, DTLS and SRTP' | wc -l)" -ge 2 ] || return 1
    grep -q 'kernel line: isolcpus=managed_irq,domain,1' "$work/said"
}

installed() {
    local number
    if grep -rqF kept-in-a-vault "$work/said"; then echo "the password was said"; return 1; fi
    for number in 10 11; do
        remote "$number" 'set -e
            systemctl is-active ringway ringway-firewall; systemctl is-enabled ringway ringway-firewall
            test "$(stat -c "%U:%G %a" /etc/ringway/ringway.toml)" = "root:ringway 640"
            test "$(stat -c "%U:%G %a" /etc/ringway/private_key.pem)" = "root:ringway 640"
            nft list table inet ringway | grep -q "policy drop"
            systemctl show -p LimitNOFILE ringway | grep -q "="
            grep -q "isolcpus=managed_irq,domain,1 " /etc/default/grub.d/60-ringway.cfg' || return 1
    done
    remote 12 'ringway-bench --help >/dev/null'
}

load() {
    playbook=$repository/ansible/load.yml play || return 1
    cat "$work/reports/load1.json"
    python3 -c 'import json, sys
report = json.load(open(sys.argv[1]))
sys.exit(report["passed"] != 6 or report["failed"] or report["packets_back"] < 1)' "$work/reports/load1.json"
}

nothing_changes() {
    play || return 1
    local host
    for host in gw1 gw2 load1; do [ "$(changes "$host")" = 0 ] || return 1; done
}

no_difference() {
    play --check --diff || return 1
    local host
    for host in gw1 gw2 load1; do [ "$(changes "$host")" = 0 ] || return 1; done
    ! grep -qE '^(\+\+\+|---) ' "$work/said"
}

# The certificate that gw1 shows.
shown() {
    ip netns exec ansible-ctl openssl s_client -connect 10.79.0.10:443 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint
}

changed() {
    sed -i -e "s|first\.|second.|" -e "s|10.79.0.1:5060|10.79.0.1:5070|" "$work/inventory/hosts.yml"
    play || return 1
    [ "$(shown)" = "$(openssl x509 -noout -fingerprint -in "$work/second.pem")" ] || return 1
    remote 10 'grep -q 10.79.0.1:5070 /etc/ringway/ringway.toml'
}

# stopped WORDS OPTION...: the play for gw1 fails with these words, and nothing is changed there
stopped() {
    local words=$1 before
    shift
    before=$(state)
    if play --limit gw1 "$@"; then echo "it passed"; return 1; fi
    tr -s ' \n' ' ' <"$work/said" | grep -qF -- "$words" || return 1
    [ "$before" = "$(state)" ]
}

used_port() {
    remote 10 'systemd-run --quiet --unit=other python3 -m http.server 8444' && sleep 1
    stopped "port 8444 is used: ((\"python3\"" -e gateway_web_listen=10.79.0.10:8444
    local status=$?
    remote 10 systemctl stop other
    return "$status"
}

goes_back() {
    local before
    before=$(remote 10 'cat /etc/ringway/*.* | sha256sum')
    if play --limit gw1 -e '{"gateway_settings": {"lines": {"echo": ""}}}'; then echo "it passed"; return 1; fi
    tr -s ' \n' ' ' <"$work/said" | grep -qF "The last good configuration is back, and runs." || return 1
    [ "$before" = "$(remote 10 'cat /etc/ringway/*.* | sha256sum')" ] || return 1
    play --limit gw1 && [ "$(changes gw1)" = 0 ]
}

removed() {
    remote 11 'systemctl disable --now ringway && dpkg --remove ringway && ! test -e /usr/bin/ringway &&
        ! test -e /usr/lib/systemd/system/ringway.service && ! pgrep -x ringway && test -e /etc/ringway/ringway.toml'
}
