#!/usr/bin/env bash
# Installs what building, running and testing need and this machine has not; does nothing when all is there.
#
#   deploy/setup.sh            what running needs: git, tmux, a C compiler
#   deploy/setup.sh --aarch64  also what building for aarch64 needs
#   deploy/setup.sh --tests    also what tests need, for none is skipped for lack of it: PostgreSQL, Python, namespaces
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
    need python3-venv "the agents of tests come from PyPI" python3 -m ensurepip --version
    need postgresql "the tests of the store run against it too" has_postgres
fi
if [ "${1:-}" = --aarch64 ]; then
    need gcc-aarch64-linux-gnu "C code for aarch64" has aarch64-linux-gnu-gcc
    need libc6-dev-arm64-cross "C headers for aarch64" ls /usr/aarch64-linux-gnu/include/stdio.h
    need qemu-user-static "tests for aarch64 run emulated" has qemu-aarch64-static
fi

# Real agents, pinned, in the user's cache: one directory for each set of versions.
agents() {
    local wanted="claude-agent-sdk==0.2.184 openai-codex-cli-bin==0.163.0 grok-cli-bin==0.2.111"
    local dir=${XDG_CACHE_HOME:-$HOME/.cache}/sprint-tests/agents
    [ "$(cat "$dir/wanted" 2>/dev/null)" != "$wanted" ] || return 0
    case ,${SPRINT_TEST_SKIP:-}, in *,agents,*) return 0 ;; esac
    echo "setup: installing agents for tests into $dir: $wanted"
    rm -rf "$dir"
    python3 -m venv "$dir"
    # shellcheck disable=SC2086 # a word for each package
    "$dir/bin/pip" install -q --disable-pip-version-check --no-cache-dir $wanted
    echo "$wanted" >"$dir/wanted"
}

if [ ${#packages[@]} -eq 0 ]; then
    [ "${1:-}" != --tests ] || agents
    exit 0
fi

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
[ "${1:-}" != --tests ] || agents
