#!/bin/sh
# Runs every test there is; fails when one fails, and when there is none.
set -u
cd "$(dirname "$0")" || exit 1
passed=0
failed=0

# check WHAT EXPECTED GOT
check() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'not ok: %s: expected "%s", got "%s"\n' "$1" "$2" "$3"
    fi
}

for file in lib/*.sh tests/*.sh; do
    # shellcheck source=/dev/null
    . "./$file"
done
printf '%s passed, %s failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
