# count TEXT: how many words the text has.
count() {
    # shellcheck disable=SC2086
    set -- $1
    printf '%s' "$#"
}
