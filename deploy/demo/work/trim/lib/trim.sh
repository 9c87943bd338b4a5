# trim TEXT: the text without spaces at its ends.
trim() {
    printf '%s' "$1" | sed 's/^ *//; s/ *$//'
}
