//! Every entity with its texts at their bounds goes through the record, the wire and the command line, and comes back as
//! it was.

use std::collections::{BTreeMap, BTreeSet};

use coordinator::store::{Location, Store, StoreError, Tx};
use serde_json::{Value, json};
use sprint_core::access::PersonRole;
use sprint_core::bounds::{DETAIL, NAMED_PATH, NAMED_PATHS, OUTPOST_LABELS, OUTPOST_WORD, REASON};
use sprint_core::change::{Change, ChangeState};
use sprint_core::event::{Actor, EventKind, NewEvent};
use sprint_core::fixtures;
use sprint_core::gates::{Finding, FindingLevel, GateOutcome, GateVerdict, MAX_FINDINGS};
use sprint_core::ids::{Attempt, ChangeId, ItemId, OutpostName, PersonName, RepoName, TrialId, WorkerId};
use sprint_core::item::{Feedback, Item, MAX_ITEM_BYTES, MAX_TITLE_BYTES, Stage};
use sprint_core::job::Role;
use sprint_core::merge_queue::ChangeSeen;
use sprint_core::outpost::{Outpost, OutpostState};
use sprint_core::protection::{Approval, Protection};
use sprint_core::repo::{Repo, UpstreamTrouble};
use sprint_core::request::ItemFilter;
use sprint_core::time::Timestamp;
use sprint_core::token::{Grant, Proof, SecretHash, Token, TokenId};
use sprint_core::trial::{RunState, Trial, TrialState};
use sprint_core::view::{ChangeView, ItemView, OutpostView, WorkerView};
use sprint_core::worker::{Worker, WorkerState};
use sprint_tests::{Cluster, peak_memory};

/// Letters of one byte and of several, one that turns the order around, one that steers terminals, and what JSON
/// escapes in six bytes.
const LETTERS: [&str; 5] = ["x", "ä€𝄞", "\u{202e}", "\u{1b}[31m", "\u{1}"];

/// As many of the letters as the bound holds.
fn at_most(bytes: usize, letters: &str) -> String {
    letters.repeat(bytes / letters.len())
}

fn item(number: u64, letters: &str) -> Item {
    let text = |bytes| at_most(bytes, letters);
    let feedback = |attempt| Feedback { attempt: Attempt::new(attempt), text: text(REASON) + &text(DETAIL) };
    let mut item = Item {
        title: text(MAX_TITLE_BYTES),
        acceptance: vec![text(10_000); 3],
        labels: BTreeSet::from([text(1_000), "plain".to_owned()]),
        requires: BTreeMap::from([(text(500), text(500))]),
        run: Some(text(20_000)),
        stage: Stage::Blocked { reason: text(REASON) },
        feedback: (1..=3).map(feedback).collect(),
        conflict: Some(fixtures::conflict(ChangeId::new(number))),
        ..fixtures::item(number, 3)
    };
    item.conflict.iter_mut().for_each(|conflict| conflict.paths = vec![text(NAMED_PATH); NAMED_PATHS]);
    item.description = text(MAX_ITEM_BYTES - item.size());
    item
}

fn change(number: u64, letters: &str) -> Change {
    let text = |bytes| at_most(bytes, letters);
    let paths = vec![text(NAMED_PATH); NAMED_PATHS];
    let approval = Some(Approval { by: "ann".to_owned(), reason: text(REASON), at: Timestamp::default() });
    let state = match number % 2 {
        0 => ChangeState::Failed { reason: text(REASON) },
        _ => ChangeState::Conflicted { paths: paths.clone() },
    };
    Change {
        source: Some(text(REASON)),
        left_out: Some(text(REASON)),
        protection: Some(Protection { paths, more: 99_950, weakens: vec![text(REASON)], approval }),
        ..fixtures::change(number, number, state)
    }
}

fn worker(number: u64, letters: &str) -> Worker {
    let state = WorkerState::Failed { exit_code: Some(-1), reason: at_most(REASON, letters) };
    Worker { stop_reason: Some(at_most(REASON, letters)), ..fixtures::worker(number, number, state) }
}

fn outpost(number: u64, letters: &str) -> Outpost {
    let label = |label| (format!("{label}{}", at_most(OUTPOST_WORD - 3, letters)), at_most(OUTPOST_WORD, letters));
    Outpost {
        name: OutpostName::new(format!("host-{number}")).expect("a name"),
        labels: (0..OUTPOST_LABELS).map(label).collect(),
        version: at_most(OUTPOST_WORD, letters),
        paused: Some(at_most(OUTPOST_WORD, letters)),
        state: OutpostState::Offline,
        ..fixtures::outpost()
    }
}

fn repo(number: u64, letters: &str) -> Repo {
    let text = |bytes| at_most(bytes, letters);
    let trouble = UpstreamTrouble { why: text(REASON), since: Timestamp::default() };
    Repo {
        name: RepoName::new(format!("repo-{number}")).expect("a name"),
        halted: Some(text(REASON)),
        frozen: Some(text(REASON)),
        upstream_trouble: Some(trouble),
        run: BTreeMap::from([(Role::Developer, text(20_000))]),
        ..fixtures::repo()
    }
}

/// Tokens of people and of outposts in turns, with the longest names that there are.
fn token(number: u64, letters: &str) -> Token {
    let name = "n".repeat(63);
    let grant = match number % 2 {
        0 => Grant::Join { uses: u32::MAX, used: 0, name_prefix: name },
        _ => Grant::Access { role: PersonRole::Viewer, name: PersonName::new(name).expect("a name") },
    };
    Token {
        id: TokenId::new(format!("{number:08x}")).expect("an id"),
        proof: Proof::Secret(SecretHash::new("a".repeat(64)).expect("a hash")),
        grant,
        expires_at: Timestamp::from_millis(number.cast_signed()),
        created_at: Timestamp::default(),
        created_by: at_most(200, letters),
        revoked_at: None,
    }
}

/// With a gate that has failed, and said as much as it may.
fn trial(number: u64, letters: &str) -> Trial {
    let text = |bytes| at_most(bytes, letters);
    let mut trial = fixtures::trial(number, &[(number, number)]);
    for run in &mut trial.runs {
        let (file, message) = (text(NAMED_PATH), text(NAMED_PATH));
        let findings = vec![Finding { file, line: Some(u32::MAX), level: FindingLevel::Error, message }; MAX_FINDINGS];
        let failed = fixtures::verdict(&run.gate, GateOutcome::Failed);
        run.verdict = Some(GateVerdict { reason: text(REASON), findings, ..failed });
        run.state = RunState::Failed;
    }
    trial.state = TrialState::Failed { reason: text(REASON), detail: text(DETAIL) };
    trial.retired = true;
    trial
}

fn event(number: u64, letters: &str) -> NewEvent {
    let data = json!({ "reason": at_most(REASON, letters), "detail": at_most(DETAIL, letters) });
    let (repo, item) = (Some(fixtures::repo_name()), Some(ItemId::new(number)));
    NewEvent { kind: EventKind::ITEM_ADDED, repo, item, actor: Actor::Supervisor, data }
}

/// What the record holds beside each other: one of each for every kind of letters.
fn record(tx: &mut Tx) {
    for (number, letters) in (1..).zip(LETTERS) {
        assert_eq!(tx.next_id::<ItemId>(), ItemId::new(number));
        assert_eq!(tx.next_id::<ChangeId>(), ChangeId::new(number));
        assert_eq!(tx.next_id::<WorkerId>(), WorkerId::new(number));
        tx.save(item(number, letters), event(number, letters));
        tx.save(change(number, letters), event(number, letters));
        tx.save(worker(number, letters), event(number, letters));
        tx.save(outpost(number, letters), event(number, letters));
        tx.save(repo(number, letters), event(number, letters));
        tx.save(token(number, letters), event(number, letters));
        assert_eq!(tx.next_id::<TrialId>(), TrialId::new(number));
        tx.save(trial(number, letters), event(number, letters));
    }
}

fn write(cluster: &Cluster) {
    let path = cluster.coordinator_data().join("sprint.db");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(Location::Sqlite(&path)).await.expect("it opens");
        let written: Result<(), StoreError> = store
            .write(|tx| {
                Box::pin(async move {
                    record(tx);
                    Ok(())
                })
            })
            .await;
        written.expect("it is written");
        let items = store.items(&ItemFilter::default()).await.expect("they are read");
        assert_eq!(items, (1..).zip(LETTERS).map(|(number, letters)| item(number, letters)).collect::<Vec<_>>());
        let tokens = store.tokens().await.expect("they are read");
        for (number, letters) in (1..).zip(LETTERS) {
            assert!(tokens.contains(&token(number, letters)), "token {number}");
        }
        let trials = store.trials(&fixtures::repo_name(), None).await.expect("they are read");
        assert!(trials.into_iter().eq((1..).zip(LETTERS).map(|(number, letters)| trial(number, letters))));
        store.close().await;
    });
}

fn listed(cluster: &Cluster, args: &[&str]) -> Vec<Value> {
    let mut all = cluster.json(args).as_array().expect("a list").clone();
    // The outpost of a fixture is none of these.
    all.retain(|row| row["name"].as_str().is_none_or(|name| name.starts_with("host-") || name.starts_with("repo-")));
    all
}

fn of_all(view: impl Fn(u64, &str) -> Value) -> Vec<Value> {
    (1..).zip(LETTERS).map(|(number, letters)| view(number, letters)).collect()
}

#[test]
fn what_is_at_its_bounds_comes_back_as_it_was() {
    let mut cluster = Cluster::start(0);
    cluster.repo("web", &[], &[]);
    for number in 1..=LETTERS.len() {
        cluster.repo(&format!("repo-{number}"), &[], &[]);
    }
    cluster.kill_coordinator();
    write(&cluster);
    cluster.start_coordinator();
    let same = |what: &str, found: Vec<Value>, expected: Vec<Value>| {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(&expected) {
            for (key, value) in expected.as_object().expect("an object") {
                assert_eq!(&found[key], value, "{what}: {key}");
            }
        }
    };
    same(
        "items",
        listed(&cluster, &["item", "list"]),
        of_all(|number, letters| json!(ItemView::from(item(number, letters)))),
    );
    let seen =
        |number, letters: &str| json!(ChangeView::from(ChangeSeen { change: change(number, letters), standing: None }));
    same("changes", listed(&cluster, &["change", "list", "--all"]), of_all(seen));
    let seen = |number, letters: &str| json!(WorkerView::from(worker(number, letters)));
    same("workers", listed(&cluster, &["worker", "list", "--all"]), of_all(seen));
    let seen = |number, letters: &str| json!(OutpostView::new(outpost(number, letters), 0, None, None));
    same("outposts", listed(&cluster, &["outpost", "list"]), of_all(seen));
    let seen = |number, letters: &str| json!(repo(number, letters));
    same("repos", listed(&cluster, &["repo", "list"]), of_all(|number, letters| seen(number, letters)));
    let tokens = cluster.tokens();
    for (number, letters) in (1..).zip(LETTERS) {
        let Token { id, created_by, .. } = token(number, letters);
        let shown = tokens.iter().find(|token| token["id"] == json!(id)).expect("it is listed");
        assert_eq!(shown["created_by"], json!(created_by));
        let (name, prefix) = (shown["name"].as_str(), shown["name_prefix"].as_str());
        assert_eq!(name.map(str::len).max(prefix.map(str::len)), Some(63), "{shown}");
    }
    let events = cluster.events();
    for (number, letters) in (1..).zip(LETTERS) {
        let data = event(number, letters).data;
        let of_it = events.iter().filter(|event| event["item"] == number && event["data"] == data);
        assert_eq!(of_it.count(), 7, "the events of {number}");
        let number = number.to_string();
        for args in [
            ["item", "show", &number],
            ["item", "explain", &number],
            ["change", "show", &number],
            ["change", "explain", &number],
            ["worker", "show", &number],
            ["outpost", "show", &format!("host-{number}")],
            ["repo", "show", &format!("repo-{number}")],
        ] {
            let shown = cluster.sprintctl(&args).succeeded().text();
            assert!(!shown.contains('\u{202e}') && !shown.contains('\u{1b}'), "{args:?} steers");
        }
    }
    for args in [
        &["status"][..],
        &["event", "tail", "--since", "0"],
        &["item", "list"],
        &["audit"],
        &["repo", "list"],
        &["gate", "list", "web"],
    ] {
        cluster.sprintctl(args).succeeded();
    }
    let peak = peak_memory(cluster.coordinator_pid());
    assert!(peak <= 300, "the coordinator has had {peak} MiB");
}
