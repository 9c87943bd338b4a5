//! The `.gitattributes` of a commit. A merge goes by them (`merge=union`, `-merge`, `binary`), and git reads them from a
//! checkout, which a bare repository has not: so they are written to a directory that has nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid, Repository, Tree};
use sprint_core::bounds::{ALL_ATTRIBUTES, ATTRIBUTES};
use sprint_core::inner_path::InnerPath;

use super::GitError;
use super::differences::{Budget, differences};
use super::directory::remove_dir;

const NAME: &[u8] = b".gitattributes";

/// What stands in the `.gitattributes` of a tree, by their paths.
pub(super) struct Attributes {
    tree: Oid,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Attributes {
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { tree: Oid::ZERO_SHA1, files: BTreeMap::new() }
    }

    pub(super) fn of(objects: &Repository, tree: &Tree<'_>) -> Result<Self, GitError> {
        const WHAT: &str = "its .gitattributes have";
        let mut files = BTreeMap::new();
        let mut left = ALL_ATTRIBUTES;
        differences(objects, None, Some(tree.id()), &mut Budget::of_tree(), |path, entry| {
            // As a link it does not count.
            let file = entry.filter(|entry| is_one(entry.name_bytes()) && entry.filemode() != 0o120_000);
            // Trees are what others push: what leads out of the directory is no place that git merges at either.
            if let Some(file) = file.filter(|file| file.kind() == Some(ObjectType::Blob))
                && let Ok(path) = InnerPath::new(path)
            {
                let path = path.as_path();
                let bytes = objects.odb()?.read_header(file.id())?.0;
                let beyond = |what: String, most| GitError::Beyond { what, most, unit: "bytes" };
                if bytes > ATTRIBUTES {
                    return Err(beyond(format!("{} has", path.display()), ATTRIBUTES));
                }
                left = left.checked_sub(bytes).ok_or_else(|| beyond(WHAT.to_owned(), ALL_ATTRIBUTES))?;
                files.insert(path.to_owned(), objects.find_blob(file.id())?.content().to_vec());
            }
            Ok(())
        })?;
        Ok(Self { tree: tree.id(), files })
    }

    /// Whether these are those of another tree as well; only what the two trees do not share is looked at.
    pub(super) fn are_of(&mut self, objects: &Repository, tree: &Tree<'_>) -> Result<bool, GitError> {
        let mut same = true;
        differences(objects, Some(self.tree), Some(tree.id()), &mut Budget::of_tree(), |path, _| {
            same &= !is_at(path);
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

/// Whether a path is that of one.
pub(super) fn is_at(path: &[u8]) -> bool {
    is_one(path.rsplit(|byte| *byte == b'/').next().unwrap_or(path))
}

fn is_one(name: &[u8]) -> bool {
    name == NAME
}
