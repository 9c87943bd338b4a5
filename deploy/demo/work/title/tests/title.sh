check "title begins with a capital letter" "Hello" "$(title hELLO)"
