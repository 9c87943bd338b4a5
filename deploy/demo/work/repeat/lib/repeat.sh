# repeat TEXT N: the text, N times.
repeat() {
    repeat_left=$2
    while [ "$repeat_left" -gt 0 ]; do
        printf '%s' "$1"
        repeat_left=$((repeat_left - 1))
    done
}
