//! What a change would put into a tree that must not land.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, ObjectType, Oid, Repository, Tree, TreeWalkMode, TreeWalkResult};
use sprint_core::bounds::LISTED_PATHS;
use sprint_core::gitmodules;
use sprint_core::ids::TreeId;
use sprint_core::tree_rules::{Problem, ProblemKind, TreeRule, TreeRules, of_content, of_path, same_but_case};

use super::GitError;
use super::differences::{Budget, differences};
use super::lfs::LfsStore;
use super::repository::{GitRepo, oid};

/// The file that says where submodules come from.
const SUBMODULES: &[u8] = gitmodules::FILE.as_bytes();
/// What is larger is not looked into: markers and pointers stand in texts that people write.
const LOOKED_INTO: u64 = 1 << 20;

/// What was found, with what is looked up once for all paths.
struct Search<'a> {
    objects: &'a Repository,
    base: Tree<'a>,
    tree: Tree<'a>,
    rules: TreeRules,
    lfs: LfsStore,
    found: Vec<Problem>,
    /// The names that are new, by their directories.
    new: BTreeMap<PathBuf, BTreeSet<Vec<u8>>>,
    /// The paths in `.gitmodules`, once one was asked for.
    submodules: Option<BTreeSet<Vec<u8>>>,
}

impl GitRepo {
    /// What of a tree breaks the rules, and is not in another that it is to follow, by path.
    ///
    /// # Errors
    /// As [`GitRepo::resolve`].
    pub fn problems(&self, base: &TreeId, tree: &TreeId, rules: TreeRules) -> Result<Vec<Problem>, GitError> {
        let objects = self.objects();
        let find = |tree: &TreeId| Ok::<_, GitError>(objects.find_tree(oid(tree.as_str())?)?);
        let (base, tree) = (find(base)?, find(tree)?);
        let ids = (base.id(), tree.id());
        let (lfs, found, new) = (self.lfs(), vec![], BTreeMap::new());
        let mut search = Search { objects: &objects, base, tree, rules, lfs, found, new, submodules: None };
        differences(&objects, Some(ids.0), Some(ids.1), &mut Budget::of_tree(), |path, entry| match entry {
            // More of them help nobody.
            Some(_) if search.found.len() >= LISTED_PATHS => Ok(()),
            Some(entry) => search.look(path, entry.id(), entry.kind()),
            None => Ok(()),
        })?;
        search.compare_names()?;
        search.found.sort();
        Ok(search.found)
    }
}

impl Search<'_> {
    fn add(&mut self, path: &[u8], kind: ProblemKind) {
        self.found.push(Problem { path: String::from_utf8_lossy(path).into_owned(), kind });
    }

    fn look(&mut self, path: &[u8], id: Oid, kind: Option<ObjectType>) -> Result<(), GitError> {
        let is_new = at(&self.base, path)?.is_none();
        if is_new {
            if let Some(problem) = of_path(path, &self.rules) {
                self.add(path, problem);
                return Ok(());
            }
            self.note_names(path)?;
        }
        match kind {
            Some(ObjectType::Commit) => {
                if self.rules.unknown_submodules == TreeRule::Refuse && is_new && !self.is_submodule(path)? {
                    self.add(path, ProblemKind::UnknownSubmodule);
                }
                Ok(())
            }
            Some(ObjectType::Blob) => self.look_into(path, id),
            _ => Ok(()),
        }
    }

    fn look_into(&mut self, path: &[u8], id: Oid) -> Result<(), GitError> {
        let bytes = self.objects.odb()?.read_header(id)?.0 as u64;
        if let Some(limit) = self.rules.max_blob.filter(|limit| bytes > *limit) {
            self.add(path, ProblemKind::TooLarge { bytes, limit });
        }
        if bytes > LOOKED_INTO {
            return Ok(());
        }
        let content = self.objects.find_blob(id)?;
        let before = at(&self.base, path)?;
        let old = || Some(self.objects.find_blob(before?).ok()?.content().to_vec());
        match of_content(content.content(), old, &self.rules) {
            // Its object was handed over, or it was only moved.
            Some(ProblemKind::LfsPointer { object, why: None }) if self.lfs.has(&object) || self.base_has(id)? => {
                Ok(())
            }
            Some(problem) => {
                self.add(path, problem);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether a blob stands anywhere in the tree before.
    fn base_has(&self, id: Oid) -> Result<bool, GitError> {
        let mut has = false;
        let walked = self.base.walk(TreeWalkMode::PreOrder, |_, entry| {
            has |= entry.id() == id;
            if has { TreeWalkResult::Abort } else { TreeWalkResult::Ok }
        });
        match walked {
            Err(error) if !has => Err(error.into()),
            Ok(()) | Err(_) => Ok(has),
        }
    }

    /// Notes the parts of a path that are new, for the comparison with their neighbours.
    fn note_names(&mut self, path: &[u8]) -> Result<(), GitError> {
        if self.rules.same_but_case == TreeRule::Allow {
            return Ok(());
        }
        let mut path = Path::new(OsStr::from_bytes(path));
        while let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
            if !self.new.entry(parent.to_owned()).or_default().insert(name.as_bytes().to_vec()) {
                break;
            }
            path = parent;
            if path.as_os_str().is_empty() || at(&self.base, path.as_os_str().as_bytes())?.is_some() {
                break;
            }
        }
        Ok(())
    }

    fn compare_names(&mut self) -> Result<(), GitError> {
        for (parent, new) in std::mem::take(&mut self.new) {
            let tree = if parent.as_os_str().is_empty() {
                self.tree.clone()
            } else {
                let Some(id) = at(&self.tree, parent.as_os_str().as_bytes())? else { continue };
                self.objects.find_tree(id)?
            };
            let new: Vec<&[u8]> = new.iter().map(Vec::as_slice).collect();
            let names: Vec<Vec<u8>> = tree.iter().map(|entry| entry.name_bytes().to_vec()).collect();
            for (name, other) in same_but_case(names.iter().map(Vec::as_slice), &new) {
                self.add(parent.join(name).as_os_str().as_bytes(), ProblemKind::SameButCase { other });
            }
        }
        Ok(())
    }

    fn is_submodule(&mut self, path: &[u8]) -> Result<bool, GitError> {
        if self.submodules.is_none() {
            self.submodules = Some(self.read_submodules()?);
        }
        Ok(self.submodules.as_ref().is_some_and(|known| known.contains(path)))
    }

    /// The paths that `.gitmodules` names: what stands after `path =`.
    fn read_submodules(&self) -> Result<BTreeSet<Vec<u8>>, GitError> {
        let Some(id) = at(&self.tree, SUBMODULES)? else { return Ok(BTreeSet::new()) };
        let Ok(file) = self.objects.find_blob(id) else { return Ok(BTreeSet::new()) };
        let lines = file.content().split(|byte| *byte == b'\n');
        let paths = lines.filter_map(|line| {
            let (key, value) = std::str::from_utf8(line).ok()?.split_once('=')?;
            let value = value.trim().trim_matches('"').trim_end_matches('/');
            (key.trim() == "path").then(|| value.as_bytes().to_vec())
        });
        Ok(paths.collect())
    }
}

/// What stands at a path of a tree.
fn at(tree: &Tree<'_>, path: &[u8]) -> Result<Option<Oid>, GitError> {
    match tree.get_path(Path::new(OsStr::from_bytes(path))) {
        Ok(entry) => Ok(Some(entry.id())),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}
