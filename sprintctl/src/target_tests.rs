use std::fs;
use std::os::unix::fs::PermissionsExt;

use sprint_core::ids::Fingerprint;
use sprint_core::token::TokenId;
use tempfile::TempDir;

use super::*;

fn name(text: &str) -> ContextName {
    ContextName::new(text).unwrap()
}

fn token(id: &str) -> TokenText {
    let authority = Fingerprint::new("f1".repeat(32)).unwrap();
    TokenText::new(TokenId::new(id).unwrap(), "5e".repeat(20), authority).unwrap()
}

/// Contexts `a` and `b` for hosts of these names, and `here` for this one; `b` is the current one.
fn contexts() -> (TempDir, Contexts) {
    let dir = tempfile::tempdir().unwrap();
    let contexts = Contexts::at(dir.path().to_owned());
    for (id, text, coordinator) in
        [("aaaaaaaa", "a", "a:50051"), ("bbbbbbbb", "b", "b:50051"), ("cccccccc", "here", "127.0.0.1:50051")]
    {
        let context = Context {
            coordinator: coordinator.to_owned(),
            trust: format!("authority of {text}"),
            token: Some(token(id).reveal()),
            certificate: None,
            key: None,
            data_dir: None,
        };
        contexts.save(&name(text), &context).unwrap();
    }
    contexts.make_current(&name("b")).unwrap();
    (dir, contexts)
}

fn options(coordinator: Option<&str>, context: Option<&str>, id: Option<&str>) -> TargetOptions {
    TargetOptions { coordinator: coordinator.map(ToOwned::to_owned), context: context.map(name), token: id.map(token) }
}

/// The address, the token's id, and whom it trusts.
fn said(target: &Target) -> String {
    let who = match &target.credential {
        Credential::Token(token) => token.id.as_str(),
        Credential::None | Credential::Certificate { .. } => "?",
    };
    let trust = match &target.trust {
        Trust::Fingerprint(fingerprint) => &fingerprint.as_str()[..4],
        Trust::Authorities(pem) => pem,
    };
    format!("{} with {who}, trusting {trust}", target.address)
}

#[test]
fn what_is_named_counts_before_the_environments_token_and_that_before_the_current_context() {
    let (_dir, contexts) = contexts();
    for (coordinator, context, token, expected) in [
        (None, None, None, "b:50051 with bbbbbbbb, trusting authority of b"),
        (None, Some("a"), None, "a:50051 with aaaaaaaa, trusting authority of a"),
        (None, Some("a"), Some("11111111"), "a:50051 with aaaaaaaa, trusting authority of a"),
        (Some("A:50051"), Some("a"), Some("11111111"), "A:50051 with aaaaaaaa, trusting authority of a"),
        (Some("c:1"), None, Some("11111111"), "c:1 with 11111111, trusting f1f1"),
        (Some("a:50051"), None, Some("11111111"), "a:50051 with 11111111, trusting f1f1"),
        (None, None, Some("11111111"), "b:50051 with 11111111, trusting f1f1"),
        (Some("a:50051"), None, None, "a:50051 with aaaaaaaa, trusting authority of a"),
        (Some("localhost:50051"), None, None, "localhost:50051 with cccccccc, trusting authority of here"),
        (Some("[::1]:50051"), None, None, "[::1]:50051 with cccccccc, trusting authority of here"),
    ] {
        let target = Target::resolve(options(coordinator, context, token), Ok(contexts.clone()));
        let said = target.map_or_else(|failure| failure.to_string(), |target| said(&target));
        assert_eq!(said, expected, "{coordinator:?} {context:?} {token:?}");
    }
}

#[test]
fn of_several_contexts_for_an_address_the_current_one_counts() {
    let (_dir, contexts) = contexts();
    let second = Context { token: Some(token("dddddddd").reveal()), ..contexts.get(&name("a")).unwrap() };
    contexts.save(&name("z"), &second).unwrap();
    let found = || Target::resolve(options(Some("a:50051"), None, None), Ok(contexts.clone())).unwrap().context;
    assert_eq!(found(), Some(name("a")));
    contexts.make_current(&name("z")).unwrap();
    assert_eq!(found(), Some(name("z")));
}

#[test]
fn a_missing_target_is_named_with_the_next_act() {
    let (_dir, contexts) = contexts();
    let nothing = tempfile::tempdir().unwrap();
    let none = Contexts::at(nothing.path().to_owned());
    let mut said = String::new();
    let mut fails = |options: TargetOptions, contexts: Result<&Contexts, ContextError>, code| {
        let failure = Target::resolve(options, contexts.cloned()).unwrap_err();
        assert_eq!(failure.exit_code(), code, "{failure}");
        said.extend([&failure.to_string(), "\n\n"]);
    };
    fails(options(Some("c:1"), None, None), Ok(&contexts), 1);
    fails(options(Some("localhost:1"), None, None), Ok(&contexts), 1);
    fails(options(Some("b:50051"), Some("a"), None), Ok(&contexts), 2);
    fails(options(None, Some("c"), None), Ok(&contexts), 1);
    fails(options(None, None, None), Ok(&none), 1);
    fails(options(None, None, Some("11111111")), Ok(&none), 2);
    fails(options(None, None, None), Err(ContextError::NoPlace), 1);
    contexts.remove(&name("b")).unwrap();
    fails(options(None, None, None), Ok(&contexts), 1);
    let damaged = Context { token: Some("sprint1_hunter2".to_owned()), ..contexts.get(&name("a")).unwrap() };
    contexts.save(&name("a"), &damaged).unwrap();
    fails(options(None, Some("a"), None), Ok(&contexts), 1);
    insta::assert_snapshot!(said);
}

#[test]
fn a_token_and_an_address_do_without_a_home() {
    let target = Target::resolve(options(Some("c:1"), None, Some("11111111")), Err(ContextError::NoPlace)).unwrap();
    assert_eq!(said(&target), "c:1 with 11111111, trusting f1f1");
}

#[test]
fn a_damaged_context_affects_its_own_coordinator_only() {
    let (_dir, contexts) = contexts();
    fs::write(contexts.path(&name("a")), "coordinator = 3").unwrap();
    fs::set_permissions(contexts.path(&name("here")), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Target::resolve(options(Some("127.0.0.1:50051"), None, None), Ok(contexts.clone())).is_ok());
    let failure = Target::resolve(options(None, Some("a"), None), Ok(contexts.clone())).unwrap_err().to_string();
    assert!(failure.contains("a.toml is not a context") && failure.contains("sprintctl login"), "{failure}");
    assert!(contexts.is_exposed(&name("here")).unwrap() && !contexts.is_exposed(&name("b")).unwrap());
}
