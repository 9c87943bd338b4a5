//! `sprintctl secret`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sprint_core::ids::{OutpostName, RepoName};
use sprint_core::job::Role;
use sprint_core::secret::{MOST, SecretForm, SecretName};
use sprint_core::view::SecretView;
use sprint_proto::convert::Malformed;
use sprint_proto::v1;

use crate::app::App;
use crate::args::word;
use crate::failure::Failure;
use crate::render::secret::list;
use crate::secret::read_text;

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Keep a text, encrypted, for the workers that may have it; it is read from standard input or a file
    Set(SecretSetArgs),
    /// List the secrets, without their texts
    List,
    /// Remove a secret; a worker that has it keeps it until it ends
    Remove {
        /// Its name
        name: SecretName,
        #[command(flatten)]
        scope: ScopeArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct SecretSetArgs {
    /// The variable by which workers find it
    name: SecretName,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Whether the variable holds the text, or the path of a file with it
    #[arg(long = "as", value_name = "env|file", default_value = "env", value_parser = word(SecretForm::ALL, SecretForm::as_str))]
    form: SecretForm,
    /// Read the text from this file instead of standard input
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ScopeArgs {
    /// Only for workers of this repo
    #[arg(long, value_name = "NAME")]
    repo: Option<RepoName>,
    /// Only for this role; gates get no other secrets than those for the role gate
    #[arg(long, value_parser = word(Role::ALL, Role::as_str))]
    role: Option<Role>,
    /// Only on this outpost
    #[arg(long, value_name = "NAME")]
    outpost: Option<OutpostName>,
}

impl ScopeArgs {
    fn wire(self) -> v1::SecretScope {
        let Self { repo, role, outpost } = self;
        v1::SecretScope {
            repo: repo.map(Into::into),
            role: role.map(|role| role.to_string()),
            outpost: outpost.map(Into::into),
        }
    }
}

impl SecretCommand {
    pub(crate) async fn run(self, app: &App) -> Result<(), Failure> {
        let mut secrets = app.client.secrets();
        match self {
            Self::Set(SecretSetArgs { name, scope, form, from }) => {
                let text = read_text(&format!("the text of {name}"), from.as_deref(), MOST).await?;
                let (scope, form) = (Some(scope.wire()), form.to_string());
                let request = v1::SetSecretRequest { name: name.into(), scope, form, text };
                show(app, secrets.set(request).await?.into_inner())
            }
            Self::List => {
                let found = secrets.list(v1::ListSecretsRequest {}).await?.into_inner().secrets;
                let views = found.into_iter().map(SecretView::try_from).collect::<Result<Vec<_>, Malformed>>()?;
                app.output.list(&views, "secrets", list)
            }
            Self::Remove { name, scope } => {
                let request = v1::RemoveSecretRequest { name: name.into(), scope: Some(scope.wire()) };
                show(app, secrets.remove(request).await?.into_inner())
            }
        }
    }
}

fn show(app: &App, secret: v1::Secret) -> Result<(), Failure> {
    let view = SecretView::try_from(secret)?;
    app.output.one(&view, |view, layout| list(std::slice::from_ref(view), layout))
}
