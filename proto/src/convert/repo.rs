use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::time::Duration;

use sprint_core::address::RepoAddress;
use sprint_core::ids::{CommitId, RepoName};
use sprint_core::job::Role;
use sprint_core::repo::{Filing, Repo, UpstreamPush, UpstreamRewrite, UpstreamTrouble};
use sprint_core::runtime::{Channel, HostLogin, Login, LoginFile, Runtime, RuntimeFile};
use sprint_core::time::Timestamp;

use super::{Malformed, each, millis};
use crate::v1;

impl From<Repo> for v1::Repo {
    fn from(repo: Repo) -> Self {
        let Repo {
            name,
            url,
            branch,
            run,
            runtimes,
            gates,
            max_attempts,
            limits,
            halted,
            frozen,
            resume,
            nothing_to_do,
            filing,
            pushes,
            committing,
            max_duration,
            hung_after,
            pushing,
            upstream_trouble,
            upstream_rewrite,
            given_up,
            broken_config,
            created_at,
        } = repo;
        Self {
            name: name.into(),
            // What it lets its reader do stays here.
            url: url.map(|url| url.to_string()),
            branch,
            run: run.into_iter().map(|(role, run)| (role.to_string(), run)).collect(),
            runtimes: runtimes.into_iter().map(|(role, runtime)| (role.to_string(), runtime.into())).collect(),
            gates: gates.into_iter().map(Into::into).collect(),
            max_attempts,
            limits: limits.into_iter().map(|(role, limit)| (role.to_string(), limit)).collect(),
            halted,
            frozen,
            resume: resume.to_string(),
            nothing_to_do: nothing_to_do.to_string(),
            filing: filing.to_string(),
            pushes: pushes.to_string(),
            committing: Some(committing.into()),
            max_duration_ms: millis(max_duration),
            hung_after_ms: hung_after.map(millis),
            pushing: pushing
                .map(|UpstreamPush { from, to }| v1::UpstreamPush { from: from.map(Into::into), to: to.into() }),
            upstream_trouble: upstream_trouble
                .map(|UpstreamTrouble { why, since }| v1::UpstreamTrouble { why, since_ms: since.as_millis() }),
            upstream_rewrite: upstream_rewrite
                .map(|UpstreamRewrite { was, now }| v1::UpstreamRewrite { was: was.into(), now: now.into() }),
            given_up: given_up.into_iter().map(Into::into).collect(),
            broken_config: broken_config.map(Into::into),
            created_at_ms: created_at.as_millis(),
        }
    }
}

impl TryFrom<v1::Repo> for Repo {
    type Error = Malformed;

    fn try_from(repo: v1::Repo) -> Result<Self, Malformed> {
        let v1::Repo {
            name,
            url,
            branch,
            run,
            runtimes,
            gates,
            max_attempts,
            limits,
            halted,
            frozen,
            resume,
            nothing_to_do,
            filing,
            pushes,
            committing,
            max_duration_ms,
            hung_after_ms,
            pushing,
            upstream_trouble,
            upstream_rewrite,
            given_up,
            broken_config,
            created_at_ms,
        } = repo;
        Ok(Self {
            name: RepoName::new(name)?,
            url: url.map(RepoAddress::as_kept),
            branch,
            run: by_role(run)?,
            runtimes: by_role(runtimes)?
                .into_iter()
                .map(|(role, runtime)| Ok((role, runtime.try_into()?)))
                .collect::<Result<_, Malformed>>()?,
            gates: each(gates)?,
            max_attempts,
            limits: by_role(limits)?,
            halted,
            frozen,
            resume: resume.parse()?,
            nothing_to_do: nothing_to_do.parse()?,
            // A coordinator of an earlier release says nothing of it.
            filing: if filing.is_empty() { Filing::Inbox } else { filing.parse()? },
            pushes: pushes.parse()?,
            committing: committing.map(TryInto::try_into).transpose()?.unwrap_or_default(),
            max_duration: Duration::from_millis(max_duration_ms),
            hung_after: hung_after_ms.map(Duration::from_millis),
            pushing: pushing
                .map(|v1::UpstreamPush { from, to }| {
                    Ok::<_, Malformed>(UpstreamPush {
                        from: from.map(CommitId::new).transpose()?,
                        to: CommitId::new(to)?,
                    })
                })
                .transpose()?,
            upstream_trouble: upstream_trouble.map(|v1::UpstreamTrouble { why, since_ms }| UpstreamTrouble {
                why,
                since: Timestamp::from_millis(since_ms),
            }),
            upstream_rewrite: upstream_rewrite
                .map(|v1::UpstreamRewrite { was, now }| {
                    Ok::<_, Malformed>(UpstreamRewrite { was: CommitId::new(was)?, now: CommitId::new(now)? })
                })
                .transpose()?,
            given_up: given_up.into_iter().map(CommitId::new).collect::<Result<_, _>>()?,
            broken_config: broken_config.map(CommitId::new).transpose()?,
            created_at: Timestamp::from_millis(created_at_ms),
        })
    }
}

/// Reads a map whose keys are roles.
///
/// # Errors
/// [`Malformed::Word`] when a key is no role.
pub(super) fn by_role<T, S: BuildHasher>(map: HashMap<String, T, S>) -> Result<BTreeMap<Role, T>, Malformed> {
    map.into_iter().map(|(role, value)| Ok((role.parse()?, value))).collect()
}

impl From<Runtime> for v1::Runtime {
    fn from(runtime: Runtime) -> Self {
        let Runtime {
            name,
            command,
            env,
            prompt,
            success_codes,
            channel,
            model,
            arguments,
            unattended,
            login,
            host: HostLogin { files: of_login, env: variables },
            files,
            about,
            version,
            verified,
        } = runtime;
        let of_login =
            of_login.into_iter().map(|LoginFile { from, to, settings }| v1::LoginFile { from, to, settings }).collect();
        Self {
            name,
            command,
            env: env.into_iter().collect(),
            prompt: prompt.to_string(),
            success_codes,
            channel: channel.to_string(),
            model,
            arguments,
            unattended,
            login: login.to_string(),
            host: Some(v1::HostLogin { files: of_login, env: variables }),
            files: files.into_iter().map(|RuntimeFile { to, text }| v1::RuntimeFile { to, text }).collect(),
            about,
            version,
            verified,
        }
    }
}

impl TryFrom<v1::Runtime> for Runtime {
    type Error = Malformed;

    fn try_from(runtime: v1::Runtime) -> Result<Self, Malformed> {
        let v1::Runtime {
            name,
            command,
            env,
            prompt,
            success_codes,
            channel,
            model,
            arguments,
            unattended,
            login,
            host,
            about,
            version,
            verified,
            files,
        } = runtime;
        let v1::HostLogin { files: of_login, env: variables } = host.unwrap_or_default();
        let of_login =
            of_login.into_iter().map(|v1::LoginFile { from, to, settings }| LoginFile { from, to, settings }).collect();
        // A program of an earlier release says neither.
        let channel = if channel.is_empty() { Channel::None } else { channel.parse()? };
        let login = if login.is_empty() { Login::Host } else { login.parse()? };
        Ok(Self {
            name,
            command,
            env: env.into_iter().collect(),
            prompt: prompt.parse()?,
            success_codes,
            channel,
            model,
            arguments,
            unattended,
            login,
            host: HostLogin { files: of_login, env: variables },
            files: files.into_iter().map(|v1::RuntimeFile { to, text }| RuntimeFile { to, text }).collect(),
            about,
            version,
            verified,
        })
    }
}
