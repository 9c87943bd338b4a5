//! What programs say over a channel, and how little of it harms: scripts in the place of agents.

use std::time::Duration;

use sprint_core::agent::FaultKind;
use sprint_core::assignment::{Assignment, AttemptOutcome, Outcome};
use sprint_core::runtime::{Channel, HostLogin, LoginFile};

use crate::support::Site;

const COMMIT: &str = "echo a > a; git add a; git commit -qm a;";
const ENDED: &str = "echo '{\"type\":\"turn.completed\",\"usage\":{\"input_tokens\":7,\"output_tokens\":2}}'";

/// A script that speaks as an agent does.
fn agent(site: &Site, number: u64, channel: Channel, script: &str) -> Assignment {
    let mut assignment = site.item(number, script);
    assignment.steps[0].runtime.channel = channel;
    assignment.steps[0].timeout = Duration::from_secs(20);
    assignment
}

fn failed(outcome: &Outcome) -> &str {
    let Outcome::Attempt(AttemptOutcome::Failed { reason }) = outcome else { panic!("{outcome:?}") };
    reason
}

#[tokio::test(flavor = "multi_thread")]
async fn success_is_commits_and_the_end_of_the_turn() {
    let site = Site::start(&[]).await;
    for (number, (script, said)) in [
        (format!("{COMMIT} {ENDED}"), None),
        (format!("{COMMIT} true"), Some("without the end of its turn")),
        (format!("{COMMIT} {ENDED}; exit 3"), None),
        (format!("{COMMIT} exit 3"), Some("exited with code 3")),
        (
            format!("{COMMIT} echo '{{\"type\":\"turn.failed\",\"error\":{{\"message\":\"out of words\"}}}}'"),
            Some("out of words"),
        ),
        // A line that is too long is passed over, and the next one counts.
        (format!("{COMMIT} head -c 9000000 /dev/zero | tr '\\0' x; echo; {ENDED}"), None),
    ]
    .into_iter()
    .enumerate()
    {
        let worker = site.assign(agent(&site, number as u64 + 1, Channel::CodexJson, &script)).await;
        let finished = site.finished(worker).await;
        match said {
            None => assert!(
                matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })),
                "{script}: {finished:?}"
            ),
            Some(said) => assert!(failed(&finished.outcome).contains(said), "{script}: {finished:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_floods_its_channel_is_ended_in_time_and_costs_its_shim_little() {
    let site = Site::start(&[]).await;
    let floods = [
        (Channel::CodexJson, "yes '{\"type\":\"x\"}'"),
        (Channel::CodexJson, "yes"),
        (Channel::CodexJson, "while :; do head -c 3000000 /dev/zero | tr '\\0' x; done"),
        // Pieces of text without an end of line.
        (
            Channel::Acp,
            "echo '{\"id\":\"sprint-initialize\",\"result\":{}}'; echo '{\"id\":\"sprint-session\",\"result\":{\"sessionId\":\"s\"}}'; yes '{\"method\":\"session/update\",\"params\":{\"update\":{\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"text\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}}}}'",
        ),
    ];
    for (number, (channel, script)) in floods.into_iter().enumerate() {
        let mut assignment = agent(&site, number as u64 + 1, channel, script);
        assignment.steps[0].timeout = Duration::from_secs(3);
        let worker = site.assign(assignment).await;
        let finished = site.finished(worker).await;
        assert!(failed(&finished.outcome).contains("timed out after 3s"), "{script}: {finished:?}");
        let kept = std::fs::metadata(site.worker_dir(worker).join("agent.json")).expect("is kept").len();
        assert!(kept < 100_000, "{script}: {kept} bytes");
    }
    // One that asks and asks, and reads no answer.
    let deaf = "yes '{\"id\":1,\"method\":\"fs/read_text_file\",\"params\":{}}'";
    let worker = site.assign(agent(&site, 9, Channel::Acp, deaf)).await;
    let finished = site.finished(worker).await;
    assert!(failed(&finished.outcome).contains("does not read what it is answered"), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_is_not_the_outposts_own_brings_nothing_of_the_host() {
    let site = Site::start(&[]).await;
    let home = std::path::PathBuf::from(std::env::var_os("HOME").expect("a home"));
    let secret = tempfile::NamedTempFile::new_in(&home).expect("a file");
    std::fs::write(&secret, "SECRET-OF-THE-HOST").expect("is written");
    let name = secret.path().file_name().expect("a name").to_string_lossy().into_owned();
    let mut assignment = site.item(1, "");
    let runtime = &mut assignment.steps[0].runtime;
    runtime.name = "mine".to_owned();
    runtime.command = ["/bin/sh", "-c", "cat \"{{ state }}/k\"; env; exit 4"].map(str::to_owned).to_vec();
    let files = vec![LoginFile { from: name, to: "k".to_owned(), settings: false }];
    runtime.host = HostLogin { files, env: vec!["CARGO_MANIFEST_DIR".to_owned()] };
    let worker = site.assign(assignment).await;
    assert_eq!(site.finished(worker).await.exit_code, Some(4));
    let log = std::fs::read_to_string(site.worker_dir(worker).join("terminal.log")).expect("a log");
    assert!(!log.contains("SECRET-OF-THE-HOST") && !log.contains("CARGO_MANIFEST_DIR"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_twice_ends_the_attempt_and_one_that_recovers_does_not() {
    let site = Site::start(&[]).await;
    let refused = "echo '{\"type\":\"error\",\"message\":\"status 401 Unauthorized\"}'";
    let worker = site.assign(agent(&site, 1, Channel::CodexJson, &format!("{refused}; {refused}; sleep 100"))).await;
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Unfit { .. })), "{finished:?}");
    let answered = "echo '{\"type\":\"item.completed\",\"item\":{\"type\":\"agent_message\",\"text\":\"hi\"}}'";
    let script = format!("{refused}; {answered}; {refused}; {COMMIT} {ENDED}");
    let worker = site.assign(agent(&site, 2, Channel::CodexJson, &script)).await;
    let finished = site.finished(worker).await;
    assert!(matches!(finished.outcome, Outcome::Attempt(AttemptOutcome::Committed { .. })), "{finished:?}");
    let said = finished.agent.expect("it has said something");
    assert_eq!((said.fault.map(|fault| fault.kind), said.turns), (None::<FaultKind>, 1));
}
