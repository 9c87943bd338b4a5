//! What a new user types: the README's blocks as they stand, and `sprintctl up` in a checkout of their own.

use sprint_test_needs::{Need, have};
use sprint_tests::{NewUser, agents, commands_of, git};

const README: &str = include_str!("../../README.md");

fn user() -> Option<NewUser> {
    have(Need::Userns, NewUser::make)
}

#[test]
fn the_readmes_first_lines_bring_work_into_a_checkout() {
    let Some(user) = user() else { return };
    let checkout = user.checkout("web");
    let (well, said) = user.run(&commands_of(README, "Use it"));
    assert!(well && said.contains("Land item 1: Greet people by their name"), "{said}");
    assert_eq!(std::fs::read_to_string(checkout.join("greeting.txt")).expect("it is there"), "hello\n");
    assert_eq!(git(&checkout, &["status", "--porcelain"]), "");
}

#[test]
fn the_readmes_lines_for_an_agent_have_it_do_the_work() {
    let Some(user) = user() else { return };
    let Some(packages) = have(Need::Agents, agents::packages) else { return };
    let checkout = user.checkout("web");
    agents::link(&packages, &user.home().join("bin"));
    let script = "@@run echo hello > greeting.txt && git add -A && git commit -qm Greet\n@@say Done.";
    // There is no way out of this network: what answers is the model that follows a script.
    let begin = format!(
        "{} 18080 '{script}' & export ANTHROPIC_BASE_URL=http://127.0.0.1:18080 ANTHROPIC_AUTH_TOKEN=none\n",
        env!("CARGO_BIN_EXE_model")
    );
    let (well, said) = user.run(&format!("{begin}\n{}", commands_of(README, "Use it with claude, codex or grok")));
    assert!(well && said.contains("turns") && said.contains("claude"), "{said}");
    assert_eq!(std::fs::read_to_string(checkout.join("greeting.txt")).expect("it is there"), "hello\n");
    let (_, refused) =
        user.run("cd ~/web; sprintctl up --agent cluade; PATH=/usr/bin:${PATH##*:} sprintctl up --agent claude");
    assert!(refused.contains("there is no agent \"cluade\""), "{refused}");
}

#[test]
fn the_readmes_lines_for_each_part_work() {
    let Some(user) = user() else { return };
    let script = commands_of(README, "Start each part");
    assert!(script.contains("coordinator serve") && script.contains("sprintctl wait"), "{script}");
    let end = "sprintctl outpost drain here\nsprintctl item show 1 -o json | grep -q '\"stage\": \"done\"'";
    let (well, said) = user.run(&format!("{script}\n{end}\n"));
    assert!(well, "{said}");
}

/// Shell functions for the scripts below.
const HELP: &str = "refuses() { if out=$(\"$@\" 2>&1); then echo \"not refused: $*: $out\"; exit 1; fi; echo \"refused: $out\"; }\n\
    says() { grep -qF -- \"$1\" <<<\"$out\" || { echo \"no '$1' in: $out\"; exit 1; }; }\n\
    agent='my-agent < \"$SPRINT_PROMPT_FILE\"'\n";

#[test]
fn up_changes_nothing_when_all_is_there_and_brings_back_what_is_gone() {
    let Some(user) = user() else { return };
    user.checkout("web");
    let script = r#"
cd ~/web
# Another program has a port that is meant.
python3 -m http.server 50051 >/dev/null 2>&1 & until (exec 3<>/dev/tcp/127.0.0.1/50051) 2>/dev/null; do sleep 0.1; done
out=$(sprintctl up --run "$agent"); says started; says 'added'; says 'sprintctl item add --repo web'; says 'background processes'
events=$(sprintctl event tail --since 0 | wc -l)
out=$(sprintctl up --run other); says 'runs already'; says 'known already'
[ "$(sprintctl event tail --since 0 | wc -l)" = "$events" ]
# From elsewhere it needs no checkout, and another checkout becomes another repo.
cd /; out=$(sprintctl up); says 'in a checkout of yours'
refuses sprintctl up --repo /proc; says 'not in a checkout'
mkdir ~/other; git clone -q ~/web ~/other/web
out=$(sprintctl up --repo ~/other/web); says 'web-2'
# Killed programs come back with the same record.
pkill -9 -x coordinator; pkill -9 -x outpost-agent
out=$(sprintctl up); says started
sprintctl repo show web >/dev/null
sprintctl item add --repo web Greet
sprintctl wait 1 --timeout 60s
[ -e ~/web/greeting.txt ]
"#;
    let (well, said) = user.run(&format!("{HELP}{script}"));
    assert!(well, "{said}");
}

#[test]
fn up_lends_workers_the_files_that_git_ignores() {
    let Some(user) = user() else { return };
    user.checkout("web");
    let script = r#"
cd ~/web
echo .env > .worktreeinclude; echo .env > .gitignore; git add -A; git -c user.name=a -c user.email=a@b commit -qm ignored
mkdir ~/mine ~/other; echo KEY=1 > ~/mine/.env; echo KEY=2 > ~/other/.env
run() { echo "grep -q KEY=$1 .env && echo $1 > key && git add key && git commit -qm $1"; }
refuses sprintctl up --files ~/nowhere; says 'No such file'
sprintctl up --files ~/mine >/dev/null
sprintctl item add --repo web One --run "$(run 1)"
sprintctl wait 1 --timeout 60s
[ "$(cat key)" = 1 ]
# Another directory counts without a new start; a link leads nowhere else when everything is removed.
out=$(sprintctl up --files ~/other); says 'runs already'
sprintctl item add --repo web Two --run "$(run 2)"
sprintctl wait 2 --timeout 60s
[ "$(cat key)" = 2 ]
(cd / && refuses sprintctl up --files ~/mine; says 'no checkout here')
sprintctl down --purge
[ -e ~/mine/.env ] && [ -e ~/other/.env ] && [ ! -e ~/.local/state/sprint/files ]
"#;
    let (well, said) = user.run(&format!("{HELP}{script}"));
    assert!(well, "{said}");
}

#[test]
fn down_ends_what_up_has_started_and_purges_only_what_is_safe() {
    let Some(user) = user() else { return };
    user.checkout("web");
    let script = r#"
refuses sprintctl down; says 'nothing here'
cd ~/web
sprintctl up --run "$agent" >/dev/null
sprintctl repo set web --max-attempts 1
sprintctl item add --repo web Slow --run 'echo half > half.txt; sleep 1000'
sprintctl item add --repo web Fails --run 'echo x > x; git add x; git commit -qm x; exit 1'
until sprintctl item list --stage blocked -o json | grep -q Fails; do sleep 0.1; done
until sprintctl item list --stage in_progress -o json | grep -q Slow; do sleep 0.1; done
until [ -e ~/.local/state/sprint/outpost-local/workers/1/workspace/half.txt ]; do sleep 0.1; done
refuses sprintctl down --purge; says 'worker 1 is at work'; says 'nothing was ended'
sprintctl status >/dev/null
# A worker goes on without both, and is found again.
out=$(sprintctl down); says 'ended: outpost, coordinator'; says '1 worker goes on'
[ -z "$(pgrep --runstates R,S,D -x coordinator)" ]
refuses sprintctl down --purge; says 'does not answer'
refuses sprintctl status
sprintctl up >/dev/null
sprintctl worker list -o json | grep -q '"state": "running"'
sprintctl worker stop 1
until sprintctl item list --stage blocked -o json | grep -q Slow; do sleep 0.1; done
refuses sprintctl down --purge; says 'item 1 (Slow) is blocked, and its work is only here'; says 'item 2 (Fails) is blocked'
sprintctl item restore 1 --dir ~/restored; [ "$(cat ~/restored/half.txt)" = half ]
sprintctl item cancel 1 2
out=$(sprintctl down --purge); says 'everything of it was removed'
[ -z "$(ls -A ~/.local/state/sprint)" ]
[ -z "$(pgrep --runstates R,S,D -x 'outpost-agent|tmux.*')" ]
refuses sprintctl status; says 'no coordinator'
# And it begins anew.
sprintctl up --run "$agent" >/dev/null
[ "$(sprintctl item list -o json)" = '[]' ]
"#;
    let (well, said) = user.run(&format!("{HELP}{script}"));
    assert!(well, "{said}");
}

#[test]
fn the_data_may_move() {
    let Some(user) = user() else { return };
    user.checkout("web");
    let script = r#"
cd ~/web
sprintctl up --run "$agent" >/dev/null
sprintctl item add --repo web Greet; sprintctl wait 1 --timeout 60s
sprintctl down
mv ~/.local/state ~/elsewhere; export XDG_STATE_HOME=~/elsewhere
rm -r ~/.config/sprint
sprintctl up >/dev/null
sprintctl item show 1 -o json | grep -q '"stage": "done"'
sprintctl item add --repo web Again --run 'echo again > again.txt; git add again.txt; git commit -qm again'
sprintctl wait 2 --timeout 60s
[ "$(cat again.txt)" = again ]
[ -z "$(grep -rlI "$HOME/.local/state" ~/elsewhere --include=config --include=alternates)" ]
coordinator check --data-dir ~/elsewhere/sprint/coordinator
"#;
    let (well, said) = user.run(&format!("{HELP}{script}"));
    assert!(well, "{said}");
}

/// A manager of services that starts what a unit says, and knows no more than the tests need.
const SYSTEMCTL: &str = r#"
echo "$*" >>~/systemctl.log
[ "$1" = --user ] || exit 1
shift
units=~/.config/systemd/user
pids=~/pids
mkdir -p $pids
lives() { [ -e $pids/$1 ] && ! grep -qs ') Z ' /proc/$(cat $pids/$1)/stat && [ -e /proc/$(cat $pids/$1) ]; }
stop() { lives $1 && kill $(cat $pids/$1); while lives $1; do sleep 0.05; done; rm -f $pids/$1; }
case $1 in
show-environment|daemon-reload) ;;
enable) [ -e $units/$2 ] ;;
disable) stop $3 ;;
is-active) lives $2 ;;
restart)
    stop $2
    environment=$(sed -n 's/^EnvironmentFile=-//p' $units/$2)
    command=$(sed -n 's/^ExecStart=//p' $units/$2)
    (set -a; [ ! -e "$environment" ] || . "$environment"; set +a; eval "exec $command" >>~/daemons.log 2>&1 </dev/null) &
    echo $! >$pids/$2
    ;;
*) exit 1 ;;
esac
"#;

#[test]
fn where_there_is_systemd_units_keep_both_and_lingering_is_switched_on_where_it_may_be() {
    let Some(user) = user() else { return };
    user.checkout("web");
    user.tool("systemctl", SYSTEMCTL);
    user.tool("loginctl", "case $1 in show-user) echo Linger=no ;; *) echo 'Access denied' >&2; exit 1 ;; esac\n");
    let script = r#"
cd ~/web
out=$(sprintctl up --run "$agent"); says 'journalctl --user -u sprint-outpost'; says 'both end when you log out'; says 'Access denied'
grep -q '^enable sprint-coordinator.service' <(sed 's/^--user //' ~/systemctl.log)
[ ! -e ~/.local/state/sprint/outpost.env ]
[ -z "$(grep -rl SPRINT_OUTPOST_TOKEN ~/.config/systemd)" ]
out=$(sprintctl up); says 'runs already'
sprintctl item add --repo web Greet
sprintctl wait 1 --timeout 60s
[ -e ~/web/greeting.txt ]
sprintctl down; sprintctl up
printf '#!/bin/sh\necho Linger=yes\n' >~/bin/loginctl
sprintctl down
out=$(sprintctl up); says started; ! grep -q 'log out' <<<"$out"
sprintctl down --purge
[ -z "$(ls ~/.config/systemd/user)" ]
"#;
    let (well, said) = user.run(&format!("{HELP}{script}"));
    assert!(well, "{said}");
}

#[test]
fn a_clone_of_ones_own_gets_its_work_whatever_it_is_like() {
    let Some(user) = user() else { return };
    user.checkout("web");
    let script = r#"
who() { git -c user.name=a -c user.email=a@b -c protocol.file.allow=always "$@"; }
# With large files, a submodule, and refs in a reftable; its branch is checked out.
mv ~/web ~/plain; git clone -q --ref-format=reftable ~/plain ~/web
git init -q -b main ~/lib; (cd ~/lib; echo lib > text; git add -A; who commit -qm lib)
cd ~/web
git lfs install --local >/dev/null; git lfs track '*.bin' >/dev/null; echo content > data.bin
who submodule add -q ~/lib vendor/lib
git add -A; who commit -qm more
cat > ~/bin/agent <<'END'
#!/bin/bash
set -e
grep -q content data.bin; grep -q lib vendor/lib/text
echo "more $SPRINT_ITEM" >> data.bin; echo "content $SPRINT_ITEM" > "new$SPRINT_ITEM.bin"
git add -A; git commit -qm "Item $SPRINT_ITEM"
END
chmod +x ~/bin/agent
sprintctl up --run agent >/dev/null
sprintctl item add --repo web One
sprintctl wait 1 --timeout 60s
git log --oneline | grep -q 'Item 1'
grep -q 'more 1' data.bin; grep -q 'content 1' new1.bin; [ -z "$(git status --porcelain)" ]
# A person's own changes: the landing waits, one sentence says why, and it arrives when they are gone.
echo mine >> Makefile
sprintctl item add --repo web Two
refuses sprintctl wait 2 --timeout 5s
out=$(sprintctl item explain 2); says 'changed there: Makefile'; says 'commit, stash or remove'
git checkout -q Makefile
sprintctl wait 2 --timeout 60s
grep -q 'content 2' new2.bin
# A branch that is protected.
printf '#!/bin/sh\necho "main is protected" >&2; exit 1\n' > .git/hooks/pre-receive; chmod +x .git/hooks/pre-receive
sprintctl item add --repo web Three
refuses sprintctl wait 3 --timeout 5s
out=$(sprintctl item explain 3); says 'main is protected'
rm .git/hooks/pre-receive
sprintctl wait 3 --timeout 90s
git log --oneline | grep -q 'Item 3'
"#;
    let (well, said) = user.run(&format!("{HELP}{script}"));
    assert!(well, "{said}");
}
