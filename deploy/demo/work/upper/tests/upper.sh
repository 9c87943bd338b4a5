check "upper makes capital letters" "HELLO 1" "$(upper "Hello 1")"
check "upper of nothing is nothing" "" "$(upper "")"
