check "reverse turns a text around" "cba" "$(reverse abc)"
check "reverse twice is the text" "abc" "$(reverse "$(reverse abc)")"
