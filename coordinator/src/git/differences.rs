//! What differs between two trees. libgit2's own comparison makes a list of deltas with paths, statistics and
//! similarities for later; a landing only asks for paths, several times.

use git2::{ObjectType, Oid, Repository, TreeEntry};

use sprint_core::bounds::{CHANGED_FILES, DEPTH, TREE_FILES};

use super::GitError;

/// How many differences may be looked at, and how deep: trees are what others push, and a few small ones name a million
/// files.
pub(super) struct Budget {
    most: usize,
    left: usize,
}

impl Budget {
    /// For what a change brings.
    pub(super) const fn of_change() -> Self {
        Self { most: CHANGED_FILES, left: CHANGED_FILES }
    }

    /// For all of a tree that has landed.
    pub(super) const fn of_tree() -> Self {
        Self { most: TREE_FILES, left: TREE_FILES }
    }

    fn take(&mut self) -> Result<(), GitError> {
        let beyond = || GitError::Beyond { what: "it touches".to_owned(), most: self.most, unit: "files" };
        self.left = self.left.checked_sub(1).ok_or_else(beyond)?;
        Ok(())
    }
}

fn too_deep() -> GitError {
    GitError::Beyond { what: "its directories lie within each other".to_owned(), most: DEPTH, unit: "times" }
}

/// A pair of directories that differ, of which one may be missing.
struct Pair {
    path: Vec<u8>,
    depth: usize,
    from: Option<Oid>,
    to: Option<Oid>,
}

/// Visits each file, link and submodule whose content or mode differs between two trees, with its path and what
/// stands there in the second; a tree that is missing is empty.
///
/// The trees are those that workers push, so their depth is not trusted to fit on the stack.
pub(super) fn differences(
    objects: &Repository,
    from: Option<Oid>,
    to: Option<Oid>,
    budget: &mut Budget,
    mut visit: impl FnMut(&[u8], Option<&TreeEntry<'_>>) -> Result<(), GitError>,
) -> Result<(), GitError> {
    let mut open = vec![Pair { path: vec![], depth: 0, from, to }];
    while let Some(Pair { path, depth, from, to }) = open.pop() {
        if depth > DEPTH {
            return Err(too_deep());
        }
        let depth = depth + 1;
        if from == to {
            continue;
        }
        let find = |tree: Option<Oid>| tree.map(|tree| objects.find_tree(tree)).transpose();
        let (from, to) = (find(from)?, find(to)?);
        let below = |name: &[u8]| [&path[..], if path.is_empty() { &b""[..] } else { b"/" }, name].concat();
        for old in from.iter().flatten() {
            let new = to.as_ref().and_then(|to| to.get_name_bytes(old.name_bytes()));
            if new.as_ref().is_some_and(|new| new.id() == old.id() && new.filemode() == old.filemode()) {
                continue;
            }
            budget.take()?;
            let path = below(old.name_bytes());
            if is_tree(&old) {
                let to = new.filter(is_tree).map(|new| new.id());
                open.push(Pair { path, depth, from: Some(old.id()), to });
            } else {
                visit(&path, new.as_ref().filter(|new| !is_tree(new)))?;
            }
        }
        for new in to.iter().flatten() {
            let old = from.as_ref().and_then(|from| from.get_name_bytes(new.name_bytes()));
            match (is_tree(&new), old.map(|old| is_tree(&old))) {
                // Seen from the other side.
                (true, Some(true)) | (false, Some(false)) => {}
                (true, _) => {
                    budget.take()?;
                    open.push(Pair { path: below(new.name_bytes()), depth, from: None, to: Some(new.id()) });
                }
                (false, _) => {
                    budget.take()?;
                    visit(&below(new.name_bytes()), Some(&new))?;
                }
            }
        }
    }
    Ok(())
}

fn is_tree(entry: &TreeEntry<'_>) -> bool {
    entry.kind() == Some(ObjectType::Tree)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use git2::DiffOptions;
    use proptest::prelude::*;

    use super::*;

    /// Files by their paths; a name with another below it is a directory.
    type Files = BTreeMap<String, (u8, i32)>;

    fn write(objects: &Repository, files: &Files) -> Oid {
        let mut builder = objects.treebuilder(None).expect("a builder");
        let mut below: BTreeMap<&str, Files> = BTreeMap::new();
        for (path, file) in files {
            if let Some((directory, rest)) = path.split_once('/') {
                below.entry(directory).or_default().insert(rest.to_owned(), *file);
            }
        }
        for (path, (content, mode)) in files {
            if !path.contains('/') && !below.contains_key(path.as_str()) {
                let blob = objects.blob(&[*content]).expect("a blob");
                builder.insert(path, blob, *mode).expect("is inserted");
            }
        }
        for (directory, files) in below {
            builder.insert(directory, write(objects, &files), 0o040_000).expect("is inserted");
        }
        builder.write().expect("a tree")
    }

    fn ours(objects: &Repository, from: Option<Oid>, to: Option<Oid>) -> Vec<String> {
        let mut paths = vec![];
        differences(objects, from, to, &mut Budget::of_change(), |path, _| {
            paths.push(String::from_utf8_lossy(path).into_owned());
            Ok(())
        })
        .expect("is compared");
        paths
    }

    /// What libgit2 says.
    fn theirs(objects: &Repository, from: Oid, to: Oid) -> BTreeSet<String> {
        let tree = |oid| objects.find_tree(oid).expect("a tree");
        let mut options = DiffOptions::new();
        options.include_typechange(true);
        let diff = objects.diff_tree_to_tree(Some(&tree(from)), Some(&tree(to)), Some(&mut options)).expect("a diff");
        let files = diff.deltas().flat_map(|delta| [delta.old_file().path_bytes(), delta.new_file().path_bytes()]);
        files.flatten().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
    }

    fn files() -> impl Strategy<Value = Files> {
        let name = prop_oneof![Just("a"), Just("a.b"), Just("b"), Just("é")];
        let path = prop::collection::vec(name, 1..4).prop_map(|names| names.join("/"));
        let mode = prop_oneof![Just(0o100_644), Just(0o100_755), Just(0o120_000)];
        prop::collection::btree_map(path, (0_u8..3, mode), 0..8)
    }

    #[test]
    fn deep_trees_and_large_ones_are_compared_up_to_a_bound() {
        let directory = tempfile::tempdir().expect("a directory");
        let objects = Repository::init_bare(directory.path()).expect("a repository");
        let mut tree = write(&objects, &Files::from([("f".to_owned(), (1, 0o100_644))]));
        let deeper = |tree, names: &[&str]| {
            let mut builder = objects.treebuilder(None).expect("a builder");
            for name in names {
                builder.insert(name, tree, 0o040_000).expect("is inserted");
            }
            builder.write().expect("a tree")
        };
        let refused = |tree| {
            let look = |_: &[u8], _: Option<&TreeEntry<'_>>| Ok(());
            let compared = differences(&objects, None, Some(tree), &mut Budget::of_change(), look);
            compared.expect_err("is beyond").to_string()
        };
        let file = tree;
        for _ in 0..DEPTH {
            tree = deeper(tree, &["d"]);
        }
        assert_eq!(ours(&objects, None, Some(tree)), ["d/".repeat(DEPTH) + "f"]);
        assert!(refused(deeper(tree, &["d"])).contains("within each other more than 1000 times"));
        // Seven small trees name ten million files.
        let names = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let bomb = (0..7).fold(file, |tree, _| deeper(tree, &names));
        assert!(refused(bomb).contains("it touches more than 100000 files"));
    }

    proptest! {
        /// The same paths as libgit2 finds, each once.
        #[test]
        fn two_trees_differ_where_libgit2_says_so(from in files(), to in files()) {
            let directory = tempfile::tempdir().expect("a directory");
            let objects = Repository::init_bare(directory.path()).expect("a repository");
            let (from, to) = (write(&objects, &from), write(&objects, &to));
            let found = ours(&objects, Some(from), Some(to));
            let set: BTreeSet<String> = found.iter().cloned().collect();
            prop_assert_eq!(found.len(), set.len());
            prop_assert_eq!(set, theirs(&objects, from, to));
        }
    }
}
