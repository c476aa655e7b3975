# Shared by the scripts in this folder: where things are, and how to install what is missing.
# shellcheck shell=bash

# shellcheck disable=SC2034
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # used by the scripts that read this file
build_packages=(libhiredis-dev libcurl4-openssl-dev)
# shellcheck disable=SC2034
run_packages=(redis-server ca-certificates)
# shellcheck disable=SC2034
test_packages=(redis-server redis-tools nginx haproxy openssl wrk shellcheck curl faketime python3-venv stunnel4 tinyproxy-bin microsocks)

say() { printf '%s\n' "$*" >&2; }

die() {
    say "error: $*"
    exit 1
}

# Installs the Debian packages that are not there yet; says nothing when all are.
install_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    ((${#missing[@]} == 0)) && return 0
    command -v apt-get >/dev/null || die "install these packages by hand: ${missing[*]}"
    local as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die "run as root, or install these packages by hand: ${missing[*]}"
        as_root=(sudo)
    fi
    say "installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    # RUNLEVEL=1 keeps a freshly installed redis-server or nginx from starting as a service of the machine.
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
}

need_swift() {
    command -v swift >/dev/null || die "no Swift toolchain: install Swift 6.2 or later (https://www.swift.org/install)"
}

# The programs in Python that the tests talk to, at the versions of requirements.txt.
need_peers() {
    local wanted="$root/Tests/IntegrationTests/Peers/requirements.txt" venv="$root/.build-peers"
    cmp -s "$wanted" "$venv/requirements.txt" && return 0
    say "installing what the tests talk to"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
    # Its own tests come with the source only.
    "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary requests \
        --dest "$venv/sources" "$(grep '^requests==' "$wanted")"
    mkdir "$venv/requests"
    tar -xzf "$venv"/sources/requests-*.tar.gz --strip-components=1 -C "$venv/requests"
    cp "$wanted" "$venv/requirements.txt"
}
