check "count counts words" "3" "$(count " one two  three ")"
check "count of nothing is 0" "0" "$(count "")"
