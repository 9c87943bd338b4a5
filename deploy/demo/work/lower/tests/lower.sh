check "lower makes small letters" "hello 1" "$(lower "Hello 1")"
