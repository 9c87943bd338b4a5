//! What differs between two trees. libgit2's own comparison makes a list of deltas with paths, statistics and
//! similarities for later; a landing only asks for paths, several times.

use git2::{ObjectType, Oid, Repository, TreeEntry};

use super::GitError;

/// A pair of directories that differ, of which one may be missing.
struct Pair {
    path: Vec<u8>,
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
    mut visit: impl FnMut(&[u8], Option<&TreeEntry<'_>>) -> Result<(), GitError>,
) -> Result<(), GitError> {
    let mut open = vec![Pair { path: vec![], from, to }];
    while let Some(Pair { path, from, to }) = open.pop() {
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
            let path = below(old.name_bytes());
            if is_tree(&old) {
                let to = new.filter(is_tree).map(|new| new.id());
                open.push(Pair { path, from: Some(old.id()), to });
            } else {
                visit(&path, new.as_ref().filter(|new| !is_tree(new)))?;
            }
        }
        for new in to.iter().flatten() {
            let old = from.as_ref().and_then(|from| from.get_name_bytes(new.name_bytes()));
            match (is_tree(&new), old.map(|old| is_tree(&old))) {
                // Seen from the other side.
                (true, Some(true)) | (false, Some(false)) => {}
                (true, _) => open.push(Pair { path: below(new.name_bytes()), from: None, to: Some(new.id()) }),
                (false, _) => visit(&below(new.name_bytes()), Some(&new))?,
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
        differences(objects, from, to, |path, _| {
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
    fn trees_as_deep_as_any_are_compared() {
        let directory = tempfile::tempdir().expect("a directory");
        let objects = Repository::init_bare(directory.path()).expect("a repository");
        let mut tree = write(&objects, &Files::from([("f".to_owned(), (1, 0o100_644))]));
        for _ in 0..5_000 {
            let mut builder = objects.treebuilder(None).expect("a builder");
            builder.insert("d", tree, 0o040_000).expect("is inserted");
            tree = builder.write().expect("a tree");
        }
        assert_eq!(ours(&objects, None, Some(tree)), ["d/".repeat(5_000) + "f"]);
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
