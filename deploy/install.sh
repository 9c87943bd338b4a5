#!/usr/bin/env bash
# Installs the three programs with shell completions, man pages and systemd user units.
#
#   deploy/install.sh                        into /usr/local as root, into ~/.local otherwise
#   PREFIX=/opt/sprint deploy/install.sh     elsewhere
#   DESTDIR=/tmp/root deploy/install.sh      into a directory that becomes the root of a package
#
# It takes the programs from bin/ beside it (in a package), or else from target/release.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
from=${BIN:-$here/bin}
[ -d "$from" ] || from=${CARGO_TARGET_DIR:-$here/../target}/release
if [ "$(id -u)" -eq 0 ]; then default=/usr/local; else default=${HOME:?}/.local; fi
PREFIX=${PREFIX:-$default}
case $PREFIX in /*) ;; *) echo "install: PREFIX must be an absolute path, not $PREFIX" >&2; exit 2 ;; esac
root=${DESTDIR:-}$PREFIX

for program in coordinator outpost-agent sprintctl; do
    if ! [ -x "$from/$program" ]; then
        echo "install: $from/$program is missing; run \`make build-release\` first" >&2
        exit 1
    fi
    install -D -m 755 "$from/$program" "$root/bin/$program"
done

completions() { # completions SHELL FILE
    mkdir -p "$(dirname "$root/share/$2")"
    "$from/sprintctl" completions "$1" >"$root/share/$2"
}
completions bash bash-completion/completions/sprintctl
completions zsh zsh/site-functions/_sprintctl
completions fish fish/vendor_completions.d/sprintctl.fish

mkdir -p "$root/share/man/man1"
for program in coordinator outpost-agent sprintctl; do
    "$from/$program" man "$root/share/man/man1"
done

for unit in "$here"/systemd/*.service; do
    target=$root/share/systemd/user/$(basename "$unit")
    mkdir -p "$(dirname "$target")"
    sed "s|^ExecStart=/usr/local/bin/|ExecStart=$PREFIX/bin/|" "$unit" >"$target"
done

echo "install: installed into $root"
case :$PATH: in
    *:"$PREFIX/bin":*) ;;
    *) [ -n "${DESTDIR:-}" ] || echo "install: $PREFIX/bin is not in PATH; add it to your shell's profile" ;;
esac
