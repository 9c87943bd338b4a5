# center TEXT WIDTH: the trimmed text in the middle of a line.
center() {
    center_text=$(trim "$1")
    printf '%s%s' "$(repeat ' ' $((($2 - ${#center_text}) / 2)))" "$center_text"
}
