//! What must hold after every step, and at the end.

use coordinator::service::Coordinator;
use coordinator::service::operate::check;
use sprint_core::change::ChangeState;
use sprint_core::fixtures;
use sprint_core::ids::CommitId;
use sprint_core::item::{Item, Stage};
use sprint_core::request::{ChangeFilter, WorkerFilter};

use crate::outpost::Outpost;
use crate::site::Site;

/// After every step that changed the record.
pub(crate) async fn hold(
    sprint: &Coordinator,
    outposts: &[Outpost],
    main: &mut Option<CommitId>,
) -> Result<(), String> {
    let checked = check::check(sprint).await.map_err(|error| error.to_string())?;
    if !checked.violations.is_empty() {
        return Err(checked.violations.join("\n"));
    }
    let git = sprint.git.get(&fixtures::repo_name()).map_err(|error| error.to_string())?;
    let tip = git.tip("main").map_err(|error| error.to_string())?;
    if let Some(before) = main.replace(tip.clone())
        && !git.reaches(&tip, &before).map_err(|error| error.to_string())?
    {
        return Err(format!("main went from {} to {}, which does not hold it", before.short(), tip.short()));
    }
    for work in outposts.iter().flat_map(|outpost| outpost.works.values()) {
        let id = work.assignment.worker;
        let known = sprint.store.get(&id).await.map_err(|error| error.to_string())?;
        let seq = known.map_or(0, |worker| worker.report_seq);
        if seq < work.applied {
            return Err(format!(
                "report {} of worker {id} was acknowledged, and the record has {seq} of them",
                work.applied
            ));
        }
    }
    Ok(())
}

/// What an outpost removes must be at the coordinator.
pub(crate) fn is_safe(sprint: &Coordinator, pushed: Option<&(String, CommitId)>) -> Result<(), String> {
    let Some((name, commit)) = pushed else { return Ok(()) };
    let git = sprint.git.get(&fixtures::repo_name()).map_err(|error| error.to_string())?;
    match git.resolve(name).map_err(|error| error.to_string())? {
        Some(kept) if git.reaches(&kept, commit).map_err(|error| error.to_string())? => Ok(()),
        Some(_) | None => Err(format!("{name} does not hold {}, and its outpost has removed it", commit.short())),
    }
}

/// When everything has come to rest.
pub(crate) async fn came_to_rest(sprint: &Coordinator, site: &Site, items: &[Item]) -> Result<(), String> {
    let text = |error: coordinator::store::StoreError| error.to_string();
    let mut landed = Vec::new();
    for item in items {
        let item = sprint.store.get(&item.id).await.map_err(text)?.ok_or("an item is gone")?;
        match &item.stage {
            Stage::Done { commit: Some(_) } => landed.push(item.clone()),
            Stage::Blocked { .. } | Stage::Cancelled { .. } => {}
            Stage::Inbox
            | Stage::Planning
            | Stage::Ready
            | Stage::InProgress { .. }
            | Stage::InReview
            | Stage::InTests
            | Stage::Merging { .. }
            | Stage::InDocs
            | Stage::Done { commit: None } => return Err(format!("item {} is {}", item.id, item.stage.name())),
        }
    }
    let live = sprint.store.workers(&WorkerFilter { live: true, ..WorkerFilter::default() }).await.map_err(text)?;
    if let Some(worker) = live.first() {
        return Err(format!("worker {} is {}", worker.id, worker.state.name()));
    }
    let changes = sprint.store.changes(&ChangeFilter::default()).await.map_err(text)?;
    for item in &landed {
        let of_item = changes.iter().filter(|change| change.item == item.id);
        let landed = of_item.filter(|change| matches!(change.state, ChangeState::Landed { .. })).collect::<Vec<_>>();
        if landed.len() != 1 || landed[0].attempt != item.attempt {
            return Err(format!("item {} is at attempt {}, and landed: {landed:?}", item.id, item.attempt));
        }
    }
    let mut wanted = landed.iter().map(|item| format!("item-{}", item.id)).collect::<Vec<_>>();
    wanted.push("README".to_owned());
    wanted.sort();
    let found = site.files("main");
    if found != wanted {
        return Err(format!("main holds {found:?}, and landed were {wanted:?}"));
    }
    Ok(())
}
