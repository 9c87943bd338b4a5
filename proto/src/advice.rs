//! What to do next, as a command line: the one place that words an act for the programs in a terminal.

use sprint_core::act::Act;

/// What to do, with its command: `see: sprintctl item list`.
pub fn advice(act: &Act) -> String {
    let purpose = match act {
        Act::ListItems
        | Act::ListRepos
        | Act::ListWorkers
        | Act::ListChanges
        | Act::ListOutposts
        | Act::ListTokens
        | Act::ListSecrets
        | Act::ShowItem(_)
        | Act::ShowRepo(_) => "see",
        Act::AddRepo | Act::AddChild(_) => "add one with",
        Act::HaltQueues => "halt each queue with",
        Act::JoinOutpost => "start one with",
        Act::JoinLabelledOutpost => "start one that has them with",
        Act::LogIn => "log in with",
        Act::ReadyItem(_) => "move it on with",
        Act::RetryItem(_) => "retry it with",
        Act::ResolveItem(_) => "take it as done with",
        Act::SetRepoCommand(_) | Act::SetRepoGates(_) => "set one with",
        Act::UnpauseRepo(_) => "continue with",
        Act::ChooseUpstream(_) => "choose follow (theirs counts) or restore (ours counts) with",
        Act::ReadLog(_) => "read its output with",
        Act::FollowLog(_) => "watch it with",
        Act::RetryChange(_) => "return it to the queue with",
        Act::ApproveChange(_) => "let it land with",
        Act::DrainOutpost(_) => "drain it with",
        Act::RemoveOutpost(_) => "remove it with",
        Act::ForceRemoveOutpost(_) | Act::ForceRemoveRepo(_) => "remove it all the same with",
        Act::CreateToken(_) => "create one on the coordinator's host with",
    };
    format!("{purpose}: {}", command(act))
}

/// The command line of an act; what a person must fill in is in capitals.
pub fn command(act: &Act) -> String {
    match act {
        Act::ListItems => "sprintctl item list".to_owned(),
        Act::ListRepos => "sprintctl repo list".to_owned(),
        Act::ListWorkers => "sprintctl worker list --all".to_owned(),
        Act::ListChanges => "sprintctl change list --all".to_owned(),
        Act::ListOutposts => "sprintctl outpost list".to_owned(),
        Act::ListTokens => "sprintctl token list --all".to_owned(),
        Act::ListSecrets => "sprintctl secret list".to_owned(),
        Act::AddRepo => "sprintctl repo add NAME URL".to_owned(),
        Act::HaltQueues => "sprintctl repo set NAME --halt REASON".to_owned(),
        Act::JoinOutpost => "outpost-agent join --coordinator HOST:PORT".to_owned(),
        Act::JoinLabelledOutpost => "outpost-agent join --coordinator HOST:PORT --label KEY=VALUE".to_owned(),
        Act::LogIn => "sprintctl login --coordinator HOST:PORT --token TOKEN".to_owned(),
        Act::ShowItem(id) => format!("sprintctl item show {id}"),
        Act::ReadyItem(id) => format!("sprintctl item ready {id}"),
        Act::RetryItem(id) => format!("sprintctl item retry {id}"),
        Act::ResolveItem(id) => format!("sprintctl item resolve {id}"),
        Act::AddChild(id) => format!("sprintctl item add TITLE --repo NAME --parent {id}"),
        Act::ShowRepo(name) => format!("sprintctl repo show {name}"),
        Act::SetRepoCommand(name) => format!("sprintctl repo set {name} --run COMMAND"),
        Act::SetRepoGates(name) => format!("sprintctl repo set {name} --gate NAME=COMMAND"),
        Act::UnpauseRepo(name) => format!("sprintctl repo set {name} --resume"),
        Act::ChooseUpstream(name) => format!("sprintctl repo set {name} --upstream CHOICE"),
        Act::ReadLog(id) => format!("sprintctl worker logs {id}"),
        Act::FollowLog(id) => format!("sprintctl worker logs -f {id}"),
        Act::RetryChange(id) => format!("sprintctl change retry {id}"),
        Act::ApproveChange(id) => format!("sprintctl change approve {id} --reason REASON"),
        Act::DrainOutpost(name) => format!("sprintctl outpost drain {name}"),
        Act::RemoveOutpost(name) => format!("sprintctl outpost remove {name}"),
        Act::ForceRemoveOutpost(name) => format!("sprintctl outpost remove {name} --force"),
        Act::ForceRemoveRepo(name) => format!("sprintctl repo remove {name} --force"),
        Act::CreateToken(kind) => format!("coordinator token create --kind {kind}"),
    }
}
