//! The command line: what people can type, and who does it.

use clap::{Args, Parser, Subcommand};

use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Format, Output};
use crate::{change, completions, event, item, outpost, repo, status, wait, worker};

/// Steers Sprint: repos, items, workers, changes and outposts of one coordinator.
///
/// Exits 0 on success, 1 on failure, 2 when the command line makes no sense.
#[derive(Debug, Parser)]
#[command(name = "sprintctl", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// The coordinator's gRPC address
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "SPRINT_COORDINATOR",
        hide_env_values = true,
        default_value = "127.0.0.1:50051",
        value_parser = crate::args::address,
        help_heading = "Global options"
    )]
    coordinator: String,
    /// A table for people, or JSON for scripts
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, help_heading = "Global options", hide_possible_values = true, value_name = "table|json")]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Remote(Remote),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Write the man pages into a directory
    #[command(hide = true)]
    Man(completions::ManArgs),
}

/// The commands that need a coordinator.
#[derive(Debug, Subcommand)]
enum Remote {
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
    /// Entries of the merge queue
    #[command(subcommand)]
    Change(change::ChangeCommand),
    /// The record of everything that happened
    #[command(subcommand)]
    Event(event::EventCommand),
    /// Sum up what there is, and what the merge queues do
    Status,
    /// Wait until items reach a stage
    Wait(wait::WaitArgs),
}

/// Everything that a command needs to do its work.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) client: Client,
    pub(crate) output: Output,
    pub(crate) address: String,
}

impl Cli {
    /// Carries the command out.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let Self { global: Global { coordinator: address, output }, command } = self;
        let output = Output::new(output);
        let command = match command {
            Command::Completions(args) => return completions::completions(&args, &output),
            Command::Man(args) => return completions::man(&args),
            Command::Remote(command) => command,
        };
        let app = App { client: Client::connect(&address).await?, output, address };
        match command {
            Remote::Repo(command) => command.run(&app).await,
            Remote::Item(command) => command.run(&app).await,
            Remote::Outpost(command) => command.run(&app).await,
            Remote::Worker(command) => command.run(&app).await,
            Remote::Change(command) => command.run(&app).await,
            Remote::Event(command) => command.run(&app).await,
            Remote::Status => status::status(&app).await,
            Remote::Wait(args) => wait::wait(args, &app).await,
        }
    }
}
