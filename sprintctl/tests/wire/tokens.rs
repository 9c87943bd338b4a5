//! Tokens for others, and the audit of what they do.

use pty_process::Size;
use sprint_core::event::{Event, EventKind, Seq};
use sprint_core::time::Timestamp;
use sprint_proto::v1;
use tokio::io::AsyncReadExt;

use crate::login::{SECRET, token};
use crate::scripted::Scripted;
use crate::{LONG, VARIABLES, run, text};

#[tokio::test]
async fn a_new_token_is_all_that_is_printed() {
    let script = Scripted::default();
    let _running = script.start().await;
    let made = token(&script.authority).reveal();
    script.with(|script| script.token.clone_from(&made));
    let output = run(&script, "token create --kind outpost --ttl 1h --uses 3 --name-prefix gpu-").await;
    assert_eq!(
        (output.status.code(), text(&output.stdout), text(&output.stderr)),
        (Some(0), &*format!("{made}\n"), "")
    );
    let json = run(&script, "token create --kind viewer --name ann -o json").await;
    let shown = serde_json::from_slice::<serde_json::Value>(&json.stdout).expect("is JSON");
    assert_eq!((&shown["token"], &shown["id"]), (&made.into(), &"1a2b3c4d".into()));
    assert_eq!((&shown["kind"], &shown["name"], &shown["state"]), (&"viewer".into(), &"ann".into(), &"valid".into()));
    let asked = script.with(|script| script.created.clone());
    let expected = [
        v1::CreateTokenRequest {
            kind: "outpost".to_owned(),
            ttl_ms: 3_600_000,
            uses: 3,
            name_prefix: "gpu-".to_owned(),
            name: String::new(),
        },
        v1::CreateTokenRequest { kind: "viewer".to_owned(), name: "ann".to_owned(), ..Default::default() },
    ];
    assert_eq!(asked, expected);
    let wrong = run(&script, "token create --kind viewer --uses 2").await;
    assert_eq!((wrong.status.code(), script.with(|script| script.created.len())), (Some(2), 2));
}

#[tokio::test]
async fn a_person_who_makes_a_token_sees_the_line_to_type() {
    let script = Scripted::default();
    let running = script.start().await;
    script.with(|hers| hers.token = token(&script.authority).reveal());
    let (mut pty, pts) = pty_process::open().expect("a pty");
    pty.resize(Size::new(30, 200)).expect("takes a size");
    let mut command = pty_process::Command::new(env!("CARGO_BIN_EXE_sprintctl"));
    for variable in VARIABLES {
        command = command.env_remove(variable);
    }
    let command = command.args(["token", "create", "--kind", "admin"]).env("SPRINT_CONFIG_DIR", script.home.path());
    let mut child = command.kill_on_drop(true).spawn(pts).expect("starts");
    let mut shown = Vec::new();
    // The end of a pty is an error.
    tokio::time::timeout(LONG, pty.read_to_end(&mut shown)).await.expect("ends").ok();
    assert!(child.wait().await.expect("ends").success());
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let line = format!("sprintctl login --coordinator {} --token sprint1_1a2b3c4d_{SECRET}", running.address);
    assert!(shown.starts_with("sprint1_") && shown.contains(&line), "{shown}");
}

#[tokio::test]
async fn tokens_are_listed_and_revoked_without_their_secrets() {
    let script = Scripted::default();
    let _running = script.start().await;
    let all = run(&script, "token list --all -o json").await;
    let shown = serde_json::from_slice::<serde_json::Value>(&all.stdout).expect("is JSON");
    assert_eq!((&shown[0]["kind"], shown[0].get("token")), (&"admin".into(), None));
    let some = run(&script, "token list").await;
    assert!(text(&some.stdout).contains("1a2b3c4d  viewer  ann"), "{}", text(&some.stdout));
    let whole = token(&script.authority).reveal();
    for id in ["1a2b3c4d", &whole] {
        let output = run(&script, &format!("token revoke {id}")).await;
        assert!(output.status.success() && text(&output.stdout).contains("revoked"), "{}", text(&output.stderr));
        assert!(!text(&output.stdout).contains(SECRET) && output.stderr.is_empty());
    }
}

#[tokio::test]
async fn the_audit_is_read_like_the_record() {
    let script = Scripted::default();
    let _running = script.start().await;
    let event = |seq: u64, kind| Event {
        seq: Seq::new(seq),
        time: Timestamp::from_millis(1_763_700_000_000),
        kind,
        repo: None,
        item: None,
        actor: "viewer/bob".to_owned(),
        origin: Some("10.0.0.7:40112".to_owned()),
        data: serde_json::json!({"what": "Items.Add", "why": "a viewer may not", "times": seq}),
    };
    let kind = |seq| if seq % 10 == 0 { EventKind::ACCESS_REFUSED } else { EventKind::ITEM_CANCELLED };
    script.with(|script| {
        script.last_seq = 100;
        script.audit = (41..=100).map(|seq| event(seq, kind(seq))).collect();
    });
    let seqs = async |line: &str| {
        let output = run(&script, &format!("{line} -o json")).await;
        let json = |line| serde_json::from_str::<serde_json::Value>(line).expect("is JSON");
        text(&output.stdout).lines().map(|line| json(line)["seq"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!(seqs("audit").await, (81..=100).collect::<Vec<_>>());
    assert_eq!(seqs("audit -n 2").await, [99, 100]);
    assert_eq!(seqs("audit --since 97").await, [98, 99, 100]);
    assert_eq!(seqs("audit --refused").await, [50, 60, 70, 80, 90, 100]);
    assert_eq!(seqs("audit --refused -n 2").await, [90, 100]);
    assert_eq!(seqs("audit --refused --since 0 -n 2").await, [50, 60]);
    assert!(script.with(|script| script.tails.iter().all(|tail| tail.audit && tail.item.is_none())));
    let one = run(&script, "audit --refused -n 1").await;
    let line = "2025-11-21 04:40:00Z  viewer/bob        10.0.0.7:40112         Items.Add               refused (100 times): a viewer may not\n";
    assert_eq!(text(&one.stdout), line);
    let json = run(&script, "event tail -n 1 -o json").await;
    let event = serde_json::from_slice::<serde_json::Value>(&json.stdout).expect("is JSON");
    assert_eq!(event["origin"], "10.0.0.4:5120");
}
