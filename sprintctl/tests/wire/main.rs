//! The real binary over the real wire: streams that break, answers that refuse, terminals.

mod admission;
mod attach;
mod login;
mod scripted;
mod tokens;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use sprint_core::act::Act;
use sprint_core::item::{Item, Stage};
use sprint_core::refusal::{At, Noun as _, Refusal};
use sprint_proto::convert::details_of;
use sprint_proto::v1;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tonic::Status;

use crate::scripted::{Scripted, in_progress, item};

const LONG: Duration = Duration::from_secs(20);

/// Variables that would override those of a test.
const VARIABLES: [&str; 3] = ["SPRINT_COORDINATOR", "SPRINT_CONTEXT", "SPRINT_TOKEN"];

fn sprintctl(script: &Scripted, line: &str) -> Command {
    sprintctl_at(script.home.path(), line)
}

/// With the contexts of one directory.
fn sprintctl_at(home: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sprintctl"));
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command.args(line.split(' ')).env("SPRINT_CONFIG_DIR", home);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run(script: &Scripted, line: &str) -> Output {
    ended(sprintctl(script, line)).await
}

async fn ended(mut command: Command) -> Output {
    tokio::time::timeout(LONG, command.output()).await.expect("ends").expect("starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("is UTF-8")
}

fn seq(line: &str) -> u64 {
    line.split_whitespace().next().and_then(|seq| seq.parse().ok()).expect("begins with a number")
}

/// The sequence numbers of printed events.
fn seqs(output: &Output) -> Vec<u64> {
    text(&output.stdout).lines().map(seq).collect()
}

#[tokio::test]
async fn the_last_events_are_printed_and_no_more() {
    let running = Scripted::default().start().await;
    running.script.with(|script| script.last_seq = 100);
    assert_eq!(seqs(&run(&running.script, "event tail").await), (81..=100).collect::<Vec<_>>());
    assert_eq!(seqs(&run(&running.script, "event tail -n 2").await), [99, 100]);
    assert_eq!(seqs(&run(&running.script, "event tail -n 3 --item 2").await), [95, 97, 99]);
    assert_eq!(seqs(&run(&running.script, "event tail --since 97").await), [98, 99, 100]);
    assert_eq!(seqs(&run(&running.script, "event tail --since 0 -n 2").await), [1, 2]);
    let json = run(&running.script, "event tail -n 2 -o json").await;
    let events = text(&json.stdout).lines().map(|line| serde_json::from_str(line).unwrap());
    let events = events.collect::<Vec<serde_json::Value>>();
    assert_eq!((events.len(), &events[1]["seq"], &events[1]["kind"]), (2, &100.into(), &"item_readied".into()));
}

#[tokio::test]
async fn a_followed_record_goes_on_where_it_was_when_the_coordinator_is_back() {
    let script = Scripted::default();
    let running = script.start().await;
    script.with(|script| script.last_seq = 5);
    let address = running.address;
    let mut child = sprintctl(&script, "event tail -f --since 2").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = tokio::time::timeout(LONG, lines.next_line()).await.expect("in time").unwrap().expect("a line");
        seq(&line)
    };
    assert_eq!([next().await, next().await, next().await], [3, 4, 5]);
    drop(running);
    script.with(|script| script.last_seq = 7);
    let _running = script.start_at(address).await;
    assert_eq!([next().await, next().await], [6, 7]);
    let asked = script.with(|script| script.tails.iter().map(|tail| tail.since).collect::<Vec<_>>());
    assert_eq!(asked, [Some(2), Some(5)]);
    child.kill().await.unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
    assert!(said.contains("trying again until it answers"), "{said}");
}

#[tokio::test]
async fn a_followed_log_has_no_gap_and_no_repeat_over_a_restart() {
    let script = Scripted::default();
    let running = script.start().await;
    script.with(|script| script.log = b"one\xff two".to_vec());
    let address = running.address;
    let mut child = sprintctl(&script, "worker logs -f 1").spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 8];
    tokio::time::timeout(LONG, stdout.read_exact(&mut first)).await.expect("in time").unwrap();
    drop(running);
    script.with(|script| {
        script.log = b"one\xff two three".to_vec();
        script.worker_ended = true;
    });
    let _running = script.start_at(address).await;
    let mut rest = vec![];
    tokio::time::timeout(LONG, stdout.read_to_end(&mut rest)).await.expect("in time").unwrap();
    assert_eq!([&first[..], &rest].concat(), b"one\xff two three");
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn waiting_ends_with_the_answer_and_its_exit_code() {
    let running = Scripted::default().start().await;
    let answer = |result: &str, items, reason: &str| {
        running.script.with(|script| {
            script.wait = vec![wait_answer(result, items, reason)];
        });
    };
    answer("reached", vec![item(3, Stage::Done { commit: None })], "");
    let reached = run(&running.script, "wait 3 -o json").await;
    let items = serde_json::from_slice::<serde_json::Value>(&reached.stdout).unwrap();
    assert_eq!((reached.status.code(), &items[0]["id"], &items[0]["stage"]), (Some(0), &3.into(), &"done".into()));

    answer("timeout", vec![in_progress(3), item(4, Stage::Done { commit: None }), item(5, Stage::Ready)], "");
    let late = run(&running.script, "wait 3 4 5 --timeout 60s").await;
    assert_eq!(late.status.code(), Some(1));
    assert_eq!(
        text(&late.stderr),
        "error: timed out after 1m: item 3 is in_progress, item 5 is ready; see: sprintctl item explain 3\n"
    );

    answer("impossible", vec![item(3, Stage::Blocked { reason: "no".to_owned() })], "item 3 is blocked: no");
    let never = run(&running.script, "wait 3 --for merging").await;
    assert_eq!((never.status.code(), text(&never.stderr)), (Some(1), "error: item 3 is blocked: no\n"));
    let asked = running.script.with(|script| script.waits.clone());
    assert_eq!((asked[0].timeout_ms, asked[0].stage.as_str(), asked[0].ids.as_slice()), (0, "done", &[3][..]));
    assert!((59_000..=60_000).contains(&asked[1].timeout_ms));
    assert_eq!(asked[2].stage, "merging");
}

fn wait_answer(result: &str, items: Vec<v1::Item>, reason: &str) -> v1::WaitResponse {
    v1::WaitResponse { result: result.to_owned(), items, reason: reason.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn a_wait_tells_what_needs_a_person_once_and_goes_on() {
    let running = Scripted::default().start().await;
    let asks = v1::WaitResponse { approvals: vec![7], ..wait_answer("approval", vec![in_progress(3)], "item 3 waits") };
    // The last is answered first.
    running.script.with(|script| {
        script.wait = vec![wait_answer("reached", vec![item(3, Stage::Done { commit: None })], ""), asks];
    });
    let waited = run(&running.script, "wait 3").await;
    assert_eq!(
        (waited.status.code(), text(&waited.stderr)),
        (Some(0), "item 3 waits; let it land with: sprintctl change approve 7 --reason REASON\n")
    );
    let asked = running.script.with(|script| script.waits.clone());
    let known: Vec<_> = asked.iter().map(|asked| (asked.tell_approvals, asked.known_approvals.clone())).collect();
    assert_eq!(known, [(true, vec![]), (true, vec![7])]);
}

#[tokio::test]
async fn waiting_survives_the_coordinators_death() {
    let script = Scripted::default();
    let running = script.start().await;
    let address = running.address;
    let child = sprintctl(&script, "wait 3 --timeout 1m").spawn().unwrap();
    while script.with(|script| script.waits.is_empty()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(running);
    let reached = v1::WaitResponse {
        result: "reached".to_owned(),
        items: vec![item(3, Stage::Done { commit: None })],
        ..Default::default()
    };
    script.with(|script| script.wait = vec![reached]);
    let _running = script.start_at(address).await;
    let output = tokio::time::timeout(LONG, child.wait_with_output()).await.expect("in time").unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[tokio::test]
async fn many_items_go_in_one_request_and_a_refusal_names_the_line_of_the_file() {
    let running = Scripted::default().start().await;
    let add = async |input: &str| {
        let mut child =
            sprintctl(&running.script, "item add --repo web -f - -o json").stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        tokio::time::timeout(LONG, child.wait_with_output()).await.expect("in time").unwrap()
    };
    let file = "{\"key\":\"a\",\"title\":\"A\"}\n\n{\"title\":\"B\",\"needs\":[\"a\"]}\n";
    let added = add(file).await;
    let items = serde_json::from_slice::<serde_json::Value>(&added.stdout).unwrap();
    assert_eq!((added.status.code(), items.as_array().map(Vec::len)), (Some(0), Some(2)));
    assert_eq!(running.script.with(|script| script.added[1].needs.clone()), ["a"]);

    running.script.with(|script| script.refuse_add = Some(Status::invalid_argument("line 2: there is no item 7")));
    let refused = add(file).await;
    assert_eq!(
        (refused.status.code(), text(&refused.stderr)),
        (
            Some(1),
            "{\"error\":{\"at\":\"line 3\",\"code\":\"invalid_argument\",\"message\":\"there is no item 7\",\"next\":null}}\n"
        ),
        "the second item stands on the third line"
    );
    let refusal = Refusal::new(Item::NOT_FOUND, "its need 7 does not exist");
    let refusal = refusal.at(At::Line(2)).next(Act::ListItems);
    let details = details_of(&refusal, tonic::Code::NotFound.into());
    let status = Status::with_details(tonic::Code::NotFound, refusal.message, details.into());
    running.script.with(|script| script.refuse_add = Some(status));
    let refused = add(file).await;
    assert_eq!(
        text(&refused.stderr),
        "{\"error\":{\"at\":\"line 3\",\"code\":\"item.not_found\",\"message\":\"its need 7 does not exist\",\"next\":\"see: sprintctl item list\"}}\n"
    );

    running.script.with(|script| script.refuse_add = Some(Status::invalid_argument("line 1: there is no item 7")));
    let one = run(&running.script, "item add --repo web B --needs 7").await;
    assert_eq!(text(&one.stderr), "error: there is no item 7\n");

    running.script.with(|script| script.added.clear());
    let bad = add("{\"title\":\"A\"}\n{\"titel\":\"B\"}\n").await;
    assert!(
        text(&bad.stderr)
            .contains("\"at\":\"line 2\",\"code\":\"client.invalid_file\",\"message\":\"unknown field `titel`"),
        "{}",
        text(&bad.stderr)
    );
    assert!(running.script.with(|script| script.added.is_empty()), "nothing may be sent of a bad file");
}

#[tokio::test]
async fn a_refusal_is_printed_in_the_coordinators_words_and_an_empty_one_in_our_own() {
    let running = Scripted::default().start().await;
    let refused = run(&running.script, "item show 9").await;
    assert_eq!(text(&refused.stderr), "error: there is no item 9; see those there are with: sprintctl item list\n");
    let silent = run(&running.script, "item list").await;
    assert!(text(&silent.stderr).contains("without a reason; see the coordinator's log"), "{}", text(&silent.stderr));
    let older = run(&running.script, "item ready 1").await;
    assert!(text(&older.stderr).contains("of the same version"), "{}", text(&older.stderr));
    assert!([refused, silent, older].iter().all(|output| output.status.code() == Some(1)));
}
