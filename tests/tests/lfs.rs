//! Repositories with Git LFS: workers and gates find the objects, new ones are at the upstream before the branch is, and
//! nothing lands that nobody could get.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sprint_tests::{Cluster, OutpostOptions, Repo, eventually, git};

const ATTRIBUTES: &str = "*.bin filter=lfs diff=lfs merge=lfs -text\n";
const GATE: &str = "grep -q '^content' data.bin && ! grep -rq git-lfs.github.com --include='*.bin' .";

/// A person's clone whose git writes and reads files by Git LFS.
fn clone(directory: &Path, upstream: &Path) -> PathBuf {
    let clone = directory.to_owned();
    fs::create_dir_all(&clone).expect("is made");
    git(&clone, &["init", "-q", "-b", "main"]);
    git(&clone, &["remote", "add", "origin", &upstream.display().to_string()]);
    git(&clone, &["lfs", "install", "--local"]);
    clone
}

fn push(clone: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        fs::write(clone.join(name), content).expect("is written");
    }
    git(clone, &["add", "-A"]);
    git(clone, &["commit", "-qm", "by a person"]);
    git(clone, &["push", "-q", "origin", "main"]);
}

/// A cluster with a repo that has `data.bin` by Git LFS; the coordinator has options.
fn with_lfs(outposts: usize, options: &[&str]) -> (Cluster, Repo, PathBuf) {
    let cluster = Cluster::start_with(outposts, options);
    let upstream = cluster.path().join("web.git");
    git(cluster.path(), &["init", "-q", "--bare", "-b", "main", "web.git"]);
    let clone = clone(&cluster.path().join("made"), &upstream);
    let gate = format!("[[gate]]\nname = \"test\"\nrun = '''{GATE}'''\n");
    push(&clone, &[(".gitattributes", ATTRIBUTES), ("sprint.toml", &gate), ("data.bin", "content one\n")]);
    let options = ["repo", "add", "web", &upstream.display().to_string(), "--max-attempts", "1"];
    cluster.sprintctl(&options).succeeded();
    let repo = Repo { name: "web".to_owned(), upstream };
    (cluster, repo, clone)
}

fn add(cluster: &Cluster, repo: &Repo, title: &str, run: &str) -> u64 {
    cluster.add(repo, title, &format!("set -e; {run}; git add -A; git commit -qm x"))
}

fn blocked(cluster: &Cluster, id: u64) -> String {
    cluster.until(id, "blocked")["reason"].as_str().expect("a reason").to_owned()
}

/// What a person has after a pull.
fn pulled(clone: &Path, file: &str) -> String {
    git(clone, &["pull", "-q", "origin", "main"]);
    fs::read_to_string(clone.join(file)).unwrap_or_default()
}

#[test]
fn workers_and_gates_find_objects_and_new_ones_arrive() {
    let (cluster, repo, clone) = with_lfs(2, &[]);
    let look = format!("{GATE}; test -z \"$(git status --porcelain)\"; git lfs fsck; echo 'content two' > data.bin");
    let id = add(&cluster, &repo, "Changes it", &look);
    cluster.landed(&repo, id);
    assert_eq!(pulled(&clone, "data.bin"), "content two\n");
    assert_eq!(cluster.count(id, "work_left"), 0);

    // By whichever outpost; with a new file in a directory of its own.
    for number in 0..3 {
        let run = format!("grep -q two data.bin; mkdir -p d{number}; echo 'content {number}' > d{number}/new.bin");
        let id = add(&cluster, &repo, &format!("Adds {number}"), &run);
        cluster.landed(&repo, id);
        assert_eq!(pulled(&clone, &format!("d{number}/new.bin")), format!("content {number}\n"));
    }

    // A person moves it on; a worker goes back to what only the upstream has.
    push(&clone, &[("data.bin", "content three\n")]);
    push(&clone, &[("data.bin", "content four\n")]);
    cluster.sprintctl(&["repo", "fetch", "web"]).succeeded();
    let run = "grep -q four data.bin; git show HEAD^:data.bin > p; git update-index --cacheinfo \
               100644,$(git hash-object -w --no-filters p),data.bin; mv p data.bin; \
               git commit -qm back";
    let id = cluster.add(&repo, "Goes back", run);
    cluster.landed(&repo, id);
    assert_eq!(pulled(&clone, "data.bin"), "content three\n");
}

#[test]
fn nothing_lands_whose_object_nobody_has_and_no_worker_chooses_the_server() {
    let (cluster, repo, clone) = with_lfs(1, &[]);
    let nobody = "printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%064d\\nsize 3\\n' 7 > lost.bin";
    let unfiltered = "git -c filter.lfs.process= -c filter.lfs.clean=cat -c filter.lfs.required=false";
    let id = cluster.add(&repo, "Names what is not there", &format!("{nobody}; {unfiltered} add -A; git commit -qm x"));
    let reason = blocked(&cluster, id);
    let said = format!("lost.bin is a pointer of Git LFS, and nobody has its object {:064}", 7);
    assert!(reason.contains(&said), "{reason}");
    // An object that is not what its name says.
    let forges = "set -e; echo 'content x' | git lfs clean > p; git update-index --add --cacheinfo \
                  100644,$(git hash-object -w --no-filters p),x.bin; rm p; find .git/lfs/objects -type f -exec sed -i s/x/y/ {} +; \
                  git commit -qm x; git update-index --skip-worktree x.bin";
    let id = cluster.add(&repo, "Forges it", forges);
    let reason = blocked(&cluster, id);
    assert!(reason.contains("x.bin is a pointer of Git LFS"), "{reason}");

    let server = "git config -f .lfsconfig lfs.url https://evil.invalid/lfs";
    let id = add(&cluster, &repo, "Chooses a server", server);
    let reason = blocked(&cluster, id);
    assert!(reason.contains(".lfsconfig says which server has the objects"), "{reason}");
    // By other ways.
    for (title, ways) in [
        ("An include", "printf '[include]\\n\\tpath = x\\n' > .lfsconfig"),
        ("A link", "echo > x; ln -s x .lfsconfig"),
        ("A file that is none", "echo '[' > .lfsconfig"),
    ] {
        let id = cluster.add(&repo, title, &format!("{ways}; {unfiltered} add -A; git commit -qm x"));
        assert!(blocked(&cluster, id).contains(".lfsconfig says which server"), "{title}");
    }
    // As Git LFS reads it.
    let pointer = |more: &str| {
        format!(
            "printf '{more}version https://git-lfs.github.com/spec/v1\\next-0-foo sha256:%064d\\noid sha256:%064d\\nsize 0\\n' 1 7"
        )
    };
    for (title, more, said) in
        [("After a line", "\\n\\n", "x.bin is a pointer"), ("An extension", "", "needs an extension of Git LFS")]
    {
        let id =
            cluster.add(&repo, title, &format!("{} > x.bin; {unfiltered} add -A; git commit -qm x", pointer(more)));
        let reason = blocked(&cluster, id);
        assert!(reason.contains(said), "{title}: {reason}");
    }
    // A person does, and it counts.
    let own = cluster.path().join("other.git");
    git(cluster.path(), &["init", "-q", "--bare", "-b", "main", "other.git"]);
    let config = format!("[lfs]\n\turl = file://{}\n", own.display());
    push(&clone, &[(".lfsconfig", &config), ("data.bin", "content elsewhere\n")]);
    cluster.sprintctl(&["repo", "fetch", "web"]).succeeded();
    let id = add(&cluster, &repo, "Finds it", "grep -q elsewhere data.bin; echo 'content y' > y.bin");
    cluster.landed(&repo, id);
    assert_eq!(pulled(&clone, "y.bin"), "content y\n");
    assert!(own.join("lfs/objects").is_dir(), "the objects are at the server that the tree names");
}

#[test]
fn the_branch_waits_at_home_until_the_upstream_has_the_objects() {
    let (cluster, repo, clone) = with_lfs(1, &[]);
    let store = repo.upstream.join("lfs");
    let parked = repo.upstream.join("parked");
    fs::rename(&store, &parked).expect("is renamed");
    // The upstream has no object, and the file holds the pointer.
    let run = "grep -q oid data.bin && echo b > b && git add b && git commit -qm b";
    let id = cluster.add(&repo, "Finds a pointer", run);
    let said = || cluster.sprintctl(&["repo", "show", "web"]).succeeded().stderr;
    eventually("what is missing is named", || said().contains("pointers in the place of an object of Git LFS"));
    eventually("it has ended", || cluster.item(id)["stage"] == "merging");
    let log = cluster.sprintctl(&["worker", "logs", &cluster.workers(id)[0]["id"].to_string()]).succeeded().text();
    assert!(log.contains("some files hold pointers of Git LFS"), "{log}");
    cluster.sprintctl(&["item", "cancel", &id.to_string()]).succeeded();
    // Git LFS has looked there, and made it.
    fs::remove_dir_all(&store).ok();
    fs::rename(&parked, &store).expect("is renamed");
    let id = add(&cluster, &repo, "Reads it", "grep -q one data.bin; echo b > b");
    cluster.landed(&repo, id);
    assert!(!said().contains("Git LFS"), "{}", said());

    let before = repo.tip();
    fs::rename(&store, &parked).expect("is renamed");
    fs::write(&store, "in the way").expect("is written");
    let id = add(&cluster, &repo, "Adds another", "echo 'content c' > c.bin");
    eventually("the reason is said", || said().contains("objects of Git LFS cannot be delivered"));
    assert_eq!(repo.tip(), before, "the branch does not move before its objects");
    assert_eq!(cluster.item(id)["stage"], "merging");
    fs::remove_file(&store).expect("is removed");
    fs::rename(&parked, &store).expect("is renamed");
    cluster.landed(&repo, id);
    assert_eq!(pulled(&clone, "c.bin"), "content c\n");
}

/// An upstream that takes no pointer without its object, at the moment of the push.
#[test]
fn the_objects_are_there_before_the_branch_moves() {
    let (cluster, repo, clone) = with_lfs(1, &[]);
    let hook = repo.upstream.join("hooks/pre-receive");
    fs::create_dir_all(hook.parent().expect("has one")).expect("is made");
    let script = r#"#!/bin/sh
while read -r old new ref; do
    oid=$(git cat-file -p "$new:first.bin" | sed -n 's/^oid sha256://p')
    test -f "lfs/objects/$(echo "$oid" | cut -c1-2)/$(echo "$oid" | cut -c3-4)/$oid" || { echo "no object $oid yet"; exit 1; }
    echo "$oid" >> pushed
done
"#;
    fs::write(&hook, script).expect("is written");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("is set");
    let id = add(&cluster, &repo, "Adds one", "echo 'content first' > first.bin");
    cluster.landed(&repo, id);
    let pushed = fs::read_to_string(repo.upstream.join("pushed")).expect("the hook has run");
    assert_eq!(pushed.lines().count(), 1, "it was pushed once, and nothing was missing then: {pushed}");
    assert_eq!(pulled(&clone, "first.bin"), "content first\n");
}

#[test]
fn what_was_not_committed_comes_back_whole_also_from_a_backup() {
    let (mut cluster, repo, _) = with_lfs(1, &[]);
    let run = "git checkout -qb topic; echo 'content topic' > topic.bin; git add -A; git commit -qm topic; git checkout -q -; \
               echo 'content half' > half.bin; exit 1";
    let id = cluster.add(&repo, "Leaves half", run);
    blocked(&cluster, id);
    let restored = |cluster: &Cluster, name: &str| {
        let path = cluster.path().join(name);
        let home = cluster.path().join("home");
        fs::create_dir_all(&home).expect("is made");
        for (key, value) in [("smudge", "git-lfs smudge -- %f"), ("clean", "git-lfs clean -- %f"), ("required", "true")]
        {
            git(&home, &["config", "-f", ".gitconfig", &format!("filter.lfs.{key}"), value]);
        }
        let home = home.join(".gitconfig").display().to_string();
        let variables = [("GIT_CONFIG_GLOBAL", home.as_str())];
        let args = ["item", "restore", &id.to_string(), "--dir", &path.display().to_string()];
        cluster.sprintctl_with(&variables, &args).succeeded();
        let half = fs::read_to_string(path.join("half.bin")).expect("is there");
        fs::remove_file(path.join("half.bin")).expect("is removed");
        let filter = "filter.lfs.smudge=git-lfs smudge -- %f";
        git(&path, &["-c", filter, "-c", "filter.lfs.clean=git-lfs clean -- %f", "checkout", "-q", "topic"]);
        assert_eq!(fs::read_to_string(path.join("topic.bin")).expect("is there"), "content topic\n");
        half
    };
    assert_eq!(restored(&cluster, "first"), "content half\n");
    let archive = cluster.path().join("backup.tar");
    let data = cluster.coordinator_data().display().to_string();
    cluster.coordinator_command(&["backup"], &[&archive.display().to_string()]).succeeded();
    cluster.kill_coordinator();
    fs::rename(&data, cluster.path().join("gone")).expect("is renamed");
    cluster.coordinator_command(&["restore"], &[&archive.display().to_string()]).succeeded();
    cluster.start_coordinator();
    assert_eq!(restored(&cluster, "second"), "content half\n");
}

#[test]
fn a_host_without_git_lfs_is_named_and_the_work_goes_elsewhere() {
    let (mut cluster, repo, _) = with_lfs(0, &[]);
    let bare = cluster.path().join("bin");
    fs::create_dir(&bare).expect("is made");
    // All programs but that one.
    for directory in ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"] {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name() != "git-lfs" {
                std::os::unix::fs::symlink(entry.path(), bare.join(entry.file_name())).ok();
            }
        }
    }
    let variables = vec![("PATH".to_owned(), bare.display().to_string())];
    cluster.add_outpost("poor", OutpostOptions { variables, ..OutpostOptions::default() });
    cluster.online("poor");
    let id = add(&cluster, &repo, "Needs it", "grep -q one data.bin; echo b > b");
    let explained = || cluster.sprintctl(&["item", "explain", &id.to_string()]).succeeded().text();
    eventually("the reason is said", || explained().contains("this host has no git-lfs"));
    cluster.add_outpost("rich", OutpostOptions::default());
    cluster.landed(&repo, id);
}

#[test]
fn a_checkout_of_ones_own_gets_files_and_not_pointers() {
    let cluster = Cluster::start(1);
    let checkout = cluster.path().join("mine");
    fs::create_dir(&checkout).expect("is made");
    git(&checkout, &["init", "-q", "-b", "main"]);
    git(&checkout, &["lfs", "install", "--local"]);
    fs::write(checkout.join(".gitattributes"), ATTRIBUTES).expect("is written");
    fs::write(checkout.join("data.bin"), "content one\n").expect("is written");
    git(&checkout, &["add", "-A"]);
    git(&checkout, &["commit", "-qm", "first"]);
    cluster.sprintctl(&["repo", "add", "web", &checkout.display().to_string()]).succeeded();
    let repo = Repo { name: "web".to_owned(), upstream: checkout.clone() };
    let id = add(
        &cluster,
        &repo,
        "Goes on",
        "grep -q one data.bin; echo 'content two' > data.bin; echo 'content b' > b.bin",
    );
    cluster.landed(&repo, id);
    let file = |name: &str| fs::read_to_string(checkout.join(name)).unwrap_or_default();
    assert_eq!((file("data.bin").as_str(), file("b.bin").as_str()), ("content two\n", "content b\n"));
    assert_eq!(git(&checkout, &["status", "--porcelain"]), "");
}

/// A server for objects, which lets one user in.
const SERVER: &str = r#"
import base64, http.server, json, os, sys
root, ready = sys.argv[1:]
wanted = "Basic " + base64.b64encode(b"ann:secret").decode()
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def answer(self, status, body=b"", kind="application/vnd.git-lfs+json"):
        self.send_response(status)
        if status == 401: self.send_header("LFS-Authenticate", "Basic realm=x")
        self.send_header("Content-Type", kind); self.send_header("Content-Length", str(len(body)))
        self.end_headers(); self.wfile.write(body)
    def path_of(self): return os.path.join(root, os.path.basename(self.path))
    def body(self): return self.rfile.read(int(self.headers.get("Content-Length", 0)))
    def do_POST(self):
        asked = json.loads(self.body())
        if os.path.exists(root + ".down"): return self.answer(500, b"{}")
        if self.headers.get("Authorization") != wanted: return self.answer(401, b"{}")
        if os.path.exists(root + ".full") and asked["operation"] == "upload":
            return self.answer(403, json.dumps({"message": "over its data quota"}).encode())
        base = "http://%s:%d/o/" % self.server.server_address
        objects = []
        for one in asked["objects"]:
            there = os.path.exists(os.path.join(root, one["oid"]))
            action = asked["operation"]
            if action == "download" and not there: one["error"] = {"code": 404, "message": "no such object"}
            elif action == "download" or not there: one["actions"] = {action: {"href": base + one["oid"]}}
            objects.append(one)
        self.answer(200, json.dumps({"transfer": "basic", "objects": objects}).encode())
    def do_GET(self):
        with open(self.path_of(), "rb") as file: self.answer(200, file.read(), "application/octet-stream")
    def do_PUT(self):
        with open(self.path_of(), "wb") as file: file.write(self.body())
        self.answer(200)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(ready + ".new", "w") as file: file.write(str(server.server_address[1]))
os.rename(ready + ".new", ready)
server.serve_forever()
"#;

/// A process that ends with the test.
struct Ends(std::process::Child);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts the server and has a person's repository name it; answers also where it keeps its objects.
fn with_server(cluster: &Cluster, clone: &Path) -> (Ends, PathBuf) {
    let (root, ready) = (cluster.path().join("objects"), cluster.path().join("port"));
    fs::create_dir(&root).expect("is made");
    let server = std::process::Command::new("python3").args(["-c", SERVER]).args([&root, &ready]).spawn();
    let server = Ends(server.expect("python3 runs"));
    eventually("the server is there", || ready.exists());
    let port = fs::read_to_string(&ready).expect("is there");
    let config = format!("[lfs]\n\turl = http://ann:secret@127.0.0.1:{port}/lfs\n");
    push(clone, &[(".lfsconfig", &config), ("data.bin", "content of a server\n")]);
    (server, root)
}

#[test]
fn a_server_that_asks_for_a_password_gives_and_takes_objects() {
    let (cluster, repo, clone) = with_lfs(1, &[]);
    let (_server, root) = with_server(&cluster, &clone);
    assert_eq!(fs::read_dir(&root).expect("is there").count(), 1, "the person's git has brought it there");
    cluster.sprintctl(&["repo", "fetch", "web"]).succeeded();
    let id = add(&cluster, &repo, "Uses it", "grep -q server data.bin; echo 'content new' > new.bin");
    cluster.landed(&repo, id);
    assert_eq!(pulled(&clone, "new.bin"), "content new\n");
    assert_eq!(fs::read_dir(&root).expect("is there").count(), 2);
    // While it takes nothing, what it would have to take goes back, and other work lands.
    let full = root.with_extension("full");
    fs::write(&full, "").expect("is written");
    let id = add(&cluster, &repo, "Too much", "echo 'content more' > more.bin");
    let reason = blocked(&cluster, id);
    assert!(reason.contains("does not take what it brings") && reason.contains("over its data quota"), "{reason}");
    let id = add(&cluster, &repo, "Something else", "echo c > c");
    cluster.landed(&repo, id);
    // While it is away, nobody works with pointers.
    let down = root.with_extension("down");
    fs::remove_file(&full).expect("is removed");
    git(&clone, &["pull", "-q", "origin", "main"]);
    push(&clone, &[("data.bin", "content late\n")]);
    fs::write(&down, "").expect("is written");
    cluster.sprintctl(&["repo", "fetch", "web"]).succeeded();
    let id = add(&cluster, &repo, "Waits for it", "grep -q late data.bin; echo d > d");
    let explained = || cluster.sprintctl(&["item", "explain", &id.to_string()]).succeeded().text();
    eventually("the reason is said", || explained().contains("the workspace could not be made"));
    fs::remove_file(&down).expect("is removed");
    cluster.landed(&repo, id);
    // What it does not have any more is said, without the password.
    git(&clone, &["pull", "-q", "origin", "main"]);
    push(&clone, &[("data.bin", "content away\n")]);
    for entry in fs::read_dir(&root).expect("is there") {
        fs::remove_file(entry.expect("is there").path()).expect("is removed");
    }
    cluster.sprintctl(&["repo", "fetch", "web"]).succeeded();
    cluster.add(&repo, "Finds a pointer", "grep -q oid data.bin && echo e > e && git add e && git commit -qm e");
    let said = || cluster.sprintctl(&["repo", "show", "web"]).succeeded().stderr;
    eventually("what is missing is named", || said().contains("no such object") || said().contains("404"));
    assert!(!said().contains("secret") && !explained().contains("secret"), "{}", said());
}

#[test]
fn a_change_waits_while_nobody_can_be_asked_for_its_objects_and_holds_up_no_other() {
    let (cluster, repo, clone) = with_lfs(1, &[]);
    let (_server, root) = with_server(&cluster, &clone);
    cluster.sprintctl(&["repo", "fetch", "web"]).succeeded();
    let first = add(&cluster, &repo, "Has it all here", "grep -q server data.bin; echo a > a");
    cluster.landed(&repo, first);
    // An object that the server has, and nobody else.
    let oid = "6700fa343e5de98ed6a2389b64eaed71e19d16eb240b63fde9d11778afb71054";
    fs::write(root.join(oid), "content late\n").expect("is written");
    fs::write(root.with_extension("down"), "").expect("is written");
    let pointer =
        format!("printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:{oid}\\nsize 13\\n' > late.bin");
    let unfiltered = "git -c filter.lfs.process= -c filter.lfs.clean=cat -c filter.lfs.required=false";
    let waits = cluster.add(&repo, "Names it", &format!("{pointer}; {unfiltered} add -A; git commit -qm x"));
    let explained = || cluster.json(&["item", "explain", &waits.to_string()]).to_string();
    eventually("it waits, and says why", || explained().contains("change.not_known"));
    assert!(!explained().contains("secret"), "{}", explained());
    let other = cluster.add(&repo, "Holds nobody up", "echo b > b; git add b; git commit -qm b");
    cluster.landed(&repo, other);
    assert_eq!(cluster.item(waits)["stage"], "merging");
    fs::remove_file(root.with_extension("down")).expect("is removed");
    cluster.landed(&repo, waits);
    assert_eq!(pulled(&clone, "late.bin"), "content late\n");
}

#[test]
fn objects_of_a_submodule_come_from_where_it_comes_from() {
    let (cluster, repo, clone) = with_lfs(1, &[]);
    let lib = self::clone(&cluster.path().join("lib"), &repo.upstream);
    fs::write(lib.join(".gitattributes"), ATTRIBUTES).expect("is written");
    fs::write(lib.join("deep.bin"), "content deep\n").expect("is written");
    git(&lib, &["add", "-A"]);
    git(&lib, &["commit", "-qm", "deep"]);
    git(&clone, &["-c", "protocol.file.allow=always", "submodule", "add", "-q", "../lib", "lib"]);
    push(&clone, &[("data.bin", "content with lib\n")]);
    cluster.sprintctl(&["repo", "fetch", "web"]).succeeded();
    let id = add(&cluster, &repo, "Looks", "grep -q deep lib/deep.bin; grep -q lib data.bin; echo b > b");
    cluster.landed(&repo, id);
}

#[test]
fn a_resolver_finds_the_objects_of_both_sides() {
    let (cluster, repo, clone) = with_lfs(1, &[]);
    let resolve = "set -e; git merge -q main || true; grep -q 'content theirs' theirs.bin; \
                   echo 'content both' > data.bin; git add -A; git commit -qm both";
    cluster
        .sprintctl(&["repo", "set", "web", "--role-run", &format!("resolver={resolve}"), "--max-attempts", "3"])
        .succeeded();
    let hold = cluster.hold("late");
    let late = add(&cluster, &repo, "Ours", &format!("{}; echo 'content ours' > data.bin", hold.run));
    hold.reached();
    let id = add(&cluster, &repo, "Theirs", "echo 'content theirs' > data.bin; echo 'content theirs' > theirs.bin");
    cluster.landed(&repo, id);
    hold.release();
    cluster.landed(&repo, late);
    assert_eq!(pulled(&clone, "data.bin"), "content both\n");
}
