check "join puts the separator between words" "a, b, c" "$(join ", " a b c)"
check "join of one word is that word" "a" "$(join ", " a)"
