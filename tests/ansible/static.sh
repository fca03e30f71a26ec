#!/usr/bin/env bash
# The roles without a machine: lints, syntax, the variables and what is refused of them.
set -u -o pipefail
. "$(dirname "$0")/common.sh"
tools
cd "$repository/ansible" || exit 1

# refused WORDS ROLE YAML: the role stops with these words for these variables
refused() {
    local words=$1 role=$2 said
    said=$(ansible-playbook --check --tags preflight -i localhost, -c local -e "ansible_python_interpreter=$(command -v python3)" -e "role=$role" -e "$3" "$here/variables.yml" 2>&1) && {
        echo "it was taken: $said"
        return 1
    }
    grep -qF -- "$words" <<<"$(tr -s ' \n' ' ' <<<"$said")" || {
        echo "not the words \"$words\":"
        echo "$said"
        return 1
    }
}

test_that "yamllint" yamllint -s . "$here"
test_that "ansible-lint, profile production" ansible-lint --offline --profile production --strict --nocolor
test_that "syntax" ansible-playbook --syntax-check site.yml load.yml
test_that "each variable has type, default and description, and is in the README" python3 "$here/variables.py"
needed='"gateway_package":"x","gateway_web_listen":"127.0.0.1:443"'
test_that "a number that is none is refused" \
    refused "unable to convert to int" host '{"host_rtp_port_min":"many"}'
test_that "a value that is no choice is refused" \
    refused "value of host_nic_interrupts must be one of: own, sibling, housekeeping" host '{"host_nic_interrupts":"all"}'
test_that "an unknown variable of the host is refused" \
    refused "unknown variable: host_media_core. Mend its name" host '{"host_media_core":[1],"host_firewall":false}'
test_that "an unknown variable of the gateway is refused" \
    refused "unknown variable: gateway_core. Mend its name" gateway "{$needed,\"gateway_core\":[1]}"
test_that "an unknown key of a trunk is refused" \
    refused "targets" gateway "{$needed,\"gateway_trunks\":[{\"name\":\"a\",\"target\":[\"192.0.2.1\"],\"targets\":1}]}"
test_that "a missing variable is named" \
    refused "missing required arguments: gateway_package" gateway '{"gateway_web_listen":"127.0.0.1:443"}'
finish
