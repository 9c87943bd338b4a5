use crate::ids::{ItemId, RepoName};
use crate::landing::LandingWish;

/// A request to land a branch.
#[derive(Debug, Clone)]
pub struct LandRequest {
    /// An item's number, `ITEM/ATTEMPT`, or a branch, ref or commit of a repo.
    pub what: String,
    /// Where it is, if there are several.
    pub repo: Option<RepoName>,
    /// The item that it is for; a new one where none is named.
    pub item: Option<ItemId>,
    pub wish: LandingWish,
    pub dry_run: bool,
    pub reason: String,
}

/// A request to run gates.
#[derive(Debug, Clone, Default)]
pub struct GateRunRequest {
    /// The repo, if there are several.
    pub repo: Option<RepoName>,
    /// A branch, ref or commit; the tip of the target branch where none is named.
    pub what: Option<String>,
    /// Only these gates; all where none is named.
    pub gates: Vec<String>,
    /// Also where the same tree has been through the same gates.
    pub again: bool,
}
