//! The `.gitattributes` of a commit. A merge goes by them (`merge=union`, `-merge`, `binary`), and git reads them from a
//! checkout, which a bare repository has not: so they are written to a directory that has nothing else.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use git2::{ObjectType, Oid, Repository, Tree};

use super::GitError;
use super::directory::remove_dir;

const NAME: &[u8] = b".gitattributes";

/// What stands in the `.gitattributes` of a tree, by their paths.
pub(super) struct Attributes {
    tree: Oid,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Attributes {
    pub(super) fn of(objects: &Repository, tree: &Tree<'_>) -> Result<Self, GitError> {
        let mut files = BTreeMap::new();
        collect(objects, tree, Path::new(""), &mut files)?;
        Ok(Self { tree: tree.id(), files })
    }

    /// Whether these are those of another tree as well; only what the two trees do not share is looked at.
    pub(super) fn are_of(&mut self, objects: &Repository, tree: &Tree<'_>) -> Result<bool, GitError> {
        let known = objects.find_tree(self.tree)?;
        let diff = objects.diff_tree_to_tree(Some(&known), Some(tree), None)?;
        let is_one = |file: git2::DiffFile<'_>| file.path_bytes().is_some_and(|path| path.ends_with(NAME));
        let same = !diff.deltas().any(|delta| is_one(delta.old_file()) || is_one(delta.new_file()));
        if same {
            self.tree = tree.id();
        }
        Ok(same)
    }

    /// Writes them as a checkout has them, and nothing else.
    pub(super) fn write(&self, checkout: &Path) -> Result<(), GitError> {
        remove_dir(checkout)?;
        std::fs::create_dir_all(checkout)?;
        for (path, content) in &self.files {
            let path = checkout.join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(checkout))?;
            std::fs::write(path, content)?;
        }
        Ok(())
    }
}

fn collect(
    objects: &Repository,
    tree: &Tree<'_>,
    at: &Path,
    files: &mut BTreeMap<PathBuf, Vec<u8>>,
) -> Result<(), GitError> {
    for entry in tree {
        let path = at.join(OsStr::from_bytes(entry.name_bytes()));
        // Trees are what workers push: nothing may lead out of the directory.
        if !matches!(path.components().next_back(), Some(Component::Normal(_))) || path.is_absolute() {
            continue;
        }
        match entry.kind() {
            Some(ObjectType::Tree) => collect(objects, &objects.find_tree(entry.id())?, &path, files)?,
            // As a link it does not count.
            Some(ObjectType::Blob) if entry.name_bytes() == NAME && entry.filemode() != 0o120_000 => {
                files.insert(path, objects.find_blob(entry.id())?.content().to_vec());
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}
