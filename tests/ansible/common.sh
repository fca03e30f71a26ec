# For the scripts beside it: counting, and the tools of Ansible in a folder of their own.
# shellcheck shell=bash
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
cache=${CARGO_TARGET_DIR:-$repository/target}/ansible-cache
passed=0
failed=0
export ANSIBLE_CONFIG=$repository/ansible/ansible.cfg ANSIBLE_NOCOLOR=1 NO_COLOR=1

# test NAME COMMAND...: passes if the command does; what it said is shown if it does not
test_that() {
    local name=$1 said began=$SECONDS
    shift
    if said=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "ok - $name ($((SECONDS - began)) s)"
    else
        failed=$((failed + 1))
        printf '%s\n' "$said" | grep -B2 -A14 'fatal:' | sed 's/^/    /'
        printf '%s\n' "$said" | tail -n 40 | sed 's/^/    /'
        echo "not ok - $name"
    fi
}

# finish: the sums, as `tests/run.sh` reads them
finish() {
    printf '# pass %d\n# fail %d\n' "$passed" "$failed"
    [ "$failed" -eq 0 ]
}

# The tools of Ansible, in the versions of requirements.txt.
tools() {
    local sum
    sum=$(sha256sum <"$here/requirements.txt" | cut -c1-12)
    local folder=$cache/venv-$sum
    if [ ! -e "$folder/complete" ]; then
        rm -rf "$folder"
        mkdir -p "$cache"
        python3 -m venv "$folder" && "$folder/bin/pip" install -q -r "$here/requirements.txt" || exit 1
        touch "$folder/complete"
    fi
    PATH=$folder/bin:$PATH
}
