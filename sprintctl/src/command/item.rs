//! `sprintctl item`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sprint_core::hand_off::HandOff;
use sprint_core::ids::{ItemId, RepoName, WorkerId};
use sprint_core::item::{Item, ItemKind, Priority, StageName};
use sprint_core::note::ProgressSaid;
use sprint_core::view::ItemView;
use sprint_core::worker::Worker;
use sprint_proto::convert::{ExplanationView, Malformed};
use sprint_proto::v1;

use crate::app::App;
use crate::args::{self, Pair, word};
use crate::command::restore::RestoreArgs;
use crate::command::{item_file, restore};
use crate::failure::Failure;
use crate::render::item::{ItemDetails, cuts_needs, details, list};
use crate::render::reason::{Explained, explained};

#[derive(Debug, Subcommand)]
pub(crate) enum ItemCommand {
    /// Add an item, or many from a file
    Add(Box<ItemAddArgs>),
    /// List items
    List(ItemListArgs),
    /// Show an item, the feedback of earlier attempts, and what the item waits for
    Show {
        /// The item's number
        id: ItemId,
    },
    /// Change an item's fields; the others stay as they are
    Edit(Box<ItemEditArgs>),
    /// Cancel items; a worker on one is stopped and its work kept
    Cancel {
        /// The items' numbers
        #[arg(required = true, value_name = "ID")]
        ids: Vec<ItemId>,
        /// Why, for the record
        #[arg(long, default_value = "cancelled by the overseer")]
        reason: String,
    },
    /// Give blocked or cancelled items another round of attempts
    Retry {
        /// The items' numbers
        #[arg(required = true, value_name = "ID")]
        ids: Vec<ItemId>,
    },
    /// Move items out of the inbox or planning
    Ready {
        /// The items' numbers
        #[arg(required = true, value_name = "ID")]
        ids: Vec<ItemId>,
    },
    /// Take items as done without a landing, such as those of which a worker says that there is nothing to do
    Resolve {
        /// The items' numbers
        #[arg(required = true, value_name = "ID")]
        ids: Vec<ItemId>,
        /// Why, for the record
        #[arg(long, default_value = "taken as done by the overseer")]
        reason: String,
    },
    /// Bring back what an attempt left: its commits, what it had not committed, its other branches, stashes and
    /// repositories
    Restore(RestoreArgs),
    /// Explain what an item waits for
    Explain {
        /// The item's number
        id: ItemId,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ItemAddArgs {
    /// The title, in one line
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    title: Option<String>,
    /// Add the items of a JSON Lines file, all or none; - is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The repo to work on; with -f, that of the lines that name none
    #[arg(long, value_name = "NAME", required_unless_present = "file")]
    repo: Option<RepoName>,
    #[command(flatten)]
    fields: AddFields,
}

#[derive(Debug, Args)]
#[group(id = "fields", multiple = true, conflicts_with = "file")]
struct AddFields {
    /// What it is
    #[arg(long, default_value = "task", value_parser = word(ItemKind::ALL, ItemKind::as_str))]
    kind: ItemKind,
    /// The description for the worker
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// An acceptance criterion; repeatable
    #[arg(long, value_name = "CRITERION")]
    accept: Vec<String>,
    /// How urgent it is
    #[arg(long, default_value = "medium", value_parser = word(Priority::ALL, Priority::as_str))]
    priority: Priority,
    /// A label to find it by; repeatable
    #[arg(long)]
    label: Vec<String>,
    /// A label that its outpost must carry; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    require: Vec<Pair<String, String>>,
    /// The feature or convoy that it is a part of
    #[arg(long, value_name = "ID")]
    parent: Option<ItemId>,
    /// An item that must be done before it; repeatable
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    needs: Vec<ItemId>,
    /// The command line to run instead of the repo's
    #[arg(long, value_name = "CMD")]
    run: Option<String>,
    /// Where it starts
    #[arg(long, default_value = "ready", value_parser = word(&FIRST_STAGES, StageName::as_str))]
    stage: StageName,
}

/// The stages that an item can be added in.
const FIRST_STAGES: [StageName; 3] = [StageName::Ready, StageName::Inbox, StageName::Planning];

#[derive(Debug, Args)]
pub(crate) struct ItemListArgs {
    /// Only of this repo
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoName>,
    /// Only in this stage; repeatable
    #[arg(long, value_parser = word(StageName::ALL, StageName::as_str))]
    stage: Vec<StageName>,
    /// Only with this label; repeatable
    #[arg(long)]
    label: Vec<String>,
    /// Only the children of this item
    #[arg(long, value_name = "ID")]
    parent: Option<ItemId>,
    /// Only the newest N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct ItemEditArgs {
    /// The items' numbers
    #[arg(required = true, value_name = "ID")]
    ids: Vec<ItemId>,
    /// The title, in one line
    #[arg(long)]
    title: Option<String>,
    /// The description for the worker
    #[arg(long)]
    description: Option<String>,
    /// How urgent it is
    #[arg(long, value_parser = word(Priority::ALL, Priority::as_str))]
    priority: Option<Priority>,
    /// The command line to run instead of the repo's; empty to remove it
    #[arg(long, value_name = "CMD")]
    run: Option<String>,
    /// The items that must be done before it; replaces the present ones; repeatable
    #[arg(long, value_name = "ID", value_delimiter = ',', conflicts_with = "no_needs")]
    needs: Vec<ItemId>,
    /// Remove all needs
    #[arg(long)]
    no_needs: bool,
    /// The labels to find it by; replaces the present ones; repeatable; empty for none
    #[arg(long)]
    label: Vec<String>,
    /// The acceptance criteria; replaces the present ones; repeatable; empty for none
    #[arg(long, value_name = "CRITERION")]
    accept: Vec<String>,
    /// The labels that its outpost must carry; replaces the present ones; repeatable
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "no_require")]
    require: Vec<Pair<String, String>>,
    /// Remove all requirements on the outpost
    #[arg(long)]
    no_require: bool,
}

impl ItemCommand {
    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        let mut items = app.client.items();
        let request = |id: ItemId| v1::ItemRequest { id: id.get() };
        match self {
            Self::Add(args) => args.run(app).await,
            Self::List(args) => {
                let limit = args.limit;
                let mut found = app.client.all_items(args.request()).await?;
                let has_older = args::newest(&mut found, limit);
                let views = views(found)?;
                app.output.list(&views, "items", list)?;
                app.output.hidden(cuts_needs(&views), "all needs of an item: sprintctl item show ID");
                app.output.hidden(has_older, args::OLDER);
                Ok(())
            }
            Self::Show { id } => {
                let item = view(items.get(request(id)).await?.into_inner())?;
                let explanation = explanation(items.explain(request(id)).await?.into_inner())?;
                let kept = restore::kept(id, app).await?;
                let hand_offs = items.hand_offs(request(id)).await?.into_inner().hand_offs.into_iter();
                let hand_offs =
                    hand_offs.map(|found| HandOff::try_from(found).map(Into::into)).collect::<Result<_, _>>()?;
                let progress = match item.worker {
                    Some(worker) => progress_of(worker, app).await?,
                    None => None,
                };
                let shown = ItemDetails::new(item, progress, hand_offs, kept);
                app.output.one(&shown, |shown, layout| details(shown, &explanation, layout))
            }
            Self::Edit(args) => {
                let (ids, edit) = args.request()?;
                let edit = |id: ItemId| v1::EditItemRequest { id: id.get(), ..edit.clone() };
                each(app, &ids, async |id| Ok(app.client.items().edit(edit(id)).await?.into_inner())).await
            }
            Self::Cancel { ids, reason } => {
                let cancel = |id: ItemId| v1::CancelItemRequest { id: id.get(), reason: reason.clone() };
                each(app, &ids, async |id| Ok(app.client.items().cancel(cancel(id)).await?.into_inner())).await
            }
            Self::Retry { ids } => {
                each(app, &ids, async |id| Ok(app.client.items().retry(request(id)).await?.into_inner())).await
            }
            Self::Ready { ids } => {
                each(app, &ids, async |id| Ok(app.client.items().ready(request(id)).await?.into_inner())).await
            }
            Self::Resolve { ids, reason } => {
                let resolve = |id: ItemId| v1::ResolveItemRequest { id: id.get(), reason: reason.clone() };
                each(app, &ids, async |id| Ok(app.client.items().resolve(resolve(id)).await?.into_inner())).await
            }
            Self::Restore(args) => restore::restore(args, app).await,
            Self::Explain { id } => {
                let explanation = explanation(items.explain(request(id)).await?.into_inner())?;
                app.output.one(&explanation, explained)
            }
        }
    }
}

/// How far a worker is, by its own word.
async fn progress_of(worker: WorkerId, app: &App) -> Result<Option<ProgressSaid>, Failure> {
    let worker = app.client.workers().get(v1::WorkerRequest { id: worker.get() }).await?.into_inner();
    Ok(Worker::try_from(worker)?.progress)
}

impl ItemAddArgs {
    async fn run(self, app: &App) -> Result<(), Failure> {
        let Self { title, file, repo, fields } = self;
        let mut items = app.client.items();
        if let Some(path) = file {
            let file = read(&path)?;
            let batch = item_file::parse(&file, repo.as_ref()).map_err(|error| error.into_failure(&path))?;
            let request = v1::AddItemsRequest { items: batch.items.clone() };
            let added = items.add(request).await.map_err(|status| batch.at_line(status.into()))?;
            return app.output.list(&views(added.into_inner().items)?, "items", list);
        }
        let item = fields.item(title.unwrap_or_default(), repo);
        item_file::check_size(&item).map_err(|why| Failure::new("client.item_too_large", why))?;
        let request = v1::AddItemsRequest { items: vec![item] };
        // There is only one line, and the person did not write it as one.
        let added = items.add(request).await.map_err(|status| Failure::from(status).without_line())?;
        let added = added.into_inner().items.into_iter().next();
        changed(app, added.ok_or(Malformed::Missing("the new item"))?)
    }
}

impl AddFields {
    fn item(self, title: String, repo: Option<RepoName>) -> v1::NewItem {
        let Self { kind, description, accept, priority, label, require, parent, needs, run, stage } = self;
        v1::NewItem {
            key: String::new(),
            repo: repo.map(String::from).unwrap_or_default(),
            kind: kind.to_string(),
            title,
            description,
            acceptance: accept,
            priority: priority.to_string(),
            labels: label,
            requires: args::map(require),
            parent: parent.map(|parent| parent.to_string()),
            needs: needs.iter().map(ToString::to_string).collect(),
            run,
            stage: stage.to_string(),
        }
    }
}

impl ItemListArgs {
    fn request(self) -> v1::ListItemsRequest {
        let Self { repo, stage, label, parent, limit } = self;
        v1::ListItemsRequest {
            repo: repo.map(Into::into),
            stages: stage.iter().map(ToString::to_string).collect(),
            labels: label,
            parent: parent.map(ItemId::get),
            limit: args::one_more(limit),
            before: 0,
        }
    }
}

impl ItemEditArgs {
    /// The items, and what is to be changed about each.
    fn request(self) -> Result<(Vec<ItemId>, v1::EditItemRequest), Failure> {
        let Self { ids, title, description, priority, run, needs, no_needs, label, accept, require, no_require } = self;
        let given = |texts: &[String]| texts.iter().filter(|text| !text.is_empty()).cloned().collect();
        let request = v1::EditItemRequest {
            id: 0,
            title,
            description,
            priority: priority.map(|priority| priority.to_string()),
            run,
            set_needs: no_needs || !needs.is_empty(),
            needs: needs.into_iter().map(ItemId::get).collect(),
            set_labels: !label.is_empty(),
            labels: given(&label),
            set_acceptance: !accept.is_empty(),
            acceptance: given(&accept),
            set_requires: no_require || !require.is_empty(),
            requires: args::map(require),
        };
        if request == v1::EditItemRequest::default() {
            return Err(Failure::usage("nothing to change").with_next("see: sprintctl item edit --help"));
        }
        Ok((ids, request))
    }
}

/// Changes items one after the other, each of them also after one that was refused.
async fn each(
    app: &App,
    ids: &[ItemId],
    change: impl AsyncFn(ItemId) -> Result<v1::Item, Failure>,
) -> Result<(), Failure> {
    if let [id] = ids {
        return changed(app, change(*id).await?);
    }
    let mut refused = vec![];
    for id in ids {
        match change(*id).await {
            Ok(item) => app.output.line(&view(item)?, |item, _| format!("item {} is {}", item.id, item.stage))?,
            Err(failure) if failure.is_disconnect() => return Err(failure),
            Err(failure) => refused.push(format!("item {id}: {failure}")),
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    let why = format!("{} of {} items were not changed: {}", refused.len(), ids.len(), refused.join("; "));
    Err(Failure::new("client.some_refused", why))
}

fn explanation(explanation: v1::Explanation) -> Result<Explained, Malformed> {
    Ok(ExplanationView::try_from(explanation)?.into())
}

/// The view of an item that came over the wire.
pub(crate) fn view(item: v1::Item) -> Result<ItemView, Malformed> {
    Ok(Item::try_from(item)?.into())
}

pub(crate) fn views(items: Vec<v1::Item>) -> Result<Vec<ItemView>, Malformed> {
    items.into_iter().map(view).collect()
}

fn changed(app: &App, item: v1::Item) -> Result<(), Failure> {
    app.output.one(&view(item)?, |item, layout| list(std::slice::from_ref(item), layout))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path.as_os_str() == "-" {
        let mut bytes = vec![];
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(Failure::io("reading standard input"))?;
        return Ok(bytes);
    }
    std::fs::read(path).map_err(Failure::io(format!("reading {}", path.display())))
}

#[cfg(test)]
#[path = "item_tests.rs"]
mod tests;
