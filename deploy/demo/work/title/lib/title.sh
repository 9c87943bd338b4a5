# title WORD: the word with a capital letter in front and small letters behind it.
title() {
    title_rest=${1#?}
    upper "${1%"$title_rest"}"
    lower "$title_rest"
}
