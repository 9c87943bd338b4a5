//! The directories and the ports of what runs on this host.

use std::env;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sprint_core::ids::RepoName;
use sprint_identity::private;

use crate::failure::Failure;

/// The name of the outpost that `up` starts, and of its data directory.
pub(crate) const OUTPOST: &str = "local";

/// How much of a log a failure shows.
const SHOWN: usize = 5;

/// The ports of a coordinator, where they are free.
const GRPC: u16 = 50051;
const HTTP: u16 = 8080;

/// The directories of the coordinator and the outpost, which are their own defaults.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    root: PathBuf,
}

impl Place {
    /// # Errors
    /// There is no home.
    pub(crate) fn of_environment() -> Result<Self, Failure> {
        let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home);
        let state = state.ok_or_else(|| {
            Failure::new("client.local", "there is no directory for data: HOME is not set").with_next("set HOME")
        })?;
        Ok(Self { root: state.join("sprint") })
    }

    pub(crate) fn coordinator(&self) -> PathBuf {
        self.root.join("coordinator")
    }

    pub(crate) fn outpost(&self) -> PathBuf {
        self.root.join(format!("outpost-{OUTPOST}"))
    }

    pub(crate) fn log(&self, program: &str) -> PathBuf {
        self.root.join(format!("{program}.log"))
    }

    /// The end of what a program has said, if that is in a file.
    pub(crate) fn last_words(&self, program: &str) -> String {
        let text = fs::read(self.log(program)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN)..].join("\n")
    }

    /// The outpost's files for each repo.
    pub(crate) fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    /// Has workers of a repo find the files of a directory, instead of those of another.
    ///
    /// # Errors
    /// The link cannot be made.
    pub(crate) fn lend(&self, repo: &RepoName, directory: &Path) -> Result<(), Failure> {
        let link = self.files().join(repo.as_str());
        let failed = || Failure::io(format!("making {}", link.display()));
        match fs::remove_file(&link) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed()(error)),
            Ok(()) | Err(_) => {}
        }
        symlink(directory, &link).map_err(failed())
    }

    /// What the outpost gets in its environment for its first start, and what goes after that.
    pub(crate) fn token(&self) -> PathBuf {
        self.root.join("outpost.env")
    }

    fn record(&self) -> PathBuf {
        self.root.join("up.json")
    }

    /// What `up` has started here.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn started(&self) -> Result<Option<Started>, Failure> {
        let path = self.record();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io(format!("reading {}", path.display()))(error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            Failure::new("client.local", format!("{} is damaged: {error}", path.display()))
                .with_next("end both programs by hand, and remove the file")
        })
    }

    /// # Errors
    /// It cannot be written.
    pub(crate) fn remember(&self, started: &Started) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(started).unwrap_or_default();
        private::make_dir(&self.root)
            .and_then(|()| private::write(&self.record(), text.as_bytes()))
            .map_err(Failure::io(format!("writing {}", self.record().display())))
    }

    /// # Errors
    /// It cannot be removed.
    pub(crate) fn forget(&self) -> Result<(), Failure> {
        match fs::remove_file(self.record()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Failure::io(format!("removing {}", self.record().display()))(error))
            }
            Ok(()) | Err(_) => {
                // What is not ours stays, and its directory with it.
                fs::remove_dir(&self.root).ok();
                Ok(())
            }
        }
    }

    /// Everything that `up` makes here.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        let logs = ["coordinator", "outpost-agent"].map(|program| self.log(program));
        [self.coordinator(), self.outpost(), self.files(), self.token(), self.record()]
            .into_iter()
            .chain(logs)
            .collect()
    }
}

/// What `up` has started: kept, so that the next one and `down` find it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Started {
    pub(crate) ports: Ports,
    pub(crate) coordinator: Option<Running>,
    pub(crate) outpost: Option<Running>,
}

/// A program that runs, as whatever keeps it knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kept_by", rename_all = "snake_case")]
pub(crate) enum Running {
    Systemd {
        unit: String,
    },
    /// A process, with its start time, since numbers are used again.
    Background {
        pid: i32,
        started: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    pub(crate) grpc: u16,
    pub(crate) http: u16,
}

impl Ports {
    /// The usual ones where they are free, else others.
    ///
    /// # Errors
    /// No port can be had.
    pub(crate) fn choose() -> Result<Self, Failure> {
        Ok(Self { grpc: free(GRPC)?, http: free(HTTP)? })
    }
}

fn free(wanted: u16) -> Result<u16, Failure> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr());
    let bound = bind(wanted).or_else(|_| bind(0)).map_err(Failure::io("finding a free port"))?;
    Ok(bound.port())
}
