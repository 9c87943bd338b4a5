//! Whatever bytes come: a message is read whole, or refused.

use std::collections::HashMap;
use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use prost::Message;
use sprint_core::address::RepoAddress;
use sprint_core::change::Candidate;
use sprint_core::event::Event;
use sprint_core::fuzz::bytes;
use sprint_core::gates::GateVerdict;
use sprint_core::item::{Item, Stage};
use sprint_core::merge_queue::ChangeSeen;
use sprint_core::view::TrialView;

use sprint_core::assignment::{Assignment, Command, Report};
use sprint_core::outpost::Outpost;
use sprint_core::repo::Repo;
use sprint_core::request::RepoPatch;
use sprint_core::runtime::Runtime;
use sprint_core::view::TokenView;
use sprint_core::worker::Worker;

use crate::v1;

/// Texts that make a conversion go on, and some at which it must not.
const WORDS: &[&str] = &[
    "",
    "web",
    "../web",
    "ready",
    "in_progress",
    "done",
    "blocked",
    "running",
    "finishing",
    "failed",
    "lost",
    "gating",
    "landing",
    "conflicted",
    "task",
    "high",
    "developer",
    "gate",
    "file",
    "online",
    "viewer",
    "0a1b2c3d",
    "lcov",
    "coverage >= 80%",
    "passed",
    "warning",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "item_leased",
    "{}",
    "{\"a\":[1e999]}",
    "a\0b",
];

/// The encoding of some message: fields in any order, number and nesting.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![select(WORDS).prop_map(|word| word.as_bytes().to_vec()), vec(any::<u8>(), 0..8)];
    leaf.prop_recursive(4, 64, 8, |inner| vec((1..21_u32, value(inner)), 0..10).prop_map(message))
}

/// A field's value: its wire type, and its bytes.
fn value(inner: impl Strategy<Value = Vec<u8>> + 'static) -> impl Strategy<Value = (u32, Vec<u8>)> {
    let number = prop_oneof![0..8_u64, any::<u64>()];
    prop_oneof![
        3 => number.prop_map(|number| (0, varint(number))),
        1 => any::<u64>().prop_map(|number| (1, number.to_le_bytes().to_vec())),
        6 => inner.prop_map(|bytes| (2, [varint(bytes.len() as u64), bytes].concat())),
        1 => any::<u32>().prop_map(|number| (5, number.to_le_bytes().to_vec())),
    ]
}

fn message(fields: Vec<(u32, (u32, Vec<u8>))>) -> Vec<u8> {
    fields.into_iter().flat_map(|(tag, (kind, value))| [varint(u64::from(tag << 3 | kind)), value].concat()).collect()
}

fn varint(number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(number, &mut bytes);
    bytes
}

fn commit() -> String {
    "a".repeat(40)
}

/// A valid message of each kind that is converted, encoded.
fn valid() -> Vec<Vec<u8>> {
    let lease = v1::Lease { worker: 7, outpost: "here".to_owned() };
    let stage = v1::Stage { name: "in_progress".to_owned(), lease: Some(lease), ..v1::Stage::default() };
    let item = v1::Item {
        id: 1,
        repo: "web".to_owned(),
        kind: "task".to_owned(),
        title: "Greet".to_owned(),
        priority: "high".to_owned(),
        stage: Some(stage.clone()),
        feedback: vec![v1::Feedback { attempt: 1, text: "it failed".to_owned() }],
        conflict: Some(v1::Conflict { change: 5, attempt: 1, head: commit(), ..v1::Conflict::default() }),
        ..v1::Item::default()
    };
    let terminal = v1::Terminal { boot_id: "b".to_owned(), ..v1::Terminal::default() };
    let worker = v1::Worker {
        id: 7,
        repo: "web".to_owned(),
        job: Some(attempt_job()),
        outpost: "here".to_owned(),
        state: "failed".to_owned(),
        reason: Some("why".to_owned()),
        base: commit(),
        terminal: Some(terminal),
        ..v1::Worker::default()
    };
    let gate = v1::Gate {
        name: "test".to_owned(),
        run: "true".to_owned(),
        timeout_ms: 9,
        retries: 1,
        stage: Some(2),
        needs: vec!["gpu=a100".to_owned()],
        report: vec![v1::ReportFile { kind: "junit".to_owned(), path: "j.xml".to_owned() }],
        require: vec!["tests > 3".to_owned()],
    };
    let candidate = v1::Candidate {
        commit: commit(),
        tree: commit(),
        base: commit(),
        gates: vec![gate.clone()],
        new_gates: vec![],
    };
    let change = v1::Change {
        id: 5,
        repo: "web".to_owned(),
        head: commit(),
        state: "gating".to_owned(),
        candidate: Some(candidate.clone()),
        ..v1::Change::default()
    };
    let runtime = v1::Runtime {
        name: "shell".to_owned(),
        command: vec!["sh".to_owned()],
        prompt: "file".to_owned(),
        ..v1::Runtime::default()
    };
    let repo = v1::Repo {
        name: "web".to_owned(),
        url: Some("https://ann:hunter2@example.org/web.git".to_owned()),
        run: HashMap::from([("developer".to_owned(), "true".to_owned())]),
        runtimes: HashMap::from([("tester".to_owned(), runtime.clone())]),
        gates: vec![gate.clone()],
        resume: "wip".to_owned(),
        nothing_to_do: "done".to_owned(),
        filing: "ready".to_owned(),
        pushes: "probed".to_owned(),
        hung_after_ms: Some(300_000),
        pushing: Some(v1::UpstreamPush { from: None, to: commit() }),
        given_up: vec![commit()],
        broken_config: Some(commit()),
        upstream_rewrite: Some(v1::UpstreamRewrite { was: commit(), now: commit() }),
        upstream_trouble: Some(v1::UpstreamTrouble { why: "it is protected".to_owned(), since_ms: 7 }),
        ..v1::Repo::default()
    };
    let outpost = v1::Outpost {
        name: "here".to_owned(),
        state: "online".to_owned(),
        key: Some("b".repeat(64)),
        ..v1::Outpost::default()
    };
    let step = v1::Step {
        name: "developer".to_owned(),
        runtime: Some(runtime.clone()),
        run: "true".to_owned(),
        timeout_ms: 1,
    };
    let assignment = v1::Assignment {
        repo: "web".to_owned(),
        job: Some(gate_job()),
        base: commit(),
        steps: vec![step.clone()],
        gates: vec![gate.clone()],
        resumed: Some(v1::Resumed { commit: commit(), ..v1::Resumed::default() }),
        target: Some(v1::TargetBranch { name: "main".to_owned(), tip: commit(), origin: None }),
        recipe: Some(v1::Recipe { setup: "make".to_owned(), bring: vec![".env".to_owned()], ..v1::Recipe::default() }),
        changes: vec![v1::GatedChange { head: commit(), ..v1::GatedChange::default() }],
        ..v1::Assignment::default()
    };
    let finding =
        v1::Finding { file: "a.rs".to_owned(), line: Some(3), level: "warning".to_owned(), message: "odd".to_owned() };
    let verdict = v1::GateVerdict {
        gate: "test".to_owned(),
        outcome: "failed".to_owned(),
        reason: "why".to_owned(),
        metrics: HashMap::from([("coverage".to_owned(), 82.5)]),
        findings: vec![finding],
        duration_ms: 7,
    };
    let judged = v1::Judged { commit: commit(), tree: commit(), verdicts: vec![verdict] };
    let kind = Some(v1::gate_run_outcome::Kind::Judged(judged));
    let outcome = v1::finished::Outcome::Gate(v1::GateRunOutcome { kind });
    let finished = v1::Finished { wip: Some(commit()), outcome: Some(outcome), ..v1::Finished::default() };
    let report =
        v1::Report { worker: 7, job: Some(gate_job()), seq: 1, body: Some(v1::report::Body::Finished(finished)) };
    let session = v1::OutpostMessage { body: Some(v1::outpost_message::Body::Report(report.clone())) };
    let event =
        v1::Event { seq: 1, kind: "item_leased".to_owned(), data_json: "{\"a\":1}".to_owned(), ..v1::Event::default() };
    let token = v1::Token { id: "0a1b2c3d".to_owned(), kind: "viewer".to_owned(), ..v1::Token::default() };
    vec![
        item.encode_to_vec(),
        stage.encode_to_vec(),
        worker.encode_to_vec(),
        candidate.encode_to_vec(),
        change.encode_to_vec(),
        runtime.encode_to_vec(),
        repo.encode_to_vec(),
        outpost.encode_to_vec(),
        step.encode_to_vec(),
        assignment.encode_to_vec(),
        report.encode_to_vec(),
        session.encode_to_vec(),
        event.encode_to_vec(),
        token.encode_to_vec(),
    ]
}

/// Reads bytes as one message, and takes it over: what is taken is written and read as the same.
fn check<W, D>(bytes: &[u8]) -> Result<(), TestCaseError>
where
    W: Message + Default + From<D>,
    D: TryFrom<W> + Clone + PartialEq + Debug,
    D::Error: Debug,
{
    let Ok(message) = W::decode(bytes) else { return Ok(()) };
    let Ok(domain) = D::try_from(message) else { return Ok(()) };
    let over_the_wire = |domain: &D| {
        let message = W::decode(W::from(domain.clone()).encode_to_vec().as_slice()).expect("is read");
        D::try_from(message).expect("is taken")
    };
    let arrived = over_the_wire(&domain);
    if !has_secret(bytes) {
        prop_assert_eq!(&arrived, &domain);
    }
    prop_assert_eq!(over_the_wire(&arrived), arrived);
    Ok(())
}

fn attempt_job() -> v1::Job {
    let job = v1::AttemptJob { item: 3, attempt: 1, role: "developer".to_owned() };
    v1::Job { kind: Some(v1::job::Kind::Attempt(job)) }
}

fn gate_job() -> v1::Job {
    v1::Job { kind: Some(v1::job::Kind::Gate(v1::GateJob { trial: 3, gate: "test".to_owned() })) }
}

/// Whether the bytes are a repo whose address is shown without its password, as to clients.
fn has_secret(bytes: &[u8]) -> bool {
    let url = v1::Repo::decode(bytes).ok().and_then(|repo| repo.url);
    url.is_some_and(|url| RepoAddress::as_kept(url.clone()).to_string() != url)
}

#[test]
fn a_report_of_an_outpost_that_names_no_job_is_refused_with_what_to_do() {
    let report = v1::Report { worker: 7, seq: 1, ..v1::Report::default() };
    let error = Report::try_from(report).expect_err("it names no job").to_string();
    assert!(error.contains("update it"), "{error}");
}

#[test]
fn a_figure_that_is_no_number_is_refused() {
    let metrics = HashMap::from([("coverage".to_owned(), f64::NAN)]);
    let verdict = v1::GateVerdict { outcome: "passed".to_owned(), metrics, ..v1::GateVerdict::default() };
    assert!(GateVerdict::try_from(verdict).is_err());
}

fn check_all(bytes: &[u8]) -> Result<(), TestCaseError> {
    check::<v1::Item, Item>(bytes)?;
    check::<v1::Stage, Stage>(bytes)?;
    check::<v1::Worker, Worker>(bytes)?;
    check::<v1::Candidate, Candidate>(bytes)?;
    check::<v1::Change, ChangeSeen>(bytes)?;
    check::<v1::Trial, TrialView>(bytes)?;
    check::<v1::Runtime, Runtime>(bytes)?;
    check::<v1::Repo, Repo>(bytes)?;
    check::<v1::Outpost, Outpost>(bytes)?;
    check::<v1::Step, Command>(bytes)?;
    check::<v1::Assignment, Assignment>(bytes)?;
    check::<v1::Report, Report>(bytes)?;
    check::<v1::Event, Event>(bytes)?;
    if let Ok(message) = v1::OutpostMessage::decode(bytes)
        && let Some(v1::outpost_message::Body::Report(report)) = message.body
    {
        check::<v1::Report, Report>(&report.encode_to_vec())?;
    }
    if let Ok(message) = v1::SetRepoRequest::decode(bytes) {
        // A role that is none is refused, and none is lost.
        let (given, patch) = (message.runtimes.len(), RepoPatch::try_from(message));
        prop_assert!(patch.is_err() || patch.is_ok_and(|patch| patch.runtimes.len() == given));
    }
    if let Ok(message) = v1::Token::decode(bytes) {
        // Only its being taken or not is of interest: a token's proof has no way back.
        let _ = TokenView::try_from(message);
    }
    Ok(())
}

proptest! {
    #[test]
    fn fuzz_any_bytes_are_a_whole_message_or_none(bytes in bytes(valid())) {
        check_all(&bytes)?;
    }

    #[test]
    fn fuzz_any_encoding_is_a_whole_message_or_none(bytes in wire()) {
        check_all(&bytes)?;
    }

    /// What only the services look at is read or refused, too.
    #[test]
    fn fuzz_any_bytes_may_be_sent_as_a_request(bytes in prop_oneof![bytes(valid()), wire()]) {
        macro_rules! requests {
            ($($message:ident),+) => { $(if let Ok(message) = v1::$message::decode(&*bytes) {
                prop_assert!(v1::$message::decode(&*message.encode_to_vec()).is_ok(), stringify!($message));
            })+ };
        }
        requests!(
            OutpostMessage, LogChunk, TerminalOutput, AttachInput, EnrolRequest, WhoAmIRequest, CreateTokenRequest,
            ListTokensRequest, RevokeTokenRequest, SetSecretRequest, RemoveSecretRequest, AddItemsRequest, ListItemsRequest, ItemRequest, EditItemRequest,
            CancelItemRequest, WaitRequest, ListChangesRequest, ChangeRequest, DropChangeRequest, ApproveChangeRequest, AddRepoRequest,
            ListReposRequest, RepoRequest, SetRepoRequest, RemoveRepoRequest, ListOutpostsRequest, OutpostRequest,
            RemoveOutpostRequest, ListWorkersRequest, WorkerRequest, StopWorkerRequest, WorkerLogsRequest, TailRequest,
            StatusRequest, CoordinatorMessage, Certificate
        );
    }
}
