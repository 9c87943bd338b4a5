//! The shim's plan, and its record of how the plan ended.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sprint_core::assignment::CommandResult;
use sprint_core::gates::{Gate, GateVerdict};
use sprint_core::runtime::{Channel, PromptDelivery};

use crate::host::paths::WorkerDir;
use crate::sandbox::Sandbox;

/// `exec.json`: everything that the shim needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// 1, and one more each time the worker was sent back.
    pub(crate) round: u32,
    pub(crate) workspace: PathBuf,
    pub(crate) prompt_file: PathBuf,
    /// The whole environment of the steps, apart from `TERM`.
    /// Where what its commands get and nobody else is to see is written down.
    #[serde(default)]
    pub(crate) secrets: Option<PathBuf>,
    /// What its runtime puts into the agent's own directory.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) env: BTreeMap<String, String>,
    /// Runs before the steps, which do not run if it fails.
    #[serde(default)]
    pub(crate) setup: Option<PlanStep>,
    /// What is kept of the workspace when the setup has succeeded.
    #[serde(default)]
    pub(crate) keep: Vec<Kept>,
    pub(crate) steps: Vec<PlanStep>,
    /// Runs after the steps, however they ended.
    #[serde(default)]
    pub(crate) teardown: Option<PlanStep>,
    /// What the terminal says before anything runs.
    #[serde(default)]
    pub(crate) notes: Vec<String>,
    /// The most bytes that the log holds; a plan of an earlier release does not say.
    #[serde(default = "Plan::any_log")]
    pub(crate) log_limit: u64,
    /// What confines the steps; none when that is switched off.
    pub(crate) sandbox: Option<Sandbox>,
}

impl Plan {
    /// A plan without steps.
    pub(crate) fn bare(dir: &WorkerDir, sandbox: Option<Sandbox>) -> Self {
        Self {
            round: 0,
            workspace: dir.workspace(),
            prompt_file: dir.prompt(),
            secrets: None,
            files: BTreeMap::new(),
            env: BTreeMap::new(),
            setup: None,
            keep: vec![],
            steps: vec![],
            teardown: None,
            notes: vec![],
            log_limit: Self::any_log(),
            sandbox,
        }
    }

    /// The command that runs first.
    pub(super) fn first(&self) -> Option<&PlanStep> {
        self.setup.as_ref().or(self.steps.first())
    }

    fn any_log() -> u64 {
        u64::MAX
    }
}

/// What a keeper needs of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Outline {
    pub(super) round: u32,
    #[serde(default = "Plan::any_log")]
    pub(super) log_limit: u64,
}

/// A directory that outlives the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// In the workspace.
    pub(crate) path: String,
    /// Where its copy is kept.
    pub(crate) to: PathBuf,
}

/// One command, ready to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlanStep {
    pub(crate) name: String,
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) prompt: PromptDelivery,
    pub(crate) success_codes: Vec<i32>,
    pub(crate) timeout_ms: u64,
    /// How it is judged, for a step of a gate run.
    #[serde(default)]
    pub(crate) gate: Option<Gate>,
    /// It reads nothing from its terminal, at which no person sits.
    #[serde(default)]
    pub(crate) unattended: bool,
    /// How it is spoken with, for an agent with a channel.
    #[serde(default)]
    pub(crate) agent: Option<AgentStep>,
}

/// An agent with a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AgentStep {
    /// The runtime's name.
    pub(crate) runtime: String,
    pub(crate) channel: Channel,
    /// What it is told first.
    pub(crate) opening: String,
    /// The conversation that it is to go on with.
    #[serde(default)]
    pub(crate) resumed: Option<String>,
    #[serde(default)]
    pub(crate) workspace: PathBuf,
    /// Where it is kept what it says of itself.
    pub(crate) file: PathBuf,
    /// The model that it was told to use.
    #[serde(default)]
    pub(crate) model: Option<String>,
    /// The tools that it is offered over its channel.
    #[serde(default)]
    pub(crate) tools: Option<ToolServer>,
}

/// How an agent starts the server of its tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToolServer {
    pub(crate) sprintctl: PathBuf,
    pub(crate) socket: PathBuf,
}

/// Why the shim came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cause {
    /// Its steps ended, or one of them failed.
    Completed,
    /// It was sent SIGTERM.
    Terminated,
    /// Its terminal went away.
    HungUp,
    /// It could not do its own work.
    Broken,
}

/// `exit.json`: how a round ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exit {
    pub(crate) round: u32,
    pub(crate) cause: Cause,
    /// The last step's.
    pub(crate) code: Option<i32>,
    /// The setup's result, if there was one.
    #[serde(default)]
    pub(crate) setup: Option<CommandResult>,
    /// Those that were begun, in order.
    pub(crate) steps: Vec<CommandResult>,
    /// Of a gate run: what its steps were judged to be, in the same order.
    #[serde(default)]
    pub(crate) verdicts: Vec<GateVerdict>,
    /// Whether the disk was full when a step ended.
    pub(crate) disk_full: bool,
    /// What went wrong, where the results alone do not say.
    pub(crate) message: Option<String>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::DeserializeOwned;
    use sprint_core::assignment::Assignment;
    use sprint_core::fuzz::bytes;

    use super::*;

    const PLAN: &[u8] = br#"{"round":1,"workspace":"/w","git_dir":"/g","prompt_file":"/p","env":{"A":"b"},"steps":[{"name":"a","argv":["sh","-c","true"],"env":{},"prompt":"file","success_codes":[0],"timeout_ms":1,"gate":{"name":"a","run":"b","report":[{"kind":"junit","path":"j"}],"require":["tests > 3"],"needs":["gpu"]}}]}"#;
    const EXIT: &[u8] = br#"{"round":1,"cause":"hung_up","code":null,"steps":[],"verdicts":[{"gate":"a","outcome":"failed","reason":"r","metrics":{"coverage":82.5},"findings":[{"file":"a","line":3,"level":"error","message":"m"}],"duration_ms":1}],"disk_full":true,"message":"m"}"#;
    const ASSIGNMENT: &[u8] = br#"{"worker":1,"repo":"web","item":2,"attempt":3,"role":"gate","change":null,"base":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","base_ref":"refs/heads/main","title":"t","prompt":"p","feedback":["f"],"steps":[{"name":"a","runtime":{"name":"shell","command":["sh"]},"run":"true","timeout":"2h"}]}"#;

    /// Reads a file; what is read is written and read as the same.
    fn check<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(
        content: &[u8],
    ) -> Result<(), TestCaseError> {
        let Ok(read) = serde_json::from_slice::<T>(content) else { return Ok(()) };
        let written = serde_json::to_vec(&read).expect("is written");
        prop_assert_eq!(serde_json::from_slice::<T>(&written).expect("is read"), read);
        Ok(())
    }

    proptest! {
        /// Whatever a worker or a crash leaves in the files beside it is read whole, or not at all.
        #[test]
        fn fuzz_the_files_of_a_worker_are_read_whole_or_not(
            content in bytes(vec![PLAN.to_vec(), EXIT.to_vec(), ASSIGNMENT.to_vec()])
        ) {
            check::<Plan>(&content)?;
            check::<Exit>(&content)?;
            check::<Assignment>(&content)?;
            check::<String>(&content)?;
        }
    }
}
