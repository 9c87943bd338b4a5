//! Getting in: which credentials go where, what is kept, and what never leaves.

use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use nix::sys::termios::{LocalFlags, tcgetattr};
use pty_process::{Pty, Size};
use sprint_core::ids::ContextName;
use sprint_core::token::{TokenId, TokenText};
use sprint_identity::context::Context;
use sprint_identity::testing::TestAuthority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Status;

use crate::admission::Seen;
use crate::scripted::{Running, Scripted};
use crate::{LONG, VARIABLES, ended, run, sprintctl, sprintctl_at, text};

/// The part of every token here that must be printed nowhere.
pub(crate) const SECRET: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

/// A token that is for the coordinator with this authority.
pub(crate) fn token(authority: &TestAuthority) -> TokenText {
    let id = TokenId::new("1a2b3c4d").expect("is an id");
    TokenText::new(id, SECRET.to_owned(), authority.authority.fingerprint()).expect("is a token")
}

fn name(text: &str) -> ContextName {
    ContextName::new(text).expect("is a name")
}

/// Both outputs; fails when the secret is in one of them.
fn said(output: &Output) -> String {
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(!said.contains(SECRET), "the secret is in: {said}");
    said
}

async fn login(home: &Path, running: &Running, token: &TokenText, more: &str) -> Output {
    let line = format!("login --coordinator {} --token {}{more}", running.address, token.reveal());
    ended(sprintctl_at(home, &line)).await
}

#[tokio::test]
async fn the_local_context_authenticates_with_its_certificate() {
    let running = Scripted::default().start().await;
    let who = run(&running.script, "whoami").await;
    let shown = said(&who).replace(&running.address.to_string(), "ADDRESS");
    insta::assert_snapshot!(shown);
    let seen = running.script.with(|script| script.seen.clone());
    assert_eq!(seen, [Seen { authorization: None, with_certificate: true }]);
    let by_address = run(&running.script, &format!("whoami --coordinator localhost:{}", running.address.port())).await;
    assert!(by_address.status.success(), "{}", said(&by_address));
}

#[tokio::test]
async fn a_login_is_kept_for_its_owners_eyes_and_used_from_then_on() {
    let script = Scripted::default();
    let running = script.start_unknown().await;
    let home = script.home.path();
    let logged_in = login(home, &running, &token(&script.authority), "").await;
    assert!(logged_in.status.success(), "{}", said(&logged_in));
    insta::assert_snapshot!(said(&logged_in).replace(&running.address.to_string(), "ADDRESS"));
    let (contexts, kept) = (script.contexts(), name("localhost"));
    let mode = std::fs::metadata(contexts.path(&kept)).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(contexts.current().expect("is read"), Some(kept.clone()));
    let context = contexts.get(&kept).expect("is read");
    assert_eq!(context.trust, script.authority.authority.pem());

    assert!(run(&script, "whoami").await.status.success());
    let bearer = format!("Bearer {}", token(&script.authority).reveal());
    let seen = script.with(|script| script.seen.clone());
    let expected = Seen { authorization: Some(bearer), with_certificate: false };
    assert_eq!(seen, [expected.clone(), expected]);

    for line in ["context list", "context list -o json", "context show", "context show -o json"] {
        assert!(said(&run(&script, line).await).contains("localhost"), "{line}");
    }
    let again = login(home, &running, &token(&script.authority), " -o json").await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&said(&again)).expect("is JSON")["context"], "localhost");
    assert_eq!(contexts.names().expect("are read"), [kept]);
    let gone = run(&script, "logout").await;
    assert!(gone.status.success() && contexts.names().expect("are read").is_empty(), "{}", said(&gone));
    let unknown = run(&script, &format!("whoami --coordinator {}", running.address)).await;
    assert!(said(&unknown).contains("log in with: sprintctl login --coordinator 127.0.0.1:"), "{}", said(&unknown));
}

#[tokio::test]
async fn another_coordinator_is_sent_no_token_and_nothing_is_kept() {
    let script = Scripted::default();
    let running = script.start_unknown().await;
    let other = token(&TestAuthority::make());
    let refused = login(script.home.path(), &running, &other, "").await;
    assert_eq!(refused.status.code(), Some(1));
    insta::assert_snapshot!(said(&refused).replace(&running.address.to_string(), "ADDRESS"));
    let mut command = sprintctl(&script, "status");
    command.env("SPRINT_COORDINATOR", running.address.to_string()).env("SPRINT_TOKEN", other.reveal());
    let by_variable = ended(command).await;
    assert_eq!((by_variable.status.code(), said(&by_variable)), (Some(1), said(&refused)));

    // One that was known, and is another one now.
    let before =
        Context { trust: TestAuthority::make().authority.pem().to_owned(), ..script.local_context(running.address) };
    let before = Context { token: Some(other.reveal()), certificate: None, key: None, ..before };
    script.contexts().save(&name("before"), &before).expect("is saved");
    let by_context = run(&script, "status --context before").await;
    assert_eq!((by_context.status.code(), said(&by_context)), (Some(1), said(&refused)));

    assert_eq!(script.with(|script| script.seen.clone()), [], "no call may have come this far");
    assert_eq!(script.contexts().names().expect("are read"), [name("before")]);
    assert_eq!(script.contexts().current().expect("is read"), None);
}

#[tokio::test]
async fn a_login_that_the_coordinator_refuses_is_not_kept() {
    let script = Scripted::default();
    let running = script.start_unknown().await;
    let why = "the token 1a2b3c4d is of kind outpost, which cannot be used for this";
    for status in [Status::unauthenticated(why), Status::permission_denied(why)] {
        script.with(|script| script.refuse = Some(status));
        let refused = login(script.home.path(), &running, &token(&script.authority), "").await;
        assert_eq!((refused.status.code(), said(&refused)), (Some(1), format!("error: {why}\n")));
    }
    assert!(script.contexts().names().expect("are read").is_empty());
}

#[tokio::test]
async fn a_token_is_taken_from_standard_input() {
    let script = Scripted::default();
    let running = script.start_unknown().await;
    for (more, input) in
        [("", token(&script.authority).reveal()), (" --token -", token(&script.authority).reveal() + "\n")]
    {
        let line = format!("login --coordinator {} --name work{more}", running.address);
        let mut child = sprintctl(&script, &line).stdin(Stdio::piped()).spawn().expect("starts");
        child.stdin.take().expect("is piped").write_all(input.as_bytes()).await.expect("is read");
        let output = tokio::time::timeout(LONG, child.wait_with_output()).await.expect("in time").expect("ends");
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(script.contexts().names().expect("are read"), [name("work")]);
    let nothing = run(&script, &format!("login --coordinator {}", running.address)).await;
    assert_eq!(nothing.status.code(), Some(2), "{}", said(&nothing));
    let nowhere = run(&script, &format!("login --token {}", token(&script.authority).reveal())).await;
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(said(&nowhere).contains("name it with --coordinator HOST:PORT"), "{}", said(&nowhere));
}

/// A login at a terminal that asks for a token and gets `keys`; returns what was shown, and how it ended.
async fn typed_at_the_prompt(script: &Scripted, running: &Running, keys: String) -> (String, Option<i32>) {
    let (mut pty, pts) = pty_process::open().expect("a pty");
    pty.resize(Size::new(30, 200)).expect("takes a size");
    // The terminal stays open while this end is held: what was printed last can still be read.
    let _held = pts.as_fd().try_clone_to_owned().expect("is shared");
    let mut command = pty_process::Command::new(env!("CARGO_BIN_EXE_sprintctl"));
    for variable in VARIABLES {
        command = command.env_remove(variable);
    }
    let mut child = command
        .args(["login", "--coordinator", &running.address.to_string()])
        .env("SPRINT_CONFIG_DIR", script.home.path())
        .kill_on_drop(true)
        .spawn(pts)
        .expect("starts");
    let echoes = |pty: &Pty| tcgetattr(pty.as_fd()).expect("is a terminal").local_flags.contains(LocalFlags::ECHO);
    let mut shown = Vec::new();
    let typing = async {
        let mut buffer = [0; 1024];
        while !String::from_utf8_lossy(&shown).contains("token: ") {
            let count = pty.read(&mut buffer).await.expect("asks for it");
            shown.extend(&buffer[..count]);
        }
        assert!(!echoes(&pty));
        pty.write_all(keys.as_bytes()).await.expect("is typed");
        while !String::from_utf8_lossy(&shown).contains(['"', ';']) {
            let count = pty.read(&mut buffer).await.expect("says how it went");
            shown.extend(&buffer[..count]);
        }
    };
    tokio::time::timeout(LONG, typing).await.expect("in time");
    let status = child.wait().await.expect("ends");
    assert!(echoes(&pty), "the terminal must be as it was");
    (String::from_utf8_lossy(&shown).into_owned(), status.code())
}

#[tokio::test]
async fn what_is_typed_at_the_prompt_is_not_shown() {
    let script = Scripted::default();
    let running = script.start_unknown().await;
    let keys = format!("{}\n", token(&script.authority).reveal());
    let (shown, code) = typed_at_the_prompt(&script, &running, keys).await;
    assert!(!shown.contains(SECRET) && !shown.contains("sprint1_") && shown.contains("logged in"), "{shown}");
    assert_eq!(code, Some(0));
    let (shown, code) = typed_at_the_prompt(&script, &running, "sprint1_half\x03".to_owned()).await;
    assert!(shown.contains("interrupted; nothing was changed") && !shown.contains("half"), "{shown}");
    assert_eq!(code, Some(1));
}

#[tokio::test]
async fn a_token_in_the_environment_needs_no_context() {
    let script = Scripted::default();
    let running = script.start_unknown().await;
    let mut command = sprintctl(&script, "whoami -o json");
    command
        .env("SPRINT_COORDINATOR", running.address.to_string())
        .env("SPRINT_TOKEN", token(&script.authority).reveal());
    command.env_remove("SPRINT_CONFIG_DIR").env_remove("XDG_CONFIG_HOME").env_remove("HOME");
    let output = ended(command).await;
    assert!(output.status.success(), "{}", said(&output));
    let who = serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("is JSON");
    assert_eq!((&who["identity"], &who["context"]), (&"operator/ann".into(), &serde_json::Value::Null));
    assert!(script.with(|script| script.seen[0].authorization.is_some()));
}

#[tokio::test]
async fn a_name_that_is_taken_is_not_given_to_another_coordinator() {
    let script = Scripted::default();
    let (first, second) = (script.start().await, script.start_unknown().await);
    let taken = login(script.home.path(), &second, &token(&script.authority), " --name local").await;
    assert_eq!(taken.status.code(), Some(1));
    assert!(said(&taken).contains("the context \"local\" is for another coordinator"), "{}", said(&taken));
    let own = login(script.home.path(), &first, &token(&script.authority), " --name local").await;
    assert!(said(&own).contains("its key exists nowhere else"), "{}", said(&own));
    assert_eq!(script.with(|script| script.seen.len()), 0);
    for running in [&first, &second] {
        let output = login(script.home.path(), running, &token(&script.authority), "").await;
        assert!(output.status.success(), "{}", said(&output));
    }
    let names = script.contexts().names().expect("are read");
    assert_eq!(names, ["local", "localhost", "localhost-2"].map(name));
}

#[tokio::test]
async fn a_refused_login_prints_the_next_act() {
    let script = Scripted::default();
    let running = script.start().await;
    let mut shown = String::new();
    for status in [
        Status::unauthenticated("the token 1a2b3c4d was revoked at 2025-11-21T04:40:00Z"),
        Status::unauthenticated(""),
        Status::permission_denied("a viewer may not add items; ask for a token of kind operator"),
    ] {
        script.with(|script| script.refuse = Some(status));
        for line in ["item list", "event tail -f", "wait 1"] {
            let output = run(&script, line).await;
            assert_eq!(output.status.code(), Some(1));
            shown += &said(&output);
        }
    }
    script.with(|script| script.refuse = None);
    // A certificate that another coordinator gave out.
    let other = Scripted::default().local_context(running.address);
    let context = Context { trust: script.authority.authority.pem().to_owned(), ..other };
    script.contexts().save(&name("other"), &context).expect("is saved");
    for line in ["status --context other", "event tail -f --context other"] {
        let output = run(&script, line).await;
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        shown += &said(&output);
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn a_coordinator_that_comes_back_as_another_is_not_followed() {
    let script = Scripted::default();
    let running = script.start().await;
    let address = running.address;
    let mut child = sprintctl(&script, "event tail -f --since 0").spawn().expect("starts");
    while script.with(|script| script.tails.is_empty()) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    drop(running);
    let other = Scripted::default();
    let _running = other.start_at(address).await;
    let status = tokio::time::timeout(LONG, child.wait()).await.expect("ends").expect("is waited for");
    let mut shown = String::new();
    child.stderr.take().expect("is piped").read_to_string(&mut shown).await.expect("is text");
    assert_eq!(status.code(), Some(1), "{shown}");
    assert!(shown.contains("is not the one that is trusted here"), "{shown}");
    assert_eq!(other.with(|script| script.seen.len()), 0);
}
