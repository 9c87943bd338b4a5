#!/usr/bin/env bash
# Builds one static tarball for this machine's architecture, with checksums, in target/package/.
# The programs need no library of the host: each is started in an empty root before it is packed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=${CARGO_TARGET_DIR:-target}
host=$(rustc -vV | sed -n 's/^host: //p')
version=$(sed -n '/^version = "/{s/^version = "\(.*\)"/\1/p;q}' Cargo.toml)
name=sprint-$version-${host%%-*}-linux
out=$target/package
programs=(coordinator outpost-agent sprintctl)

# An explicit --target keeps the flag away from build scripts and procedural macros.
RUSTFLAGS='-C target-feature=+crt-static' \
    cargo build --release --locked --target "$host" -p coordinator -p outpost-agent -p sprintctl --bins
built=$target/$host/release

empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
for program in "${programs[@]}"; do
    cp "$built/$program" "$empty/"
    if [ "$(id -u)" -eq 0 ]; then enter=(chroot); else enter=(unshare --user --map-root-user chroot); fi
    if ! "${enter[@]}" "$empty" "/$program" --version; then
        echo "package: $program does not start in an empty root; it is not static" >&2
        exit 1
    fi
done

rm -rf "${out:?}/$name"
mkdir -p "$out/$name/bin" "$out/$name/systemd"
for program in "${programs[@]}"; do
    install -m 755 "$built/$program" "$out/$name/bin/"
done
install -m 644 deploy/systemd/*.service "$out/$name/systemd/"
install -m 755 deploy/install.sh "$out/$name/"
install -m 644 README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE-MIT LICENSE-APACHE "$out/$name/"
cp -R docs "$out/$name/"

# The same commit gives the same tarball.
when=$(git log -1 --format=%ct 2>/dev/null || date +%s)
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@${SOURCE_DATE_EPOCH:-$when}" \
    -C "$out" -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
rm -r "${out:?}/$name"
(cd "$out" && sha256sum "$name.tar.gz" >SHA256SUMS)
echo "package: $out/$name.tar.gz"
cat "$out/SHA256SUMS"
