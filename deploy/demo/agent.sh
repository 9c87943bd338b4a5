#!/bin/sh
# A scripted agent: it reads its prompt, edits, tests and commits, and makes the mistakes that agents make.
#
# What it adds stands in work/NAME; "work: NAME" in its prompt says which.
set -eu
work=$(cd "$(dirname "$0")" && pwd)/work

say() {
    printf 'agent: %s\n' "$*"
}

# Thinking takes an agent a while.
think() {
    say "$1 …"
    sleep "$2"
}

commit() {
    git add -A
    if git diff --cached --quiet; then
        say "there is nothing to commit"
    else
        git -c user.name="demo agent" -c user.email=agent@example.invalid commit -q -m "$1"
        say "committed $(git rev-parse --short HEAD)"
    fi
}

test_all() {
    think "running the tests" 0.2
    ./test.sh
}

# meet FILES COUNT: waits until there are so many in the meeting place, 6 s at most.
meet() {
    tries=0
    while [ "$(find "$DEMO_MEETING" -name "$1" | wc -l)" -lt "$2" ] && [ "$tries" -lt 60 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
}

# Edits the one line of the menu. On the first attempt it waits until its rival
# has started from the same commit, so that the two must conflict.
add_to_menu() {
    if [ "$SPRINT_ATTEMPT" -eq 1 ]; then
        : >"$DEMO_MEETING/rival-$1"
        meet "rival-*" 2
    fi
    grep -q "^menu=.*[\" ]$1[\" ]" lib/menu.sh || sed -i "s/^menu=\"\(.*\)\"/menu=\"\1 $1\"/" lib/menu.sh
    in_menu="in_menu $1 && check \"the menu has $1\" yes yes || check \"the menu has $1\" yes no"
    printf '%s\n' "$in_menu" >"tests/menu-$1.sh"
}

name=$(sed -n 's/^work: *//p' "$SPRINT_PROMPT_FILE")
feedback=$(dirname "$SPRINT_PROMPT_FILE")/feedback.md
say "attempt $SPRINT_ATTEMPT at item $SPRINT_ITEM: $name"
if [ -s "$feedback" ]; then
    say "this is what earlier attempts taught:"
    sed 's/^/  | /' "$feedback"
fi
if [ -n "$(git status --porcelain)" ]; then
    say "the work is here already, and only has to be committed"
    test_all
    commit "Add $name"
    exit 0
fi

think "reading the code" 0.3
case $name in
    # Comes to the queue when the gate of another runs.
    indent) cp -R "$work/$name/." . && meet quick-gate 1 ;;
    menu-*) add_to_menu "${name#menu-}" ;;
    *) cp -R "$work/$name/." . ;;
esac
think "writing $name" 0.5

case $name/$SPRINT_ATTEMPT in
    reverse/1)
        say "lost the thread, and gives up"
        exit 1
        ;;
    join/1)
        say "is sure of it, and skips the tests"
        sed -i 's/join_separator=.*/join_separator=";"/' lib/join.sh
        ;;
    count/1)
        say "is done (and forgot to commit)"
        exit 0
        ;;
    *) test_all ;;
esac
commit "Add $name"
