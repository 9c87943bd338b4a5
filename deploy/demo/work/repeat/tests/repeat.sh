check "repeat says it again" "ababab" "$(repeat ab 3)"
check "repeat 0 times is nothing" "" "$(repeat ab 0)"
