//! `sprintctl down`: the end of what `sprintctl up` has started.

use std::fs;
use std::process::{Command, Stdio};

use clap::Args;
use serde::Serialize;
use sprint_core::item::{Item, Stage};
use sprint_identity::context::Contexts;
use sprint_proto::v1;

use crate::client::Client;
use crate::failure::Failure;
use crate::local::place::{Place, Running};
use crate::output::{Output, note};
use crate::target::Target;

#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    /// Remove everything too: the record, the repositories of the coordinator, the logs; refused while work is
    /// nowhere else
    #[arg(long)]
    purge: bool,
}

/// What has ended.
#[derive(Debug, Serialize)]
struct Down {
    ended: Vec<&'static str>,
    purged: bool,
    /// Workers that go on.
    workers: usize,
}

pub(crate) async fn down(args: &DownArgs, output: &Output) -> Result<(), Failure> {
    let place = Place::of_environment()?;
    let Some(started) = place.started()? else {
        return Err(Failure::new("client.local", "there is nothing here that sprintctl up has started")
            .with_next("end what was started by hand by its own means"));
    };
    let client = reach(&place).await;
    let workers = match &client {
        Some(client) => live_workers(client).await?,
        None => vec![],
    };
    if args.purge {
        let Some(client) = &client else {
            let why = "the coordinator does not answer, so what would be lost is unknown";
            return Err(Failure::new("client.unsaved", why).with_next("start it with: sprintctl up"));
        };
        let unsaved = unsaved(client, &workers, &place).await?;
        if !unsaved.is_empty() {
            for line in &unsaved {
                note(line);
            }
            let why = format!("{} of these would be lost; nothing was ended", unsaved.len());
            return Err(Failure::new("client.unsaved", why)
                .with_next("let them land, bring them back with sprintctl item restore, or cancel them"));
        }
    }
    let answered = client.is_some();
    // A connection would hold up the coordinator's end.
    drop(client);
    let mut ended = vec![];
    let parts = [("outpost", &started.outpost), ("coordinator", &started.coordinator)];
    for (name, running) in parts.iter().filter_map(|(name, running)| Some((*name, running.as_ref()?))) {
        if running.lives() {
            ended.push(name);
        }
        // Also one that systemd would start again. Beside it our connection is closed.
        let running = running.clone();
        let stopped = tokio::task::spawn_blocking(move || running.stop()).await;
        stopped.unwrap_or_else(|error| Err(Failure::new("client.local", error.to_string())))?;
    }
    if answered && workers.is_empty() {
        end_terminals(&place)?;
    }
    if args.purge {
        purge(&place, parts.iter().filter_map(|(_, running)| running.as_ref()))?;
    }
    let down = Down { ended, purged: args.purge, workers: if args.purge { 0 } else { workers.len() } };
    output.one(&down, |down, _| text(down))
}

fn text(down: &Down) -> String {
    let ended =
        if down.ended.is_empty() { "nothing ran".to_owned() } else { format!("ended: {}", down.ended.join(", ")) };
    let workers = match down.workers {
        0 => String::new(),
        1 => "\n1 worker goes on in its terminal; sprintctl up finds it again".to_owned(),
        count => format!("\n{count} workers go on in their terminals; sprintctl up finds them again"),
    };
    let purged = if down.purged { "\neverything of it was removed" } else { "" };
    format!("{ended}{workers}{purged}")
}

/// The coordinator of this host, if it answers.
async fn reach(place: &Place) -> Option<Client> {
    let contexts = Contexts::of_environment().ok()?;
    let target = Target::of_data_dir(&contexts, &place.coordinator()).ok()??;
    Client::connect(&target).await.ok()
}

async fn live_workers(client: &Client) -> Result<Vec<v1::Worker>, Failure> {
    client.all_workers(v1::ListWorkersRequest { live: true, ..Default::default() }).await
}

/// What is nowhere but here, a line for each.
async fn unsaved(client: &Client, workers: &[v1::Worker], place: &Place) -> Result<Vec<String>, Failure> {
    let mut lines: Vec<_> = workers.iter().map(|worker| format!("worker {} is at work", worker.id)).collect();
    let items = client.all_items(v1::ListItemsRequest::default()).await?;
    for item in items {
        let item = Item::try_from(item)?;
        let (id, title) = (item.id, &item.title);
        match &item.stage {
            Stage::Merging { landed: Some(_), .. } => {
                lines.push(format!("item {id} ({title}) has landed, and is not at its upstream yet"));
            }
            Stage::Merging { landed: None, .. } => lines.push(format!("item {id} ({title}) is in the merge queue")),
            // Its worker is named.
            Stage::InProgress { .. } | Stage::Done { .. } | Stage::Cancelled { .. } => {}
            Stage::Inbox
            | Stage::Planning
            | Stage::Ready
            | Stage::InReview
            | Stage::InTests
            | Stage::InDocs
            | Stage::Blocked { .. } => {
                let kept = client.items().kept(v1::ItemRequest { id: id.get() }).await?.into_inner().kept;
                if !kept.is_empty() {
                    lines.push(format!("item {id} ({title}) is {}, and its work is only here", item.stage.name()));
                }
            }
        }
    }
    for entry in fs::read_dir(place.outpost().join("kept")).into_iter().flatten().flatten() {
        lines.push(format!("{} holds work that could not be saved", entry.path().display()));
    }
    Ok(lines)
}

/// Ends the server of the workers' terminals, which keeps some ready.
fn end_terminals(place: &Place) -> Result<(), Failure> {
    let socket = place.outpost().join("tmux.sock");
    let server = Command::new("tmux").arg("-S").arg(socket).arg("kill-server").stderr(Stdio::null()).status();
    server.map(drop).map_err(Failure::io("ending tmux"))
}

/// Removes everything that `up` has made.
fn purge<'a>(place: &Place, parts: impl Iterator<Item = &'a Running>) -> Result<(), Failure> {
    for running in parts {
        running.remove()?;
    }
    let contexts = Contexts::of_environment()?;
    if let Some(name) = Target::of_data_dir(&contexts, &place.coordinator())?.and_then(|target| target.context) {
        contexts.remove(&name)?;
    }
    for path in place.all() {
        // A worker may have left directories without rights.
        let rights = Command::new("chmod").args(["-R", "u+rwX"]).arg(&path).stderr(Stdio::null()).status();
        rights.map_err(Failure::io("running chmod"))?;
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::io(format!("removing {}", path.display()))(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    place.forget()
}
