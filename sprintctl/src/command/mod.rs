//! The commands: what people can ask for, and how it is done.

pub(crate) mod attach;
pub(crate) mod audit;
pub(crate) mod change;
pub(crate) mod completions;
pub(crate) mod context;
pub(crate) mod down;
pub(crate) mod event;
pub(crate) mod gate;
pub(crate) mod item;
mod item_file;
pub(crate) mod land;
pub(crate) mod login;
pub(crate) mod outpost;
pub(crate) mod repo;
mod restore;
pub(crate) mod runtime;
pub(crate) mod secret;
pub(crate) mod status;
mod tail;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod usage;
pub(crate) mod wait;
pub(crate) mod worker;

use clap::Subcommand;

use crate::app::App;
use crate::failure::Failure;

/// The commands that need a coordinator.
#[derive(Debug, Subcommand)]
pub(crate) enum Remote {
    /// Git repositories under management
    #[command(subcommand)]
    Repo(repo::RepoCommand),
    /// Units of work
    #[command(subcommand)]
    Item(item::ItemCommand),
    /// Hosts that run workers
    #[command(subcommand)]
    Outpost(outpost::OutpostCommand),
    /// Agents at work
    #[command(subcommand)]
    Worker(worker::WorkerCommand),
    /// Agents that can be run, and where they are
    #[command(subcommand)]
    Runtime(runtime::RuntimeCommand),
    /// Entries of the merge queue
    #[command(subcommand)]
    Change(change::ChangeCommand),
    /// Run gates on request, and list their results
    #[command(subcommand)]
    Gate(gate::GateCommand),
    /// Add a branch of yours to the merge queue, or land it directly
    Land(land::LandArgs),
    /// The record of everything that happened
    #[command(subcommand)]
    Event(event::EventCommand),
    /// Acts of people with their addresses, and refused requests
    Audit(audit::AuditArgs),
    /// Tokens that admit outposts and people
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Texts that workers need and nobody else is to see
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Show the identity and role that the coordinator knows you by
    Whoami,
    /// Summarise items, workers, outposts, merge queues and loops
    Status(status::StatusArgs),
    /// Add up tokens and costs of agents, by their own word
    Usage(usage::UsageArgs),
    /// Wait until items reach a stage
    Wait(wait::WaitArgs),
}

impl Remote {
    /// Refuses what makes no sense before anything is asked.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if let Self::Token(command) = self { command.check() } else { Ok(()) }
    }

    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        match self {
            Self::Repo(command) => command.run(app).await,
            Self::Item(command) => command.run(app).await,
            Self::Outpost(command) => command.run(app).await,
            Self::Worker(command) => command.run(app).await,
            Self::Runtime(command) => command.run(app).await,
            Self::Change(command) => command.run(app).await,
            Self::Gate(command) => command.run(app).await,
            Self::Land(args) => land::land(args, app).await,
            Self::Event(command) => command.run(app).await,
            Self::Audit(args) => audit::audit(args, app).await,
            Self::Token(command) => command.run(app).await,
            Self::Secret(command) => command.run(app).await,
            Self::Whoami => login::whoami(app).await,
            Self::Status(args) => status::status(args, app).await,
            Self::Usage(args) => usage::usage(args, app).await,
            Self::Wait(args) => wait::wait(args, app).await,
        }
    }
}
