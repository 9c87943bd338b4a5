use git2::{Repository, Signature};
use sprint_core::config::MergeMethod;
use sprint_core::fixtures;
use sprint_core::ids::{Attempt, ChangeId, CommitId, ItemId};
use sprint_core::trial::Member;
use tempfile::TempDir;

use crate::differential::sprint;
use coordinator::git::{GitRepo, Merged};
use coordinator::service::Coordinator;
use coordinator::service::queue::merge::build::{Chain, chain};

/// A coordinator, and a repository whose commits the tests make.
struct Site {
    sprint: Coordinator,
    git: GitRepo,
    objects: Repository,
    _directory: TempDir,
}

impl Site {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bare.git");
        let objects = Repository::init_bare(&path).unwrap();
        let git = GitRepo::open(path).unwrap();
        Self { sprint: sprint(directory.path()).await, git, objects, _directory: directory }
    }

    /// A commit with just these files.
    fn commit(&self, parents: &[&CommitId], files: &[(&str, &str)]) -> CommitId {
        let mut builder = self.objects.treebuilder(None).unwrap();
        for (name, text) in files {
            builder.insert(name, self.objects.blob(text.as_bytes()).unwrap(), 0o100_644).unwrap();
        }
        let tree = self.objects.find_tree(builder.write().unwrap()).unwrap();
        let found = |id: &&CommitId| self.objects.find_commit(id.as_str().parse().unwrap()).unwrap();
        let parents = parents.iter().map(found).collect::<Vec<_>>();
        let signature = Signature::now("a", "a@b").unwrap();
        let parents = parents.iter().collect::<Vec<_>>();
        let made = self.objects.commit(None, &signature, &signature, "work\n", &tree, &parents).unwrap();
        CommitId::new(made.to_string()).unwrap()
    }

    async fn rebase(&self, base: &CommitId, heads: &[&CommitId]) -> Chain {
        let member = |(head, id): (&&CommitId, u64)| Member {
            change: ChangeId::new(id),
            item: ItemId::new(id),
            attempt: Attempt::new(1),
            head: (*head).clone(),
        };
        let members = heads.iter().zip(1..).map(member).collect::<Vec<_>>();
        chain(&self.sprint, &self.git, &fixtures::repo(), MergeMethod::Rebase, base, &members).await.unwrap()
    }

    fn file(&self, commit: &CommitId, name: &str) -> String {
        String::from_utf8(self.git.read_file(commit, name).unwrap().expect("it is there")).unwrap()
    }
}

#[tokio::test]
async fn merges_go_by_the_attributes_of_the_branch_and_by_new_ones_once_they_are_there() {
    let site = Site::new().await;
    let rules = [(".gitattributes", "log merge=union\nlock -merge\n")];
    let (log, lock) = (("log", "a\n"), ("lock", "1\n2\n3\n4\n5\n"));
    let bare = site.commit(&[], &[log, lock]);
    for (base, rules) in [(bare.clone(), &[][..]), (site.commit(&[&bare], &[rules[0], log, lock]), &rules[..])] {
        let with = |files: &[(&'static str, &'static str)]| site.commit(&[&base], &[rules, files].concat());
        let (one, other) = (with(&[("log", "a\nb\n"), lock]), with(&[("log", "a\nc\n"), lock]));
        let unions = matches!(site.git.merge(&one, &other).await.unwrap(), Merged::Clean { .. });
        assert_eq!(unions, !rules.is_empty());
        let (one, other) = (with(&[log, ("lock", "x\n2\n3\n4\n5\n")]), with(&[log, ("lock", "1\n2\n3\n4\nx\n")]));
        let merges = matches!(site.git.merge(&one, &other).await.unwrap(), Merged::Clean { .. });
        assert_eq!(merges, rules.is_empty());
    }
}

#[tokio::test]
async fn a_rebase_keeps_a_message_that_is_not_utf_8_and_says_how_it_is_written() {
    let site = Site::new().await;
    let base = site.commit(&[], &[("a", "1\n")]);
    let tip = site.commit(&[&base], &[("a", "1\n"), ("b", "2\n")]);
    let plain = site.commit(&[&base], &[("a", "1\n"), ("c", "3\n")]);
    let tree = site.git.tree_of(&plain).unwrap();
    for (encoding, message) in [(Some("ISO-8859-1"), &b"Gr\xfc\xdfe\n\nan alle\n"[..]), (None, b"\xff\xfe\n")] {
        let header = encoding.map_or_else(String::new, |encoding| format!("encoding {encoding}\n"));
        let text = format!("tree {tree}\nparent {base}\nauthor J\n");
        let text = text.replace("author J", "author J <j@x> 1700000000 +0100\ncommitter J <j@x> 1700000000 +0100");
        let bytes = [text.as_bytes(), header.as_bytes(), b"\n", message].concat();
        let made = site.objects.odb().unwrap().write(git2::ObjectType::Commit, &bytes).unwrap();
        let head = CommitId::new(made.to_string()).unwrap();
        let Chain::Whole { commit, .. } = site.rebase(&tip, &[&head]).await else { panic!("it merges") };
        let (kept, written) = site.git.message_bytes(&commit).unwrap();
        assert!(kept.starts_with(message.trim_ascii_end()), "{}", String::from_utf8_lossy(&kept));
        assert!(String::from_utf8_lossy(&kept).contains("Sprint-Change: 1"));
        assert_eq!(written.as_deref(), encoding);
        assert_eq!(site.git.author(&commit).unwrap(), "J <j@x>");
        assert_eq!(site.file(&commit, "b"), "2\n");
        assert_eq!(site.file(&commit, "c"), "3\n");
    }
}

#[tokio::test]
async fn histories_with_nothing_in_common_conflict_and_break_nothing() {
    let site = Site::new().await;
    let (main, orphan) = (site.commit(&[], &[("a", "a")]), site.commit(&[], &[("b", "b")]));
    assert_eq!(site.git.merge(&main, &orphan).await.unwrap(), Merged::Conflict { paths: vec![], why: None });
    let next = site.commit(&[&main], &[("a", "a"), ("c", "c")]);
    assert!(matches!(site.git.merge(&main, &next).await.unwrap(), Merged::Clean { .. }));
}

/// 20 kB on the wire: git would take 5 GB for the merge, and ten times that for a file ten times as long.
#[tokio::test]
async fn a_merge_that_needs_too_much_memory_is_refused_and_the_next_one_is_made() {
    let site = Site::new().await;
    let long = "\n".repeat(20_000_000);
    // Git complains of each line, before it says what it ends of.
    let noise = "x a/b\n".repeat(1_000);
    let begin = site.commit(&[], &[(".gitattributes", &noise), ("f", &long)]);
    let ours = site.commit(&[&begin], &[(".gitattributes", &noise), ("f", &format!("ours{long}"))]);
    let theirs = site.commit(&[&begin], &[(".gitattributes", &noise), ("f", &format!("{long}theirs"))]);
    let first = site.commit(&[&begin], &[(".gitattributes", &noise), ("f", &long), ("h", "h")]);
    assert!(matches!(site.git.merge(&ours, &first).await.unwrap(), Merged::Clean { .. }));
    let merged = site.git.merge(&ours, &theirs).await.unwrap();
    let Merged::Conflict { paths, why: Some(why) } = merged else { panic!("{merged:?}") };
    assert_eq!(paths, Vec::<String>::new());
    assert!(why.contains("needs more than 2147483648 bytes of memory"), "{why}");
    let other = site.commit(&[&begin], &[(".gitattributes", &noise), ("f", &long), ("g", "g")]);
    assert!(matches!(site.git.merge(&ours, &other).await.unwrap(), Merged::Clean { .. }));
}

/// As a fetch leaves it that is ended in its midst: commits come first.
#[tokio::test]
async fn a_commit_without_its_tree_is_not_whole() {
    let site = Site::new().await;
    let commit = site.commit(&[], &[("a", "a")]);
    assert!(site.git.is_whole(&commit).await.unwrap());
    let tree = site.git.tree_of(&commit).unwrap().to_string();
    let file = site.objects.path().join("objects").join(&tree[..2]).join(&tree[2..]);
    std::fs::remove_file(file).unwrap();
    assert!(site.git.holds(&commit).unwrap(), "the commit alone is here");
    assert!(!site.git.is_whole(&commit).await.unwrap());
}

#[tokio::test]
async fn a_branch_on_another_is_rebased_without_the_commits_of_the_other() {
    let site = Site::new().await;
    let begin = site.commit(&[], &[("a", "1\n")]);
    let one = site.commit(&[&begin], &[("a", "2\n")]);
    let one = site.commit(&[&one], &[("a", "3\n")]);
    let other = site.commit(&[&one], &[("a", "4\n")]);
    let main = site.commit(&[&begin], &[("a", "1\n"), ("b", "b\n")]);
    let Chain::Whole { commit, .. } = site.rebase(&main, &[&one, &other]).await else { panic!("they conflict") };
    assert_eq!(site.file(&commit, "a"), "4\n");
    assert_eq!(site.git.commits_since(&main, &commit).unwrap().len(), 3);
}

#[tokio::test]
async fn a_branch_that_ends_in_a_merge_has_its_trailers_when_it_is_rebased() {
    let site = Site::new().await;
    let begin = site.commit(&[], &[("a", "a")]);
    let work = site.commit(&[&begin], &[("a", "a"), ("b", "b")]);
    let main = site.commit(&[&begin], &[("a", "a"), ("c", "c")]);
    let head = site.commit(&[&work, &main], &[("a", "a"), ("b", "b"), ("c", "c")]);
    let Chain::Whole { commit, .. } = site.rebase(&main, &[&head]).await else { panic!("they conflict") };
    assert!(site.git.message(&commit).unwrap().contains("Sprint-Item: 1"));
    assert_eq!(site.git.commits_since(&main, &commit).unwrap().len(), 1);
}
