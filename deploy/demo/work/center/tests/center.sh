check "center puts a text into the middle" "   ab" "$(center " ab " 8)"
