# reverse TEXT: the text from its end to its beginning.
reverse() {
    printf '%s\n' "$1" | awk '{ for (i = length($0); i > 0; i--) printf "%s", substr($0, i, 1) }'
}
