//! The command line: what people can type, and who does it.

use clap::{Args, CommandFactory, Parser, Subcommand};

use sprint_core::ids::ContextName;
use sprint_identity::context::Contexts;

use crate::app::App;
use crate::client::Client;
use crate::command::{Remote, completions, context, down, login, up};
use crate::failure::Failure;
use crate::output::{Format, Output};
use crate::secret;
use crate::target::{Target, TargetOptions};

/// Steers Sprint: repos, items, workers, changes and outposts of one coordinator.
///
/// A context is a coordinator that this host knows, with the credentials for it; "coordinator serve" writes one on
/// its own host, "sprintctl login" on others. In order of precedence: the context of --context; the token in
/// `SPRINT_TOKEN`, which needs --coordinator and no context; the context for --coordinator; the current context.
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
        value_parser = crate::args::address,
        help_heading = "Global options"
    )]
    coordinator: Option<String>,
    /// The context, if not the current one
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "SPRINT_CONTEXT",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    context: Option<ContextName>,
    /// A table for people, or JSON for scripts
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, help_heading = "Global options", hide_possible_values = true, value_name = "table|json")]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Remote(Remote),
    /// Start a coordinator and an outpost on this host, and take the checkout here under management; what is there
    /// already stays as it is
    Up(up::UpArgs),
    /// End what `up` has started; workers go on in their terminals
    Down(down::DownArgs),
    /// Log in to a coordinator with a token, and keep the credentials in a context
    Login(login::LoginArgs),
    /// Remove a context with its credentials
    Logout(login::LogoutArgs),
    /// The coordinators that this host knows
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Write the man pages into a directory
    #[command(hide = true)]
    Man(completions::ManArgs),
}

impl Cli {
    /// The form in which answers and failures are printed.
    pub(crate) const fn format(&self) -> Format {
        self.global.output
    }

    /// Carries the command out.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let Self { global: Global { coordinator, context, output }, command } = self;
        let output = Output::new(output);
        let command = match command {
            Command::Completions(args) => return completions::completions(&args, Self::command(), &output),
            Command::Man(args) => return completions::man(&args, Self::command()),
            Command::Up(args) => return up::up(args, &output).await,
            Command::Down(args) => return down::down(&args, &output).await,
            Command::Login(args) => return login::login(args, coordinator, context, &output).await,
            Command::Logout(args) => return login::logout(args, context),
            Command::Context(command) => return command.run(&output),
            Command::Remote(command) => command,
        };
        command.check()?;
        let options = TargetOptions { coordinator, context, token: secret::from_environment()? };
        let target = Target::resolve(options, Contexts::of_environment())?;
        let client = Client::connect(&target).await?;
        let app = App { client, output, target };
        command.run(&app).await
    }
}
