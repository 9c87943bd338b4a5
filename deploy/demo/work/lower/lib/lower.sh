# lower TEXT: the text in small letters.
lower() {
    printf '%s' "$1" | tr '[:upper:]' '[:lower:]'
}
