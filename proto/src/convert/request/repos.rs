use std::collections::BTreeMap;
use std::time::Duration;

use sprint_core::address::RepoAddress;
use sprint_core::gates::Gate;
use sprint_core::job::Role;
use sprint_core::refusal::{Code, Refusal};
use sprint_core::request::{NewRepo, RepoPatch, WorkerSettings};
use sprint_core::runtime::Runtime;

use super::super::repo::by_role;
use super::super::{Malformed, each};
use super::{above_zero, duration, field, not_empty, parsed, parsed_if_present};
use crate::v1;

impl TryFrom<v1::AddRepoRequest> for NewRepo {
    type Error = Refusal;

    fn try_from(request: v1::AddRepoRequest) -> Result<Self, Refusal> {
        let v1::AddRepoRequest {
            name,
            url,
            branch,
            run,
            max_attempts,
            limits,
            gates,
            resume,
            max_duration_ms,
            hung_after_ms,
            nothing_to_do,
            filing,
            committing,
            probe,
            runtimes,
        } = request;
        Ok(Self {
            probe,
            runtimes: field("runtimes", by_role(runtimes).and_then(read_runtimes))?,
            name: parsed("name", &name)?,
            url: RepoAddress::new(url).map_err(|error| Refusal::new(Code::RequestInvalid, error).field("url"))?,
            branch: not_empty(branch),
            run: field("run", by_role(run))?,
            max_attempts: above_zero(max_attempts),
            limits: field("limits", by_role(limits))?,
            gates: field("gates", each::<_, Gate, _, _>(gates))?,
            workers: WorkerSettings {
                nothing_to_do: parsed_if_present("nothing_to_do", nothing_to_do.as_deref())?,
                filing: parsed_if_present("filing", filing.as_deref())?,
                ..worker_settings("resume", resume.as_deref(), max_duration_ms, hung_after_ms)?
            },
            committing: committing.map(TryInto::try_into).transpose()?.unwrap_or_default(),
        })
    }
}

impl TryFrom<v1::SetRepoRequest> for RepoPatch {
    type Error = Refusal;

    fn try_from(request: v1::SetRepoRequest) -> Result<Self, Refusal> {
        let v1::SetRepoRequest {
            name,
            run,
            runtimes,
            max_attempts,
            limits,
            gates,
            set_gates,
            resume,
            halt,
            resume_from,
            max_duration_ms,
            hung_after_ms,
            freeze,
            upstream,
            nothing_to_do,
            filing,
            committing,
            branch,
        } = request;
        let gates = set_gates.then(|| field("gates", each::<_, Gate, _, _>(gates)));
        Ok(Self {
            name: parsed("name", &name)?,
            run: field("run", by_role(run))?,
            runtimes: field("runtimes", by_role(runtimes).and_then(read_runtimes))?,
            max_attempts,
            limits: field("limits", by_role(limits))?,
            gates: gates.transpose()?,
            workers: WorkerSettings {
                nothing_to_do: parsed_if_present("nothing_to_do", nothing_to_do.as_deref())?,
                filing: parsed_if_present("filing", filing.as_deref())?,
                ..worker_settings("resume_from", resume_from.as_deref(), max_duration_ms, hung_after_ms)?
            },
            branch: branch.filter(|branch| !branch.is_empty()),
            committing: committing.map(TryInto::try_into).transpose()?.unwrap_or_default(),
            upstream: parsed_if_present("upstream", upstream.as_deref())?,
            halted: halt.map(Some).or_else(|| resume.then_some(None)),
            frozen: freeze.map(Some).or_else(|| resume.then_some(None)),
        })
    }
}

fn read_runtimes(runtimes: BTreeMap<Role, v1::Runtime>) -> Result<BTreeMap<Role, Runtime>, Malformed> {
    runtimes.into_iter().map(|(role, runtime)| Ok((role, runtime.try_into()?))).collect()
}

/// `resume_field` is what the request calls the word for where attempts start.
fn worker_settings(
    resume_field: &str,
    resume: Option<&str>,
    max_duration_ms: Option<u64>,
    hung_after_ms: Option<u64>,
) -> Result<WorkerSettings, Refusal> {
    Ok(WorkerSettings {
        resume: parsed_if_present(resume_field, resume)?,
        nothing_to_do: None,
        filing: None,
        max_duration: max_duration_ms.map(Duration::from_millis),
        hung_after: hung_after_ms.map(duration),
    })
}
