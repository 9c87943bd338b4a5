//! What a worker's repository names besides its own branch: the branch that the work is for, and the upstream's tags
//! and branches.
//!
//! It is written as one file of packed refs, and kept beside the workspace: what a worker has made is told from what it
//! was given.

use std::collections::HashSet;
use std::io::Write as _;

use sprint_core::assignment::TargetBranch;
use sprint_core::ids::CommitId;

/// What the file begins with: tags come with the commits that they name.
const HEADER: &[u8] = b"# pack-refs with: peeled fully-peeled \n";

/// Where a push goes: nowhere, and git says this sentence with its refusal.
const NO_PUSH: &str = "nothing is pushed from here, since Sprint takes the commits of HEAD when the command has ended";

/// How `git for-each-ref` lists refs so that [`packed`] reads them.
pub(super) const FORMAT: &str = "--format=%(objectname) %(refname)%0a^%(*objectname)";

/// The lines of a file of packed refs, from what git lists in [`FORMAT`].
pub(super) fn packed(listed: &[u8]) -> Vec<u8> {
    // What a ref names itself needs no second line.
    let lines = listed.split_inclusive(|byte| *byte == b'\n').filter(|line| line.trim_ascii() != b"^");
    lines.flatten().copied().collect()
}

/// The refs that a worker is given, as a file of packed refs: `shared` ones, and the target branch.
pub(super) fn given(shared: &[u8], target: Option<&TargetBranch>, own: Option<&str>) -> Vec<u8> {
    let Some(TargetBranch { name, tip, origin: _ }) = target else { return [HEADER, shared].concat() };
    let upstream = format!(" refs/remotes/origin/{name}").into_bytes();
    let mut text = HEADER.to_vec();
    for line in shared.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.trim_ascii_end().ends_with(&upstream))
    {
        text.extend_from_slice(line);
    }
    let mut add = |name: &str| writeln!(text, "{tip} {name}").unwrap_or_default();
    add(&format!("refs/remotes/origin/{name}"));
    // A branch cannot have the name of another's directory.
    if !own.is_some_and(|own| own.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))) {
        add(&format!("refs/heads/{name}"));
    }
    text
}

/// A line for a ref.
pub(super) fn line(commit: &CommitId, name: &str) -> Vec<u8> {
    format!("{commit} {name}\n").into_bytes()
}

/// What a worker's configuration says of the upstream.
pub(super) fn remote(target: &TargetBranch) -> String {
    let Some(origin) = &target.origin else { return String::new() };
    let (origin, name) = (quoted(origin), quoted(&target.name));
    format!(
        "[remote \"origin\"]\n\turl = {origin}\n\tpushurl = {}\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n\
         [branch {name}]\n\tremote = origin\n\tmerge = {}\n",
        quoted(NO_PUSH),
        quoted(&format!("refs/heads/{}", target.name)),
    )
}

/// A value of git's configuration, whatever is in it.
pub(super) fn quoted(value: &str) -> String {
    let plain: String = value.chars().filter(|char| !char.is_control()).collect();
    format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The refs of a file of packed refs.
#[derive(Debug, Default)]
pub(super) struct Given<'a> {
    lines: HashSet<&'a [u8]>,
}

impl<'a> Given<'a> {
    pub(super) fn read(text: &'a [u8]) -> Self {
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#"));
        Self { lines: lines.collect() }
    }

    /// Whether a line of such a file is one of them.
    pub(super) fn has(&self, line: &[u8]) -> bool {
        self.lines.contains(line)
    }

    /// The objects that they name, and those that their tags name.
    pub(super) fn objects(&self) -> HashSet<&'a [u8]> {
        let object = |line: &&'a [u8]| match line.strip_prefix(b"^") {
            Some(peeled) => peeled,
            None => line.split(|byte| *byte == b' ').next().unwrap_or_default(),
        };
        self.lines.iter().map(object).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    fn target(name: &str) -> TargetBranch {
        let tip = CommitId::new(TWO).expect("is a commit");
        TargetBranch { name: name.to_owned(), tip, origin: Some("https://example.org/a\"b.git".to_owned()) }
    }

    #[test]
    fn the_target_branch_is_where_the_work_began_and_tags_come_with_what_they_name() {
        let listed = format!("{ONE} refs/remotes/origin/main\n^\n{ONE} refs/tags/v1\n^{TWO}\n{ONE} refs/tags/v2\n^\n");
        let text = given(&packed(listed.as_bytes()), Some(&target("main")), Some("sprint/7/1"));
        let expected = format!(
            "# pack-refs with: peeled fully-peeled \n{ONE} refs/tags/v1\n^{TWO}\n{ONE} refs/tags/v2\n{TWO} refs/remotes/origin/main\n{TWO} refs/heads/main\n"
        );
        assert_eq!(String::from_utf8_lossy(&text), expected);
        let given = Given::read(&text);
        assert!(
            given.has(format!("{ONE} refs/tags/v1").as_bytes()) && !given.has(format!("{TWO} refs/tags/v1").as_bytes())
        );
        assert_eq!(given.objects(), HashSet::from([ONE.as_bytes(), TWO.as_bytes()]));
    }

    #[test]
    fn a_target_branch_in_the_way_of_the_workers_own_is_the_upstreams_only() {
        for (name, has) in [("sprint", false), ("sprint/7", false), ("sprint/7/1", false), ("sprint/70", true)] {
            let text = given(b"", Some(&target(name)), Some("sprint/7/1"));
            let text = String::from_utf8_lossy(&text).into_owned();
            assert_eq!(text.contains(&format!("refs/heads/{name}\n")), has, "{text}");
            assert!(text.contains(&format!("refs/remotes/origin/{name}\n")), "{text}");
        }
    }

    #[test]
    fn an_address_cannot_leave_its_place_in_the_configuration() {
        let text = remote(&target("ma\nin"));
        assert!(text.contains(r#"url = "https://example.org/a\"b.git""#), "{text}");
        assert!(text.contains("[branch \"main\"]"), "{text}");
    }
}
