//! `sprintctl usage`: what agents took, by their own word.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use clap::{Args, ValueEnum};
use sprint_core::agent::{AgentSaid, Usage};
use sprint_core::ids::RepoName;
use sprint_core::time::Timestamp;
use sprint_core::worker::Worker;
use sprint_proto::v1;

use crate::app::App;
use crate::failure::Failure;
use crate::output::note;
use crate::render::usage::{UsageRow, table};

#[derive(Debug, Args)]
pub(crate) struct UsageArgs {
    /// What is added up
    #[arg(long, value_enum, default_value_t = By::Repo, hide_possible_values = true, value_name = "item|role|repo|model|day")]
    by: By,
    /// Only workers that have ended in the last 24h, 7d or the like
    #[arg(long, value_name = "DURATION")]
    since: Option<humantime::Duration>,
    /// Only of this repo
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Item,
    Role,
    Repo,
    Model,
    Day,
}

pub(crate) async fn usage(args: UsageArgs, app: &App) -> Result<(), Failure> {
    let UsageArgs { by, since, repo } = args;
    let request = v1::ListWorkersRequest::default();
    let workers = app.client.all_workers(request).await?.into_iter().map(Worker::try_from);
    let workers = workers.collect::<Result<Vec<_>, _>>()?;
    let now = Timestamp::from(SystemTime::now());
    let counts = |worker: &Worker| {
        let is_in_time = |most: Duration| worker.ended_at.is_some_and(|ended| now.since(ended) <= most);
        let is_in_time = since.is_none_or(|since| is_in_time(*since));
        is_in_time && repo.as_ref().is_none_or(|repo| worker.repo == *repo)
    };
    let rows = add_up(workers.iter().filter(|worker| counts(worker)), by);
    app.output.list(&rows, "usage that an agent has told", table)?;
    if rows.iter().any(|row| row.without_cost > 0) {
        note("some agents name no cost, and the table of prices has none for their models");
    }
    Ok(())
}

fn add_up<'a>(workers: impl Iterator<Item = &'a Worker>, by: By) -> Vec<UsageRow> {
    let mut rows: BTreeMap<String, UsageRow> = BTreeMap::new();
    for worker in workers {
        let Some(said) = &worker.agent else { continue };
        for (of, usage) in under(worker, said, by) {
            let row = rows.entry(of.clone()).or_insert_with(|| UsageRow { of, ..UsageRow::default() });
            row.workers += 1;
            row.usage += usage;
            row.without_cost += u64::from(usage.cost_micros.is_none());
        }
    }
    let mut rows: Vec<_> = rows.into_values().collect();
    rows.sort_by_key(|row| (row.of.parse::<u64>().unwrap_or_default(), row.of.clone()));
    rows
}

/// Under which headings the usage of a worker comes.
fn under(worker: &Worker, said: &AgentSaid, by: By) -> Vec<(String, Usage)> {
    let of = match by {
        By::Model => return said.usage.iter().map(|(model, usage)| (model.clone(), *usage)).collect(),
        By::Item => worker.job.item().map_or_else(String::new, |item| item.to_string()),
        By::Role => worker.job.role().to_string(),
        By::Repo => worker.repo.to_string(),
        By::Day => worker.ended_at.unwrap_or(worker.assigned_at).to_string().chars().take(10).collect(),
    };
    vec![(of, said.total())]
}

#[cfg(test)]
mod tests {
    use sprint_core::agent::Tokens;
    use sprint_core::ids::{Attempt, CommitId, ItemId, OutpostName, WorkerId};
    use sprint_core::job::{AttemptJob, Job, Role};
    use sprint_core::worker::WorkerState;

    use super::*;

    fn worker(id: u64, item: u64, models: &[(&str, u64, Option<u64>)]) -> Worker {
        let usage = |input, cost_micros| Usage {
            tokens: Tokens { input, ..Tokens::default() },
            cost_micros,
            ..Usage::default()
        };
        let models = models.iter().map(|(model, input, cost)| ((*model).to_owned(), usage(*input, *cost))).collect();
        let at = Timestamp::from_millis(1_763_700_000_000);
        Worker {
            id: WorkerId::new(id),
            repo: RepoName::new("web").unwrap(),
            job: Job::Attempt(AttemptJob { item: ItemId::new(item), attempt: Attempt::new(1), role: Role::Developer }),
            outpost: OutpostName::new("here").unwrap(),
            state: WorkerState::Done { exit_code: Some(0) },
            base: CommitId::new("a".repeat(40)).unwrap(),
            resumed: None,
            stop_reason: None,
            terminal: None,
            assigned_at: at,
            started_at: Some(at),
            ended_at: Some(at),
            report_seq: 1,
            log_bytes: None,
            agent: Some(Box::new(AgentSaid { usage: models, ..AgentSaid::default() })),
            progress: None,
            notes: sprint_core::note::NoteCount::default(),
        }
    }

    #[test]
    fn usage_adds_up_under_each_heading() {
        let silent = Worker { agent: None, ..worker(4, 3, &[]) };
        let workers = [
            worker(1, 2, &[("large", 10, Some(1_000))]),
            worker(2, 10, &[("large", 1, None), ("small", 5, Some(1))]),
            worker(3, 2, &[("small", 7, Some(2))]),
            silent,
        ];
        let of = |by| {
            let rows = add_up(workers.iter(), by);
            rows.into_iter()
                .map(|row| (row.of, row.workers, row.usage.tokens.input, row.usage.cost_micros))
                .collect::<Vec<_>>()
        };
        let row = |of: &str, workers, input, cost| (of.to_owned(), workers, input, cost);
        assert_eq!(of(By::Item), [row("2", 2, 17, Some(1_002)), row("10", 1, 6, Some(1))]);
        assert_eq!(of(By::Model), [row("large", 2, 11, Some(1_000)), row("small", 2, 12, Some(3))]);
        assert_eq!(of(By::Role), [row("developer", 3, 23, Some(1_003))]);
        assert_eq!(of(By::Repo), [row("web", 3, 23, Some(1_003))]);
        assert_eq!(of(By::Day), [row("2025-11-21", 3, 23, Some(1_003))]);
    }
}
