# indent TEXT N: the text with N spaces in front.
indent() {
    printf '%*s%s' "$2" '' "$1"
}
