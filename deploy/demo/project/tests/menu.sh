in_menu help && check "the menu has help" yes yes || check "the menu has help" yes no
in_menu cook && check "the menu has no cook" no yes || check "the menu has no cook" no no
