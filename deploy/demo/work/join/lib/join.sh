# join SEPARATOR WORD...: the words with the separator between them.
join() {
    join_separator=$1
    shift
    join_text=
    for join_word; do
        join_text="${join_text:+$join_text$join_separator}$join_word"
    done
    printf '%s' "$join_text"
}
