//! The real agents, as `deploy/setup.sh --tests` installs them, and a home directory in which each is logged in to a model
//! that follows a script.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::model::Model;
use crate::{Cluster, OutpostOptions};

/// Where each program is, below the packages of its environment.
const PROGRAMS: [(&str, &str); 3] = [
    ("claude", "claude_agent_sdk/_bundled/claude"),
    ("codex", "codex_cli_bin/bin/codex"),
    ("grok", "grok_cli_bin/bin/grok"),
];

/// An agent by the Agent Client Protocol, as an outpost's own file adds it.
const RUNTIMES: &str = r#"
[runtime.by-acp]
channel = "acp"
command = ["grok", "agent", "-m", "{{ model }}", "stdio"]
version = ["grok", "--version"]
env = { GROK_HOME = "{{ state }}", GROK_DISABLE_AUTOUPDATER = "1" }
host = { files = [{ from = ".grok/config.toml", to = "config.toml" }] }
"#;

/// The directory of the packages.
///
/// # Errors
/// They are not installed.
pub fn packages() -> Result<PathBuf, String> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let lib = cache.ok_or("there is no home directory")?.join("sprint-tests/agents/lib");
    let python = fs::read_dir(&lib).ok().and_then(|mut entries| entries.next()).and_then(Result::ok);
    let packages = python.map(|python| python.path().join("site-packages"));
    let missing = || format!("agents are missing in {}; install them with: make setup", lib.display());
    packages.filter(|path| PROGRAMS.iter().all(|(_, program)| path.join(program).is_file())).ok_or_else(missing)
}

/// Puts the agents into a directory of programs.
///
/// # Panics
/// They are there already.
pub fn link(packages: &Path, bin: &Path) {
    for (name, program) in PROGRAMS {
        symlink(packages.join(program), bin.join(name)).expect("is linked");
    }
}

/// An outpost with all agents, and the model that they ask.
///
/// # Panics
/// Something cannot be set up.
pub fn outpost(cluster: &mut Cluster, packages: &Path, more: &[&str]) -> Model {
    let model = Model::start();
    let (bin, home) = (cluster.path().join("bin"), cluster.path().join("home"));
    for dir in [&bin, &home.join(".codex"), &home.join(".grok")] {
        fs::create_dir_all(dir).expect("is made");
    }
    link(packages, &bin);
    let url = model.url();
    let codex = format!(
        "model = \"fake-1\"\nmodel_provider = \"scripted\"\n[model_providers.scripted]\nname = \"scripted\"\nbase_url = \"{url}/v1\"\nenv_key = \"OPENAI_API_KEY\"\nwire_api = \"responses\"\n"
    );
    let grok = format!(
        "[cli]\nauto_update = false\n[model.fake-1]\nmodel = \"fake-1\"\nbase_url = \"{url}/v1\"\napi_key = \"dummy\"\ncontext_window = 200000\n"
    );
    fs::write(home.join(".codex/config.toml"), codex).expect("is written");
    fs::write(home.join(".grok/config.toml"), grok).expect("is written");
    let runtimes = cluster.path().join("runtimes.toml");
    fs::write(&runtimes, RUNTIMES).expect("is written");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let variables = [
        ("PATH", path),
        ("HOME", home.display().to_string()),
        ("ANTHROPIC_BASE_URL", url),
        ("ANTHROPIC_AUTH_TOKEN", "dummy".to_owned()),
        ("OPENAI_API_KEY", "dummy".to_owned()),
    ];
    let variables = variables.map(|(key, value)| (key.to_owned(), value)).to_vec();
    let runtimes = ["--runtimes".to_owned(), runtimes.display().to_string()];
    let more = more.iter().map(ToString::to_string).chain(runtimes).collect();
    cluster.add_outpost("host", OutpostOptions { more, variables, ..OutpostOptions::default() });
    cluster.online("host");
    model
}
