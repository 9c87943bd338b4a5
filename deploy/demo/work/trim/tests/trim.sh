check "trim takes the spaces at both ends" "a b" "$(trim "  a b ")"
check "trim leaves a text without them" "a" "$(trim "a")"
