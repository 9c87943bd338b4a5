use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use super::*;

fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Runs git with an input; answers the first line that it printed.
fn line(command: &mut Command, input: &str) -> String {
    let mut child = command.spawn().expect("git starts");
    child.stdin.take().expect("is piped").write_all(input.as_bytes()).expect("is written");
    let output = child.wait_with_output().expect("git ends");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}

/// A mirror with more packs than it may have, and a loose object; no ref reaches any of them.
async fn untidy(path: &Path) -> (Mirror, Vec<String>) {
    let mirror = Mirror::new(path.to_owned());
    mirror.create().await.expect("is made");
    let blob = |text: String| line(git(path).args(["hash-object", "-w", "--stdin"]), &text);
    let mut blobs: Vec<String> = (0..PACK_FILES / 2).map(|number| blob(format!("blob {number}"))).collect();
    for id in &blobs {
        line(git(path).args(["pack-objects", "--quiet", "objects/pack/pack"]), &format!("{id}\n"));
    }
    line(git(path).arg("prune-packed"), "");
    blobs.push(blob("loose".to_owned()));
    (mirror, blobs)
}

/// A git that reads objects one by one, as a worker's may, which runs all the time.
struct Reader(Child, BufReader<std::process::ChildStdout>);

impl Reader {
    fn start(repository: &Path) -> Self {
        let mut child = git(repository).args(["cat-file", "--batch-check"]).spawn().expect("git starts");
        let output = BufReader::new(child.stdout.take().expect("is piped"));
        Self(child, output)
    }

    fn has(&mut self, id: &str) -> bool {
        let mut answer = String::new();
        writeln!(self.0.stdin.as_mut().expect("is piped"), "{id}").expect("is written");
        self.1.read_line(&mut answer).expect("is read");
        answer.contains(" blob ")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// As a fetch leaves it that is ended in its midst, with the worker that wanted it: commits come first.
#[tokio::test]
async fn a_commit_without_its_tree_or_its_files_is_not_held() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("web.git");
    let mirror = Mirror::new(path.clone());
    mirror.create().await.expect("is made");
    let blob = line(git(&path).args(["hash-object", "-w", "--stdin"]), "content");
    let tree = line(git(&path).arg("mktree"), &format!("100644 blob {blob}\tfile\n"));
    let mut commit = git(&path);
    commit.args(["-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", "-m", "x", &tree]);
    let commit = CommitId::new(line(&mut commit, "")).expect("a commit");
    assert!(mirror.holds(&commit).await);
    for object in [&tree, &blob] {
        let file = path.join("objects").join(&object[..2]).join(&object[2..]);
        let away = dir.path().join("away");
        fs::rename(&file, &away).expect("is renamed");
        assert!(!mirror.holds(&commit).await, "without {object}");
        fs::rename(&away, &file).expect("is renamed");
    }
    assert!(mirror.holds(&commit).await);
    // A ref that nobody needs any more goes with the lock that an ended fetch has left, also where there is none.
    fs::create_dir_all(path.join("refs/sprint/base")).expect("is made");
    fs::write(path.join("refs/sprint/base/7.lock"), "").expect("is written");
    mirror.remove_ref("refs/sprint/base/7").await.expect("is removed");
    assert!(!path.join("refs/sprint/base/7.lock").exists());
}

#[tokio::test]
async fn a_mirror_is_packed_and_who_borrows_from_it_finds_everything() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mirror, blobs) = untidy(&dir.path().join("web.git")).await;
    let borrower = dir.path().join("worker");
    Command::new("git").args(["init", "--quiet"]).arg(&borrower).status().expect("git runs");
    let objects = mirror.path().join("objects");
    fs::write(borrower.join(".git/objects/info/alternates"), format!("{}\n", objects.display())).expect("is written");
    let mut began_before = Reader::start(&borrower);
    assert!(began_before.has(&blobs[0]));
    assert!(mirror.is_untidy());
    mirror.pack().await.expect("is packed");
    assert!(!mirror.is_untidy());
    let packs = fs::read_dir(objects.join("pack")).expect("is there").flatten();
    assert_eq!(packs.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "pack")).count(), 1);
    let mut begins_after = Reader::start(&borrower);
    assert!(blobs.iter().all(|blob| began_before.has(blob) && begins_after.has(blob)));
    // Nothing is left to do.
    mirror.pack().await.expect("is nothing");
    assert!(blobs.iter().all(|blob| begins_after.has(blob)));
}

#[tokio::test]
async fn a_mirror_whose_packing_was_killed_is_packed_after_the_next_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mirror, blobs) = untidy(&dir.path().join("web.git")).await;
    let half = ["packed-refs.new", "packed-refs.lock", "objects/pack/tmp_pack_x", "objects/pack/.tmp-1-pack-y.pack"];
    for name in half {
        fs::write(mirror.path().join(name), "half").expect("is written");
    }
    let began = std::time::SystemTime::now() + Duration::from_secs(1);
    super::super::locks::sweep(dir.path(), began);
    assert!(half.iter().all(|name| !mirror.path().join(name).exists()));
    mirror.pack().await.expect("is packed");
    let mut reader = Reader::start(mirror.path());
    assert!(!mirror.is_untidy() && blobs.iter().all(|blob| reader.has(blob)));
}
