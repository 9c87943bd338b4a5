check "indent puts spaces in front" "   a b" "$(indent "a b" 3)"
check "indent by nothing is the text" "a" "$(indent a 0)"
