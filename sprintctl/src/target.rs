//! The coordinator of a command, and the credentials for it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use sprint_core::ids::ContextName;
use sprint_core::token::TokenText;
use sprint_identity::connect::Credential;
use sprint_identity::context::{Context, ContextError, Contexts};
use sprint_identity::trust::Trust;

use crate::contexts;
use crate::failure::Failure;
use crate::render::commas;
use crate::secret::VARIABLE;

/// The values of the command line and the environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct TargetOptions {
    pub(crate) coordinator: Option<String>,
    pub(crate) context: Option<ContextName>,
    pub(crate) token: Option<TokenText>,
}

/// A coordinator, and the credentials for it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// `HOST:PORT`.
    pub(crate) address: String,
    pub(crate) trust: Trust,
    pub(crate) credential: Credential,
    /// The context that this comes from; none where a token alone says it all.
    pub(crate) context: Option<ContextName>,
}

impl Target {
    /// Settles what is wanted: a context that is named, else the token, else the context of the
    /// address that is named, else the current one.
    ///
    /// # Errors
    /// A usage failure when the options contradict each other; else what is missing, and how to get it.
    pub(crate) fn resolve(options: TargetOptions, contexts: Result<Contexts, ContextError>) -> Result<Self, Failure> {
        let TargetOptions { coordinator, context, token } = options;
        match (coordinator, context, token) {
            (address, Some(name), _) => {
                let context = contexts::read(&contexts?, &name)?;
                match address {
                    Some(address) if !is_same(&address, &context.coordinator) => Err(Failure::usage(format!(
                        "--coordinator names {address}, and the context \"{name}\" is for {}",
                        context.coordinator
                    ))
                    .with_next("leave one of the two out (SPRINT_COORDINATOR and SPRINT_CONTEXT count like them)")),
                    address => Self::of_context(address, name, context),
                }
            }
            (Some(address), None, Some(token)) => Ok(Self::of_token(address, token)),
            (Some(address), None, None) => {
                let (name, context) = matching(&contexts?, &address)?;
                Self::of_context(Some(address), name, context)
            }
            (None, None, Some(token)) => match current(&contexts?)? {
                Some((_, context)) => Ok(Self::of_token(context.coordinator, token)),
                None => Err(Failure::usage(format!("{VARIABLE} holds a token, and no coordinator is named"))
                    .with_next("name it with --coordinator HOST:PORT (or SPRINT_COORDINATOR)")),
            },
            (None, None, None) => {
                let contexts = contexts?;
                let (name, context) = current(&contexts)?.ok_or_else(|| none_current(&contexts))?;
                Self::of_context(None, name, context)
            }
        }
    }

    /// The coordinator on this host that has this data directory, by the context that it wrote; none if it wrote none.
    ///
    /// # Errors
    /// The contexts cannot be read.
    pub(crate) fn of_data_dir(contexts: &Contexts, data: &Path) -> Result<Option<Self>, Failure> {
        // It writes the directory as it really is.
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        for name in contexts.names()? {
            if let Ok(context) = contexts.get(&name)
                && context.data_dir.as_deref().is_some_and(|dir| real(dir) == real(data))
            {
                return Self::of_context(None, name, context).map(Some);
            }
        }
        Ok(None)
    }

    fn of_token(address: String, token: TokenText) -> Self {
        let trust = Trust::Fingerprint(token.authority.clone());
        Self { address, trust, credential: Credential::Token(token), context: None }
    }

    fn of_context(address: Option<String>, name: ContextName, context: Context) -> Result<Self, Failure> {
        let credential = context.credential().map_err(|error| {
            let address = &context.coordinator;
            Failure::new("client.invalid_token", format!("the token in the context \"{name}\" cannot be used: {error}"))
                .with_next(format!("log in again with: sprintctl login --coordinator {address}"))
        })?;
        let trust = context.trusted();
        Ok(Self { address: address.unwrap_or(context.coordinator), trust, credential, context: Some(name) })
    }
}

/// The current context, if there is one.
fn current(contexts: &Contexts) -> Result<Option<(ContextName, Context)>, Failure> {
    let Some(name) = contexts.current()? else { return Ok(None) };
    let context = contexts::read(contexts, &name)?;
    Ok(Some((name, context)))
}

fn none_current(contexts: &Contexts) -> Failure {
    let names = contexts.names().unwrap_or_default();
    if names.is_empty() {
        Failure::new("client.no_coordinator", "no coordinator is known on this host").with_next(
            "start one with: coordinator serve (it writes a context for you), or log in to one with: sprintctl login --coordinator HOST:PORT",
        )
    } else {
        Failure::new("client.no_coordinator", "no coordinator is selected: no context is the current one")
            .with_next(format!("select one with: sprintctl context use NAME (known: {})", commas(names)))
    }
}

/// A context for an address: the current one if it is for it.
fn matching(contexts: &Contexts, address: &str) -> Result<(ContextName, Context), Failure> {
    let found = of_address(contexts, address)?.into_iter().next();
    found.ok_or_else(|| {
        Failure::new("client.no_context", format!("there is no context for {address}: its certificate authority and your credentials are unknown on this host")).with_next(format!("log in with: sprintctl login --coordinator {address} --token TOKEN"))
    })
}

/// All contexts for an address, the current one first; those that cannot be read are passed over with a word.
pub(crate) fn of_address(contexts: &Contexts, address: &str) -> Result<Vec<(ContextName, Context)>, Failure> {
    let current = contexts.current()?;
    let mut found = contexts::readable(contexts)?;
    found.retain(|(_, context)| is_same(address, &context.coordinator));
    found.sort_by_key(|(name, _)| Some(name) != current.as_ref());
    Ok(found)
}

/// Whether two addresses name the same coordinator, as far as the addresses show.
pub(crate) fn is_same(left: &str, right: &str) -> bool {
    plain(left) == plain(right)
}

/// An address in lower case, and each name of this host as one.
fn plain(address: &str) -> (String, &str) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let host = host.to_lowercase();
    let host = if is_loopback(&host) { Ipv4Addr::LOCALHOST.to_string() } else { host };
    (host, port)
}

/// Whether a host's name or address is this host's own.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
