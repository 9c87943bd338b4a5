check "wordkit runs a function" "Hello" "$(bin/wordkit title hello)"
check "wordkit passes every argument on" "a-b" "$(bin/wordkit join - a b)"
check "functions work together" "   3" "$(bin/wordkit center "$(count "$(reverse "c b a")")" 8)"
