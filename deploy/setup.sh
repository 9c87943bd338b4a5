#!/usr/bin/env bash
# Installs what building, running and testing need and this machine has not; does nothing when all is there.
#
#   deploy/setup.sh          what running needs: git, tmux, a C compiler
#   deploy/setup.sh --tests  also what tests need, for none is skipped for lack of it: PostgreSQL, Python, namespaces
set -euo pipefail

packages=()
need() { # need PACKAGE WHY COMMAND: unless the command succeeds
    local package=$1 why=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    printf 'setup: %s is missing (%s)\n' "$package" "$why"
    packages+=("$package")
}
has() { command -v "$1"; }
has_faketime() { ls /usr/lib/*/faketime/libfaketimeMT.so.1; }
has_postgres() { has postgres || ls /usr/lib/postgresql/*/bin/postgres; }

if ! has cargo >/dev/null; then
    echo "setup: cargo is missing; install a Rust toolchain (https://rustup.rs) and try again" >&2
    exit 1
fi
need git "repositories and code" has git
need tmux "the terminals of workers" has tmux
need build-essential "C code of the embedded database and of libgit2" has cc
if [ "${1:-}" = --tests ]; then
    need iproute2 "tests of joining from another host make a network namespace" has ip
    need util-linux "tests mount small disks, and run in namespaces and as other users" has unshare
    need python3 "workers of tests open sockets, terminals and much memory" has python3
    need git-lfs "tests of repositories with large files" has git-lfs
    need faketime "the soak makes clocks jump" has_faketime
    need postgresql "the tests of the store run against it too" has_postgres
fi
[ ${#packages[@]} -gt 0 ] || exit 0

apt_get=(apt-get)
if [ "$(id -u)" -ne 0 ]; then
    if ! has sudo >/dev/null; then
        echo "setup: not root and no sudo; install these yourself and try again: ${packages[*]}" >&2
        exit 1
    fi
    apt_get=(sudo DEBIAN_FRONTEND=noninteractive apt-get)
fi
if ! has apt-get >/dev/null; then
    echo "setup: this is not Debian or Ubuntu; install these with your package manager and try again: ${packages[*]}" >&2
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
echo "setup: running ${apt_get[*]} install ${packages[*]}"
"${apt_get[@]}" update -q </dev/null
"${apt_get[@]}" install -y -q --no-install-recommends "${packages[@]}" </dev/null
