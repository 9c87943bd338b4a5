//! Repos, as people and scripts see them.

use serde::Serialize;
use sprint_core::act::Act;
use sprint_core::committing::Committing;
use sprint_core::gates::Gate;
use sprint_core::ids::CommitId;
use sprint_core::job::Role;
use sprint_core::repo::Repo;

use crate::render::act::advice;
use crate::render::gate::gates;
use crate::render::reason::Reason;
use crate::render::{Cell, Column, Layout, commas, fields, lines, section, short_duration, table};

/// A repo with what its target branch says now, as scripts see it.
#[derive(Debug, Serialize)]
pub(crate) struct RepoDetails {
    #[serde(flatten)]
    pub(crate) repo: Repo,
    pub(crate) tip: Option<CommitId>,
    /// The configured gates, from `sprint.toml` or from the repo's settings.
    pub(crate) gates_in_force: Vec<Gate>,
    /// The notices as texts, with what to do.
    pub(crate) warnings: Vec<String>,
    pub(crate) notices: Vec<Reason>,
}

pub(crate) fn list(repos: &[Repo], layout: &Layout) -> String {
    let columns = [
        Column::word("NAME"),
        Column::word("BRANCH"),
        Column::word("QUEUE"),
        Column::number("GATES"),
        Column::text("RUN"),
        Column::text("UPSTREAM"),
    ];
    let rows = repos.iter().map(|repo| {
        vec![
            Cell::new(&repo.name),
            Cell::new(&repo.branch),
            Cell::state(match (&repo.halted, &repo.frozen, &repo.upstream_trouble) {
                (Some(_), _, _) => "halted",
                (None, Some(_), _) => "frozen",
                (None, None, Some(_)) => "undelivered",
                (None, None, None) => "moving",
            }),
            if repo.gates.is_empty() { Cell::new("") } else { Cell::new(repo.gates.len()) },
            Cell::gist(repo.run.get(&Role::Developer).map_or("", String::as_str)),
            Cell::maybe(repo.url.as_ref()),
        ]
    });
    table(layout, &columns, rows.collect())
}

pub(crate) fn details(view: &RepoDetails, _: &Layout) -> String {
    let RepoDetails { repo, tip, gates_in_force, warnings: _, notices: _ } = view;
    let mut text = fields(&[
        ("name", repo.name.to_string()),
        ("upstream", repo.url.as_ref().map(ToString::to_string).unwrap_or_default()),
        (
            "undelivered",
            repo.upstream_trouble
                .as_ref()
                .map_or_else(String::new, |trouble| format!("since {}: {}", trouble.since, trouble.why)),
        ),
        ("branch", repo.branch.clone()),
        ("tip", tip.as_ref().map(ToString::to_string).unwrap_or_default()),
        (
            "queue",
            repo.halted.as_ref().map_or_else(|| "moving".to_owned(), |why| format!("halted: {why}; {}", way_on(repo))),
        ),
        ("attempts", format!("at most {}, each from: {}", repo.max_attempts, repo.resume)),
        ("nothing to do", repo.nothing_to_do.to_string()),
        ("filed items", repo.filing.to_string()),
        ("commits", committing(&repo.committing)),
        (
            "a worker may",
            format!(
                "take {}, and be silent for {}",
                short_duration(repo.max_duration),
                repo.hung_after.map_or_else(|| "any time".to_owned(), short_duration)
            ),
        ),
        ("run", lines(repo.run.iter().map(|(role, run)| format!("{role}: {run}")))),
        ("runtimes", commas(repo.runtimes.iter().map(|(role, runtime)| format!("{role}: {}", runtime.name)))),
        ("limits", commas(repo.limits.iter().map(|(role, limit)| format!("{role}: {limit}")))),
        ("added", repo.created_at.to_string()),
    ]);
    text += &section("configured gates", &gates(gates_in_force));
    text
}

/// How a halted queue goes on.
fn way_on(repo: &Repo) -> String {
    if repo.broken_config.is_some() {
        "it goes on by itself once that is repaired".to_owned()
    } else if repo.upstream_rewrite.is_some() {
        advice(&Act::ChooseUpstream(repo.name.clone()))
    } else {
        advice(&Act::UnpauseRepo(repo.name.clone()))
    }
}

/// How landings are committed, where that is not by Sprint alone.
fn committing(committing: &Committing) -> String {
    let Committing { author, committer, sign_off, sign } = committing;
    let parts = [
        author.as_ref().map(|author| format!("author {author}")),
        committer.as_ref().map(|committer| format!("committer {committer}")),
        sign_off.then(|| "signed off".to_owned()),
        sign.as_ref().map(|key| format!("signed with {key}")),
    ];
    commas(parts.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use sprint_core::fixtures;
    use sprint_core::gates::{ReportFile, ReportKind};
    use sprint_core::time::Timestamp;

    use sprint_core::address::RepoAddress;
    use sprint_core::ids::RepoName;
    use sprint_core::runtime::Runtime;

    use super::*;

    #[test]
    fn a_repo_shows_its_settings_and_its_configured_gates() {
        let view = RepoDetails {
            repo: Repo {
                name: RepoName::new("web").unwrap(),
                url: Some(RepoAddress::as_kept("https://***@example.org/web.git".to_owned())),
                branch: "main".to_owned(),
                run: [(Role::Developer, "./agent".to_owned()), (Role::Resolver, "./merge".to_owned())].into(),
                runtimes: [(Role::Developer, Runtime::shell())].into(),
                gates: vec![],
                max_attempts: 3,
                limits: [(Role::Developer, 4)].into(),
                halted: Some("the upstream refused the push".to_owned()),
                created_at: Timestamp::from_millis(1_763_700_000_000),
                ..fixtures::repo()
            },
            tip: Some(CommitId::new("1".repeat(40)).unwrap()),
            gates_in_force: vec![
                Gate { timeout: std::time::Duration::from_mins(1), ..Gate::new("lint", "./lint.sh") },
                Gate {
                    retries: 1,
                    stage: 2,
                    needs: vec!["gpu".parse().unwrap(), "arch=arm64".parse().unwrap()],
                    report: vec![ReportFile { kind: ReportKind::Lcov, path: "out/lcov.info".to_owned() }],
                    require: vec!["coverage >= 80".parse().unwrap(), "branch_coverage >= 62.5".parse().unwrap()],
                    ..Gate::new("test", "./test.sh")
                },
            ],
            warnings: vec![],
            notices: vec![],
        };
        let layout = Layout { width: Some(100), colour: false, now: Timestamp::from_millis(1_763_700_000_000) };
        insta::assert_snapshot!(details(&view, &layout) + "\n" + &list(&[view.repo], &layout));
    }
}
