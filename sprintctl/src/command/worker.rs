//! `sprintctl worker`.

use std::io::IsTerminal as _;

use clap::{Args, Subcommand};
use serde_json::json;
use sprint_core::ids::{ItemId, OutpostName, WorkerId};
use sprint_core::view::WorkerView;
use sprint_core::worker::Worker;
use sprint_proto::convert::Malformed;
use sprint_proto::v1;

use crate::app::App;
use crate::args;
use crate::client::Patience;
use crate::command::attach::{self, AttachArgs};
use crate::failure::Failure;
use crate::output::Format;
use crate::render::worker::{details, list};
use crate::terminal::LogView;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// List the running workers
    List(WorkerListArgs),
    /// Show a worker: its item, its outpost and how it ended
    Show {
        /// The worker's number
        id: WorkerId,
    },
    /// Print the log of a worker's terminal, byte for byte
    Logs(LogsArgs),
    /// Attach to a worker's terminal
    Attach(AttachArgs),
    /// Save a worker's work and end the worker
    Stop {
        /// The worker's number
        id: WorkerId,
        /// Why, for the record
        #[arg(long, default_value = "stopped by the overseer")]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct WorkerListArgs {
    /// Also those that have ended
    #[arg(long)]
    all: bool,
    /// Only of this item
    #[arg(long, value_name = "ID")]
    item: Option<ItemId>,
    /// Only on this outpost
    #[arg(long, value_name = "NAME")]
    outpost: Option<OutpostName>,
    /// Only the newest N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The worker's number
    id: WorkerId,
    /// Continue with new output until the worker ends
    #[arg(short, long)]
    follow: bool,
    /// Only the output of the last 90s, 10m or the like
    #[arg(long, value_name = "DURATION", conflicts_with = "offset")]
    since: Option<humantime::Duration>,
    /// The number of bytes to skip
    #[arg(long, value_name = "BYTES", default_value_t = 0, hide_default_value = true)]
    offset: u64,
    /// Print every byte as it is, also on a terminal; there colours count, and all else that would steer it is shown
    #[arg(long)]
    raw: bool,
}

impl WorkerCommand {
    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        let mut workers = app.client.workers();
        match self {
            Self::List(args) => {
                let (limit, ended) = (args.limit, args.ended());
                let mut found = app.client.all_workers(args.request()).await?;
                let has_older = args::newest(&mut found, limit);
                let views = found.into_iter().map(view).collect::<Result<Vec<_>, _>>()?;
                app.output.list(&views, "workers", list)?;
                app.output.hidden(has_older, args::OLDER);
                app.output.hidden(ended.is_some(), &ended.unwrap_or_default());
                Ok(())
            }
            Self::Show { id } => {
                let worker = workers.get(v1::WorkerRequest { id: id.get() }).await?.into_inner();
                app.output.one(&view(worker)?, details)
            }
            Self::Logs(args) => logs(args, app).await,
            Self::Attach(args) => attach::attach(args, app).await,
            Self::Stop { id, reason } => {
                let worker = workers.stop(v1::StopWorkerRequest { id: id.get(), reason }).await?.into_inner();
                app.output.one(&view(worker)?, |worker, layout| list(std::slice::from_ref(worker), layout))
            }
        }
    }
}

impl WorkerListArgs {
    fn request(self) -> v1::ListWorkersRequest {
        let Self { all, item, outpost, limit } = self;
        v1::ListWorkersRequest {
            item: item.map(ItemId::get),
            outpost: outpost.map(Into::into),
            live: !all,
            limit: args::one_more(limit),
            before: 0,
        }
    }

    /// How to see those that have ended, if they are not asked for.
    fn ended(&self) -> Option<String> {
        let item = self.item.map(|item| format!(" --item {item}")).unwrap_or_default();
        let outpost = self.outpost.as_ref().map(|outpost| format!(" --outpost {outpost}")).unwrap_or_default();
        (!self.all).then(|| format!("those that have ended: sprintctl worker list --all{item}{outpost}"))
    }
}

fn view(worker: v1::Worker) -> Result<WorkerView, Malformed> {
    Ok(Worker::try_from(worker)?.into())
}

async fn logs(args: LogsArgs, app: &App) -> Result<(), Failure> {
    let LogsArgs { id, follow, since, offset, raw } = args;
    let mut view = (!raw && std::io::stdout().is_terminal()).then(LogView::default);
    let since_ms = since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1));
    let mut request = v1::WorkerLogsRequest { id: id.get(), offset, follow, since_ms };
    let mut patience = Patience::new();
    loop {
        let streamed = stream(&mut request, &mut patience, view.as_mut(), app).await;
        let failure = match streamed {
            Ok(()) if follow && is_live(id, app).await => {
                Failure::disconnected("the stream ended before the worker did")
            }
            Err(failure) if follow && failure.is_disconnect() => failure,
            other => {
                if let Some(view) = &mut view {
                    app.output.bytes(view.end().as_bytes())?;
                }
                return other;
            }
        };
        patience.pause(&failure).await;
    }
}

/// Whether a worker may still say something: a coordinator that stops ends its streams in good order.
async fn is_live(id: WorkerId, app: &App) -> bool {
    let answer = app.client.workers().get(v1::WorkerRequest { id: id.get() }).await;
    answer.is_ok_and(|worker| Worker::try_from(worker.into_inner()).is_ok_and(|worker| worker.state.is_live()))
}

/// Prints log bytes until the stream ends, and keeps `request` at what comes next.
async fn stream(
    request: &mut v1::WorkerLogsRequest,
    patience: &mut Patience,
    mut view: Option<&mut LogView>,
    app: &App,
) -> Result<(), Failure> {
    let mut chunks = app.client.workers().logs(*request).await?.into_inner();
    while let Some(v1::LogData { offset, data }) = chunks.message().await? {
        patience.answered();
        match app.output.format {
            Format::Table => match &mut view {
                Some(view) => app.output.bytes(view.show(&data).as_bytes())?,
                None => app.output.bytes(&data)?,
            },
            Format::Json => {
                let line = json!({"worker": request.id, "offset": offset, "data": String::from_utf8_lossy(&data)});
                app.output.line(&line, |_, _| String::new())?;
            }
        }
        request.offset = offset + data.len() as u64;
        request.since_ms = 0;
    }
    Ok(())
}
