//! The `.gitattributes` of a commit. A merge goes by them (`merge=union`, `-merge`, `binary`), and git reads them from a
//! checkout, which a bare repository has not: so they are written to a directory that has nothing else.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use git2::{ObjectType, Oid, Repository, Tree};

use super::GitError;
use super::differences::differences;
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
        differences(objects, None, Some(tree.id()), |path, entry| {
            let path = Path::new(OsStr::from_bytes(path));
            // Trees are what workers push: nothing may lead out of the directory. As a link it does not count.
            let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
            let file = entry.filter(|entry| is_one(entry.name_bytes()) && entry.filemode() != 0o120_000);
            if let Some(file) = file.filter(|file| inside && file.kind() == Some(ObjectType::Blob)) {
                files.insert(path.to_owned(), objects.find_blob(file.id())?.content().to_vec());
            }
            Ok(())
        })?;
        Ok(Self { tree: tree.id(), files })
    }

    /// Whether these are those of another tree as well; only what the two trees do not share is looked at.
    pub(super) fn are_of(&mut self, objects: &Repository, tree: &Tree<'_>) -> Result<bool, GitError> {
        let mut same = true;
        differences(objects, Some(self.tree), Some(tree.id()), |path, _| {
            same &= !is_one(path.rsplit(|byte| *byte == b'/').next().unwrap_or(path));
            Ok(())
        })?;
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

fn is_one(name: &[u8]) -> bool {
    name == NAME
}
