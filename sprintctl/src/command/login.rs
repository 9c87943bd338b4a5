//! `sprintctl login`, `logout` and `whoami`.

use clap::Args;
use sprint_core::ids::ContextName;
use sprint_core::token::TokenText;
use sprint_identity::connect::{Credential, fetch_authority};
use sprint_identity::context::{Context, Contexts};
use sprint_identity::trust::Trust;
use sprint_proto::v1;

use crate::app::App;
use crate::client::Client;
use crate::command::context;
use crate::failure::Failure;
use crate::output::Output;
use crate::render::caller::Caller;
use crate::secret::{self, Hidden};
use crate::target::{Target, is_loopback, is_same, of_address};

#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The token that "token create" printed; - or no flag: read it from standard input, without echo
    #[arg(long, value_name = "TOKEN")]
    token: Option<Hidden>,
    /// The context's name [default: --context, else after the coordinator's host]
    #[arg(long, value_name = "CONTEXT")]
    name: Option<ContextName>,
}

#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The context's name [default: --context, else the current one]
    name: Option<ContextName>,
}

/// Logs in to a coordinator with a token, and keeps a context if that works.
pub(crate) async fn login(
    args: LoginArgs,
    coordinator: Option<String>,
    context: Option<ContextName>,
    output: &Output,
) -> Result<(), Failure> {
    let LoginArgs { token, name } = args;
    let address = coordinator
        .ok_or_else(|| Failure::usage("no coordinator is named").with_next("name it with --coordinator HOST:PORT"))?;
    let contexts = Contexts::of_environment()?;
    let name = choose_name(&contexts, name.or(context), &address)?;
    let token = match token {
        Some(Hidden(text)) if text != "-" => secret::parse("--token", &text)?,
        Some(_) | None => secret::parse("standard input", &secret::read_line("token").await?)?,
    };
    let (trust, answer) = get_in(&address, &token).await?;
    let kept = Context {
        coordinator: address.clone(),
        trust,
        token: Some(token.reveal()),
        certificate: None,
        key: None,
        data_dir: None,
    };
    contexts.save(&name, &kept)?;
    contexts.make_current(&name)?;
    let view = Caller::new(answer, address, Some(name));
    output.one(&view, |view, _| {
        let name = view.context.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("logged in to {} as {}; the context \"{name}\" is the current one", view.coordinator, view.identity)
    })
}

/// Proves that the coordinator is the token's before it shows the token; returns whom to trust (PEM).
async fn get_in(address: &str, token: &TokenText) -> Result<(String, v1::WhoAmIResponse), Failure> {
    let authority = fetch_authority(address, &token.authority).await?;
    let target = Target {
        address: address.to_owned(),
        // What is kept is what was tried.
        trust: Trust::Authorities(authority.clone()),
        credential: Credential::Token(token.clone()),
        context: None,
    };
    let answer = Client::connect(&target).await?.identity().who_am_i(v1::WhoAmIRequest {}).await;
    match answer.map_err(Failure::from) {
        Ok(answer) => Ok((authority, answer.into_inner())),
        // Logging in again is what is being tried.
        Err(failure) if failure.is_unauthenticated() => Err(failure.without_next()),
        Err(failure) => Err(failure),
    }
}

/// The name of the context to keep. One for another coordinator is never replaced, nor one that the
/// coordinator on this host wrote: its key would be lost.
fn choose_name(contexts: &Contexts, given: Option<ContextName>, address: &str) -> Result<ContextName, Failure> {
    let Some(name) = given else {
        let known = of_address(contexts, address)?;
        let replaced = known.into_iter().find(|(_, context)| context.data_dir.is_none());
        return match replaced {
            Some((name, _)) => Ok(name),
            None => Ok(free_name(&contexts.names()?, address)),
        };
    };
    if !contexts.names()?.contains(&name) {
        return Ok(name);
    }
    let refuse = |why: String| {
        let next = format!("choose another with --name, or remove it first: sprintctl context remove {name}");
        Err(Failure::new("client.context_taken", why).with_next(next))
    };
    // A damaged one may be replaced: it is of no use.
    match contexts.get(&name) {
        Ok(context) if !is_same(&context.coordinator, address) => {
            refuse(format!("the context \"{name}\" is for another coordinator, {}", context.coordinator))
        }
        Ok(context) if context.data_dir.is_some() => refuse(format!(
            "the coordinator on this host wrote the context \"{name}\", and its key exists nowhere else"
        )),
        Ok(_) | Err(_) => Ok(name),
    }
}

/// A name after the host of an address that is not taken.
fn free_name(taken: &[ContextName], address: &str) -> ContextName {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).to_lowercase();
    let host = if is_loopback(&host) { "localhost".to_owned() } else { host };
    let plain = |char: char| if char.is_ascii_alphanumeric() || "._".contains(char) { char } else { '-' };
    let mut base = host.trim_matches(|char: char| !char.is_ascii_alphanumeric()).chars().map(plain).collect::<String>();
    // Leaves room for a number.
    base.truncate(56);
    let named = |number: usize| {
        let text = if number == 1 { base.clone() } else { format!("{base}-{number}") };
        ContextName::new(text).unwrap_or_else(|_| ContextName::new(format!("coordinator-{number}")).expect("is a name"))
    };
    // One more name than are taken: at least one is free.
    (1..=taken.len() + 1).map(named).find(|name| !taken.contains(name)).expect("one more than are taken")
}

/// Forgets a context.
pub(crate) fn logout(args: LogoutArgs, context: Option<ContextName>) -> Result<(), Failure> {
    let contexts = Contexts::of_environment()?;
    let named = match args.name.or(context) {
        Some(name) => Some(name),
        None => contexts.current()?,
    };
    context::remove(&contexts, &named.ok_or_else(|| context::unnamed("sprintctl logout NAME"))?)
}

/// Shows the identity and role of the caller.
pub(crate) async fn whoami(app: &App) -> Result<(), Failure> {
    let answer = app.client.identity().who_am_i(v1::WhoAmIRequest {}).await?.into_inner();
    let view = Caller::new(answer, app.target.address.clone(), app.target.context.clone());
    app.output.one(&view, |view, _| view.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ContextName {
        ContextName::new(text).unwrap()
    }

    fn context(coordinator: &str) -> Context {
        Context {
            coordinator: coordinator.to_owned(),
            trust: String::new(),
            token: None,
            certificate: None,
            key: None,
            data_dir: None,
        }
    }

    #[test]
    fn a_context_is_named_after_the_host_and_differs_from_the_others() {
        let free = |taken: &[&str], address: &str| {
            free_name(&taken.iter().map(|text| name(text)).collect::<Vec<_>>(), address).to_string()
        };
        assert_eq!(free(&[], "Build.Example.org:50051"), "build.example.org");
        assert_eq!(free(&["build"], "build:50051"), "build-2");
        assert_eq!(free(&["build", "build-2"], "build:50051"), "build-3");
        assert_eq!(free(&[], "[::1]:1"), "localhost");
        assert_eq!(free(&[], "[fe80::1%eth0]:1"), "fe80--1-eth0");
        assert_eq!(free(&[], "a..b:1"), "coordinator-1");
        assert_eq!(free(&[], "a.git:1"), "coordinator-1");
        assert_eq!(free(&[], "ö:1"), "coordinator-1");
        assert_eq!(free(&[], &format!("{}:1", "x".repeat(99))), "x".repeat(56));
    }

    #[test]
    fn logging_in_again_replaces_the_context_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let contexts = Contexts::at(dir.path().to_owned());
        contexts.save(&name("work"), &context("build:50051")).unwrap();
        contexts.save(&name("home"), &context("build:50052")).unwrap();
        let local = Context { data_dir: Some("/var/lib/sprint".into()), ..context("127.0.0.1:50051") };
        contexts.save(&name("local"), &local).unwrap();
        let chosen = |given: Option<&str>, address| choose_name(&contexts, given.map(name), address);
        assert_eq!(chosen(None, "build:50051").unwrap(), name("work"));
        assert_eq!(chosen(None, "build:50053").unwrap(), name("build"));
        assert_eq!(chosen(None, "localhost:50051").unwrap(), name("localhost"), "the key in \"local\" is kept");
        assert_eq!(chosen(Some("work"), "build:50051").unwrap(), name("work"));
        assert_eq!(chosen(Some("new"), "build:50051").unwrap(), name("new"));
        let other = chosen(Some("home"), "build:50051").unwrap_err();
        let local = chosen(Some("local"), "127.0.0.1:50051").unwrap_err();
        insta::assert_snapshot!(format!("{other}\n{local}"));
    }
}
