use std::sync::{Arc, Mutex};

use base64::Engine as _;
use proptest::prelude::*;
use sprint_core::fuzz::bytes;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;

const TIP: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A server that wants a password, and what it was shown; it has nothing, also for those who know one.
async fn server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let shown = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&shown);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (read, mut write) = stream.split();
            let mut lines = BufReader::new(read).lines();
            let mut answer = "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"";
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(value) = line.strip_prefix("Authorization: Basic ") {
                    seen.lock().expect("not poisoned").push(value.to_owned());
                    answer = "403 Forbidden";
                }
                if line.is_empty() {
                    let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    write.write_all(answer.as_bytes()).await.ok();
                    break;
                }
            }
        }
    });
    (address, shown)
}

#[tokio::test]
async fn a_password_reaches_the_server_and_no_message() {
    let (host, shown) = server().await;
    let dir = tempfile::tempdir().expect("a directory");
    let address = RepoAddress::new(format!("http://ann:hunter2%40x@{host}/web.git")).expect("an address");
    let error = find(dir.path(), &Reach::new(&address), None).await.expect_err("there is nothing").to_string();
    assert!(error.contains(&format!("http://***@{host}/web.git")) && !error.contains("hunter2"), "{error}");
    let expected = base64::engine::general_purpose::STANDARD.encode("ann:hunter2@x");
    assert!(shown.lock().expect("not poisoned").contains(&expected), "{shown:?}");
}

#[tokio::test]
async fn a_token_that_is_refused_is_in_no_message() {
    // No server listens there.
    let dir = tempfile::tempdir().expect("a directory");
    for url in ["https://hunter2token@127.0.0.1:1/web.git", "https://ann:hunter2token@127.0.0.1:1/web.git"] {
        let address = RepoAddress::new(url).expect("an address");
        let error = find(dir.path(), &Reach::new(&address), None).await.expect_err("no server answers");
        let text = format!("{error} {error:?}");
        assert!(text.contains("https://***@127.0.0.1:1/web.git") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_secret_is_for_its_own_server_only() {
    for (url, expected) in [
        ("https://example.org/a/b.git", "https://example.org"),
        ("https://example.org:8443/a", "https://example.org:8443"),
        ("https://example.org", "https://example.org"),
        ("https:///example.org/a", "https:///example.org"),
        ("https::https://example.org/a", "https://example.org"),
        ("http://[::1]:8080/a", "http://[::1]:8080"),
    ] {
        assert_eq!(origin(url), expected);
    }
}

#[test]
fn the_words_of_a_failure_are_told_from_what_git_always_says() {
    let github = "remote: error: GH006: Protected branch update failed for refs/heads/main.        \nremote: \n\
                  remote: - Changes must be made through a pull request.\nremote: ==========\n\
                  warning: core.fsyncObjectFiles is deprecated; use core.fsync instead\n\
                  error: failed to push some refs to 'https://example.org/web.git'\nhint: see the manual\n";
    let said = "GH006: Protected branch update failed for refs/heads/main.; \
                - Changes must be made through a pull request.";
    assert_eq!(words(github), said);
    let ssh = "git@example.org: Permission denied (publickey).\nfatal: Could not read from remote repository.\n\n\
               Please make sure you have the correct access rights\nand the repository exists.\n";
    assert_eq!(words(ssh), "git@example.org: Permission denied (publickey).");
    // A person who writes a hook chooses the words.
    for hook in ["To push here, open a request", "Done for today", "warning: frozen", "hint: ask Ann"] {
        assert_eq!(words(&format!("remote: {hook}\n")), hook);
    }
    assert_eq!(words(""), "");
}

#[test]
fn the_reason_of_a_refusal_is_read() {
    let printed = |reason: &str| format!("To /srv/web\n!\t{TIP}:refs/heads/main\t{reason}\nDone\n");
    assert_eq!(refusal(&printed("[rejected] (stale info)")), Some("stale info"));
    assert_eq!(refusal(&printed("[remote rejected] (pre-receive hook declined)")), Some("pre-receive hook declined"));
    assert_eq!(refusal(&format!("To /srv/web\n*\t{TIP}:refs/heads/main\t[new branch]\nDone\n")), None);
    assert_eq!(refusal(""), None);
}

/// Between our fetch and our push somebody may move the upstream's branch back: then what was removed there would come
/// again, as a push that git takes for a usual one.
#[tokio::test]
async fn a_push_goes_only_where_the_branch_is_expected() {
    let dir = tempfile::tempdir().expect("a directory");
    let theirs = git2::Repository::init_bare(dir.path().join("theirs.git")).expect("is made");
    let signature = git2::Signature::now("a", "a@b").expect("a signature");
    let tree =
        theirs.find_tree(theirs.treebuilder(None).expect("a builder").write().expect("a tree")).expect("is there");
    let first = theirs.commit(Some("refs/heads/main"), &signature, &signature, "one", &tree, &[]).expect("is made");
    let parent = theirs.find_commit(first).expect("is there");
    let second =
        theirs.commit(Some("refs/heads/main"), &signature, &signature, "two", &tree, &[&parent]).expect("is made");
    let address = RepoAddress::new(theirs.path().display().to_string()).expect("an address");
    let path = dir.path().join("ours.git");
    let (_, tip) = clone(&path, &address, Some("main")).await.expect("is cloned");
    assert_eq!(tip.as_str(), second.to_string());
    let ours = GitRepo::open(path).expect("opens");

    theirs.reference("refs/heads/main", first, true, "moved back").expect("is moved");
    let pushed = ours.push_upstream(&address, "main", Some(&tip), &tip).await.expect("an answer");
    assert_eq!(pushed, Pushed::Diverged);
    assert_eq!(theirs.refname_to_id("refs/heads/main").expect("is there"), first, "it stays where it was put");
    let first = CommitId::new(first.to_string()).expect("a commit");
    let rewrite = UpstreamRewrite { was: tip.clone(), now: first.clone() };
    assert_eq!(ours.fetch_upstream(&address, "main").await.expect("an answer"), Fetched::Rewritten(rewrite));
    assert_eq!(ours.upstream_seen("main").expect("is read"), Some(tip.clone()), "until a person has decided");
    assert_eq!(ours.push_upstream(&address, "main", Some(&first), &tip).await.expect("an answer"), Pushed::Done);
    assert_eq!(ours.push_upstream(&address, "main", None, &first).await.expect("an answer"), Pushed::Diverged);
}

proptest! {
    /// Whatever a server says that it has, a branch is one with a tip.
    #[test]
    fn fuzz_any_answer_of_an_upstream_is_read(
        printed in bytes(vec![format!("ref: refs/heads/main\tHEAD\n{TIP}\tHEAD\n{TIP}\trefs/heads/main\n").into_bytes()])
    ) {
        let printed = String::from_utf8_lossy(&printed);
        let (head, branches) = branches(&printed);
        prop_assert!(head.is_none_or(|head| !head.contains(['\n', '\t'])));
        prop_assert!(branches.len() <= printed.lines().count());
        for (name, tip) in branches {
            let line = format!("{tip}\trefs/heads/{name}");
            prop_assert!(printed.lines().any(|printed| printed == line));
        }
    }
}
