#!/usr/bin/env bash
# The main job, end to end: two outposts, a scripted agent, a dozen items, one green main.
#
#   KEEP=1                        keep everything that the demo made
#   DEMO_KILL=coordinator|outpost kill -9 that daemon in the middle, and start it again
#   DEMO_KILL_AFTER=SECONDS       when to (default 3; fractions are fine)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=${CARGO_TARGET_DIR:-$root/target}/debug
item_count=$(grep -c . "$here/items.jsonl")
work_count=$((item_count - 1)) # the feature lands nothing of its own
slots=6
kill_what=${DEMO_KILL:-}
kill_after=${DEMO_KILL_AFTER:-3}

if [ -t 1 ]; then
    terminal=yes bold=$'\e[1m' faint=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
    terminal='' bold='' faint='' red='' green='' plain=''
fi

say() { printf '%s\n' "$*"; }
head_line() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
die() {
    printf '%sdemo failed: %s%s\n' "$red" "$*" "$plain" >&2
    exit 1
}

case $kill_what in
    '' | coordinator | outpost) ;;
    *) die "DEMO_KILL is \"$kill_what\"; use coordinator or outpost" ;;
esac

# ---------------------------------------------------------------- build

head_line "Building (the first time takes some minutes)"
quiet=--quiet
[ -t 2 ] && quiet=
[ -n "${SPRINT_BINARIES_BUILT:-}" ] || (cd "$root" && cargo build $quiet -p coordinator -p outpost-agent -p sprintctl --bins)
for program in coordinator outpost-agent sprintctl; do
    [ -x "$bin/$program" ] || die "$bin/$program was not built"
done

# ---------------------------------------------------------------- processes

# A short path: a socket's may have 107 bytes only.
dir=$(mktemp -d /tmp/sprint-demo.XXXXXX)
coordinator_pid='' tail_pid='' wait_pid='' progress_pid='' let_go_pid=''
declare -A outpost_pid=()

alive() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }

# end PID...: asks processes to end, waits up to 5 s, then kills them.
end() {
    local pid tries=0
    for pid; do alive "$pid" && kill "$pid" 2>/dev/null || true; done
    for pid; do
        while alive "$pid" && [ $tries -lt 50 ]; do
            tries=$((tries + 1))
            sleep 0.1
        done
        alive "$pid" && kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}

# Processes that work inside the demo's directory: no others can be there.
leftovers() {
    local link
    for link in /proc/[0-9]*/cwd; do
        case $(readlink "$link" 2>/dev/null || true) in
            "$dir"/*) link=${link%/cwd} && printf '%s\n' "${link#/proc/}" ;;
        esac
    done
}

cleanup() {
    local status=$?
    trap - EXIT
    trap '' INT TERM
    cd /
    end $wait_pid $tail_pid $progress_pid $let_go_pid "${outpost_pid[@]}" $coordinator_pid
    local socket
    while IFS= read -r socket; do
        tmux -S "$socket" kill-server 2>/dev/null || true
    done < <(find "$dir" -type s -name 'tmux*.sock' 2>/dev/null)
    # shellcheck disable=SC2046
    end $(leftovers)
    if [ -n "${KEEP:-}" ] || { [ $status -ne 0 ] && [ $status -lt 128 ]; }; then
        where_to_look
    else
        rm -rf "$dir" || { sleep 0.5 && rm -rf "$dir"; } || true
    fi
    exit $status
}

where_to_look() {
    head_line "Where to look"
    say "  $dir/upstream.git       the repository, as everybody else sees it"
    say "  $dir/coordinator        the record, the worker logs and the coordinator's copy"
    say "  $dir/local-1, local-2   the outposts' mirrors and worktrees"
    say "  $dir/*.log              what the three daemons said"
    say "To ask it again:"
    say "  $bin/coordinator serve --data-dir $dir/coordinator --listen $address --http 127.0.0.1:$http_port &"
    say "  export SPRINT_COORDINATOR=$address SPRINT_CONFIG_DIR=$SPRINT_CONFIG_DIR"
    say "  $bin/sprintctl item show 4; $bin/sprintctl worker list --all; $bin/sprintctl worker logs 1"
}

trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Prints a port without a listener, outside the range that outgoing connections use.
free_port() {
    local port tries=0
    while [ $tries -lt 200 ]; do
        tries=$((tries + 1))
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { printf '%s' "$port" && return; }
    done
    die "found no free port"
}

grpc_port=$(free_port)
http_port=$(free_port)
address=127.0.0.1:$grpc_port
export SPRINT_COORDINATOR=$address
# Where the coordinator leaves its access for sprintctl: not among your own.
export SPRINT_CONFIG_DIR=$dir/config
unset SPRINT_TOKEN SPRINT_OUTPOST_TOKEN SPRINT_CONTEXT
ctl=$bin/sprintctl

# until_true SECONDS WHAT COMMAND...: waits until a command succeeds.
until_true() {
    local left=$(($1 * 20)) what=$2
    shift 2
    until "$@"; do
        left=$((left - 1))
        [ $left -gt 0 ] || die "$what did not happen in time; see $dir/*.log"
        sleep 0.05
    done
}

coordinator_ready() {
    alive "$coordinator_pid" || die "the coordinator ended at once: $(tail -n 3 "$dir/coordinator.log")"
    grep -q "\"pid\": *$coordinator_pid\b" "$dir/coordinator/endpoints.json" 2>/dev/null
}

start_coordinator() {
    "$bin/coordinator" serve --data-dir "$dir/coordinator" --listen "$address" --http "127.0.0.1:$http_port" \
        </dev/null >>"$dir/coordinator.log" 2>&1 &
    coordinator_pid=$!
    until_true 20 "the coordinator's start" coordinator_ready
}

# The token is needed the first time only; later the outpost has its certificate.
start_outpost() {
    local token=()
    [ -e "$dir/$1/identity/cert.pem" ] ||
        token=(--token "$("$bin/coordinator" token create --data-dir "$dir/coordinator" --kind outpost)")
    "$bin/outpost-agent" join --coordinator "$address" "${token[@]}" \
        --name "$1" --max-workers $slots --data-dir "$dir/$1" \
        --allow-read "$here" --allow-write "$dir/meeting" </dev/null >>"$dir/$1.log" 2>&1 &
    outpost_pid[$1]=$!
}

online() { [ "$("$ctl" outpost list -o json 2>/dev/null | grep -c '"state": "online"')" -eq "$1" ]; }

# ---------------------------------------------------------------- a repository

export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
git_as_owner() { git -c user.name="demo owner" -c user.email=owner@example.invalid "$@"; }

git init --quiet --bare --initial-branch=main "$dir/upstream.git"
cp -R "$here/project" "$dir/seed"
# The same tests, by a gate that the demo can hold.
sed -i "s|^run = .*|run = \"DEMO_MEETING='$dir/meeting' '$here/gate.sh'\"|" "$dir/seed/sprint.toml"
cp -R "$dir/seed" "$dir/expected"
git -C "$dir/seed" init --quiet --initial-branch=main
git -C "$dir/seed" add -A
git_as_owner -C "$dir/seed" commit --quiet -m "Begin wordkit"
git -C "$dir/seed" push --quiet "$dir/upstream.git" main
rm -rf "$dir/seed"
mkdir "$dir/meeting"

# ---------------------------------------------------------------- start

head_line "Starting a coordinator and two outposts in $dir"
started=$SECONDS
start_coordinator
start_outpost local-1
start_outpost local-2
until_true 20 "the outposts' joining" online 2
"$ctl" outpost list

head_line "Adding a repo and $item_count items"
"$ctl" repo add wordkit "$dir/upstream.git" --run "DEMO_MEETING='$dir/meeting' '$here/agent.sh'" >"$dir/repo.txt"
say "${faint}while it runs:  SPRINT_CONFIG_DIR=$SPRINT_CONFIG_DIR SPRINT_COORDINATOR=$address $ctl status$plain"
"$ctl" item add --repo wordkit -f "$here/items.jsonl" -o json >"$dir/items.json"
mapfile -t ids < <(sed -n 's/^    "id": \([0-9]*\),$/\1/p' "$dir/items.json")
mapfile -t titles < <(sed -n 's/^    "title": "\(.*\)",$/\1/p' "$dir/items.json")
[ "${#ids[@]}" -eq "$item_count" ] || die "${#ids[@]} of $item_count items were added"
declare -A title_of=()
for index in "${!ids[@]}"; do
    title_of["#${ids[$index]}"]=${titles[$index]}
    case ${titles[$index]} in indent:*) slow="#${ids[$index]}" ;; esac
done

# ---------------------------------------------------------------- watch

# Reads events, and prints those that a person wants to see.
progress() {
    local _seq clock kind subject _actor data words why
    while read -r _seq clock kind subject _actor data; do
        case $kind in
            item_leased) [ -n "$terminal" ] || continue && words="started" ;;
            worker_sent_back) words="${red}sent back$plain" ;;
            item_attempt_failed) words="${red}attempt failed$plain" ;;
            item_attempt_lost) words="${red}attempt lost$plain" ;;
            change_conflicted) words="${red}conflicts$plain" ;;
            change_gates_failed) words="${red}gate failed$plain" ;;
            trial_gate_lost) words="${red}gate run lost$plain" ;;
            item_landed) words="${green}landed$plain" ;;
            item_children_done) words="${green}done$plain" ;;
            item_blocked) words="${red}blocked$plain" ;;
            outpost_disconnected) words="${red}outpost gone$plain" ;;
            *) continue ;;
        esac
        case $data in
            *reason=\"*) why=${data#*reason=\"} why=${why%\"*} ;;
            *paths=*) why="in ${data#*paths=}" ;;
            *) why='' ;;
        esac
        printf '  %s %4s  %-46.46s %s  %s\n' "$clock" "$subject" "${title_of[$subject]:-}" "$words" "$faint$why$plain"
    done
}

# meanwhile EVENTS: the items that landed while a gate of the slow one ran, as the record has it.
meanwhile() {
    awk -v slow="$slow" '
        function value(name) {
            if (!match($0, " " name "=[^ ]*")) return ""
            return substr($0, RSTART + length(name) + 2, RLENGTH - length(name) - 2)
        }
        function of_slow() { return change != "" && index("," value("changes") ",", "," change ",") }
        $3 == "change_queued" && $4 == slow { change = value("change") }
        $3 == "trial_gate_passed" && of_slow() { exit }
        $3 == "trial_gate_assigned" && of_slow() { runs[value("trial")] }
        $3 ~ /^trial_(gate_(failed|excused|lost)|cancelled|retired)$/ { delete runs[value("trial")] }
        $3 == "change_landed" { for (trial in runs) { print $4; break } }' "$1"
}

# Lets the slow gate go on, once others have landed while it ran.
let_go() {
    until [ "$(meanwhile "$dir/seen.txt" | wc -l)" -ge 1 ]; do sleep 0.1; done
    : >"$dir/meeting/others-landed"
}

head_line "Working"
mkfifo "$dir/events"
"$ctl" event tail -f --since 0 > >(tee "$dir/seen.txt" >"$dir/events") 2>/dev/null &
tail_pid=$!
progress <"$dir/events" &
progress_pid=$!
let_go &
let_go_pid=$!

"$ctl" wait "${ids[@]}" --for done --timeout 120s >"$dir/wait.txt" 2>"$dir/wait.err" &
wait_pid=$!

if [ -n "$kill_what" ]; then
    sleep "$kill_after" &
    until ! alive $! || ! alive $wait_pid; do sleep 0.02; done
    if ! alive $wait_pid; then
        say "  (the work was done before the kill)"
        kill $! 2>/dev/null || true
    elif [ "$kill_what" = coordinator ]; then
        say "  ${bold}kill -9 of the coordinator$plain"
        kill -9 "$coordinator_pid"
        wait "$coordinator_pid" 2>/dev/null || true
        start_coordinator
        say "  ${bold}the coordinator is back$plain"
    else
        say "  ${bold}kill -9 of the outpost agent local-1$plain"
        kill -9 "${outpost_pid[local-1]}"
        wait "${outpost_pid[local-1]}" 2>/dev/null || true
        start_outpost local-1
        say "  ${bold}the outpost agent local-1 is back$plain"
    fi
fi

waited=0
wait $wait_pid || waited=$?
wait_pid=''
if [ $waited -ne 0 ]; then
    "$ctl" item list || true
    "$ctl" status || true
    die "$(tail -n 1 "$dir/wait.err")"
fi
sleep 0.2 # the last events are on their way
end $tail_pid $progress_pid $let_go_pid
tail_pid='' progress_pid='' let_go_pid=''

# ---------------------------------------------------------------- show

# What has landed is pushed a moment later.
pushed() {
    upstream_tip=$(git -C "$dir/upstream.git" rev-parse main)
    own_tip=$(git -C "$dir/coordinator/repos/wordkit.git" rev-parse main)
    [ "$upstream_tip" = "$own_tip" ]
}
until_true 20 "the push of main to the upstream" pushed

head_line "Main"
git --no-pager -C "$dir/upstream.git" log --graph --oneline --no-decorate main

head_line "What happened to each item"
"$ctl" event tail --since 0 >"$dir/events.txt"
happened() { # the events of one item, in words
    awk -v item="#$1" '
        $4 == item {
            if ($3 == "item_leased") { match($0, /attempt=[0-9]+/); word = "attempt " substr($0, RSTART + 8, RLENGTH - 8) }
            else if ($3 in words) word = words[$3]
            else next
            printf "%s%s", (n++ ? ", " : ""), word
        }
        BEGIN {
            words["worker_sent_back"] = "sent back"
            words["item_attempt_failed"] = "failed"
            words["item_attempt_lost"] = "lost"
            words["change_conflicted"] = "conflict"
            words["change_gates_failed"] = "gate failed"
            words["trial_gate_lost"] = "gate run lost"
            words["item_landed"] = "landed"
            words["item_children_done"] = "all its parts are done"
        }' "$dir/events.txt"
}
for id in "${ids[@]}"; do
    printf '%4s  %-48.48s %s\n' "$id" "${title_of["#$id"]}" "$(happened "$id")"
done

# ---------------------------------------------------------------- check

head_line "Checking"
checked() { say "  ${green}ok$plain  $*"; }

done_count=$("$ctl" item list --stage done -o json | grep -c '^    "id":')
[ "$done_count" -eq "$item_count" ] || die "$done_count of $item_count items are done"
checked "all $item_count items are done"

checked "main is ${upstream_tip:0:10} upstream and at the coordinator"

git clone --quiet "$dir/upstream.git" "$dir/clone"
tested=$(cd "$dir/clone" && ./test.sh) || die "main is not green: $tested"
checked "main is green: $tested"

# The two rivals may have landed in either order; all else has one right form.
for work in "$here"/work/*/; do cp -R "$work." "$dir/expected"; done
for word in list sort; do
    printf '%s\n' "in_menu $word && check \"the menu has $word\" yes yes || check \"the menu has $word\" yes no" \
        >"$dir/expected/tests/menu-$word.sh"
done
menu=$(sed -n 's/^menu="\(.*\)"/\1/p' "$dir/clone/lib/menu.sh")
case $menu in
    "help list sort" | "help sort list") sed -i "s/^menu=.*/menu=\"$menu\"/" "$dir/expected/lib/menu.sh" ;;
    *) die "the menu of main is \"$menu\"" ;;
esac
difference=$(diff -r -x .git "$dir/expected" "$dir/clone") || die "main holds something else: $difference"
checked "main holds exactly what should have landed"

events() { awk -v kind="$1" '$3 == kind' "$dir/events.txt" | wc -l; }
[ "$(events change_landed)" -eq $work_count ] || die "$(events change_landed) changes landed, not $work_count"
checked "$work_count changes landed, each once"

if [ -z "$kill_what" ]; then
    for kind in item_attempt_failed worker_sent_back change_gates_failed change_conflicted; do
        [ "$(events $kind)" -ge 1 ] || die "the demo is to show $kind, and it did not come about"
    done
    checked "a failed attempt, a forgotten commit, a broken gate and a conflict were all put right"

    mapfile -t landed < <(meanwhile "$dir/events.txt")
    [ ${#landed[@]} -ge 1 ] || die "no change landed while the gate of $slow ran"
    checked "others landed while the gate of $slow ran: ${landed[*]}"
fi

head_line "${green}Green$plain after $((SECONDS - started)) s"
[ -n "${KEEP:-}" ] || say "Run it with KEEP=1 to look into everything that it made."
