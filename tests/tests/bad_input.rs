//! Bad input is refused with a reason, and changes nothing.

use std::io::{Read as _, Write as _};

use sprint_tests::{Cluster, OutpostOptions, commit, eventually, git, peak_memory};

/// How many items there are.
fn count(cluster: &Cluster) -> usize {
    cluster.json(&["item", "list"]).as_array().expect("a list").len()
}

#[test]
fn an_unknown_repo_is_refused() {
    let cluster = Cluster::start(0);
    cluster.sprintctl(&["item", "add", "--repo", "nowhere", "Title"]).refused(&["nowhere"]);
    cluster.sprintctl(&["repo", "show", "nowhere"]).refused(&["nowhere"]);
    cluster.sprintctl(&["repo", "set", "nowhere", "--run", "true"]).refused(&["nowhere"]);
    cluster.sprintctl(&["repo", "remove", "nowhere"]).refused(&["nowhere"]);
    assert_eq!(count(&cluster), 0);
}

#[test]
fn unknown_numbers_are_refused() {
    let cluster = Cluster::start(0);
    let repo = cluster.repo("web", &[], &[]);
    for args in [
        ["item", "show", "77"],
        ["item", "cancel", "77"],
        ["item", "retry", "77"],
        ["item", "explain", "77"],
        ["worker", "show", "77"],
        ["worker", "logs", "77"],
        ["worker", "stop", "77"],
        ["change", "show", "77"],
        ["change", "drop", "77"],
        ["change", "retry", "77"],
    ] {
        cluster.sprintctl(&args).refused(&["77"]);
    }
    cluster.sprintctl(&["outpost", "drain", "gone"]).refused(&["gone"]);
    cluster.sprintctl(&["item", "add", "--repo", &repo.name, "Title", "--needs", "77"]).refused(&["77"]);
    cluster.sprintctl(&["item", "add", "--repo", &repo.name, "Title", "--parent", "77"]).refused(&["77"]);
}

#[test]
fn a_repo_s_name_is_taken_once() {
    let cluster = Cluster::start(0);
    let repo = cluster.repo("web", &[], &[]);
    let url = repo.upstream.display().to_string();
    cluster.sprintctl(&["repo", "add", "web", &url]).refused(&["web", "already"]);
    assert_eq!(cluster.json(&["repo", "list"]).as_array().expect("a list").len(), 1);
    for bad in ["../web", "Web", "a/b", ".", ""] {
        let answer = cluster.sprintctl(&["repo", "add", bad, &url]);
        assert_ne!(answer.code, 0, "{bad:?} is no name");
    }
}

#[test]
fn a_git_address_that_is_of_no_use_is_refused_with_the_reason() {
    let cluster = Cluster::start(0);
    let repo = cluster.repo("web", &[], &[]);
    let url = repo.upstream.display().to_string();
    let empty = cluster.path().join("empty.git").display().to_string();
    git(cluster.path(), &["init", "--quiet", "--bare", &empty]);
    cluster.sprintctl(&["repo", "add", "a", "/no/such/repository.git"]).refused(&["/no/such/repository.git"]);
    // No server listens on port 1.
    cluster.sprintctl(&["repo", "add", "b", "http://127.0.0.1:1/x.git"]).refused(&["http://127.0.0.1:1/x.git"]);
    cluster.sprintctl(&["repo", "add", "c", ""]).refused(&["not the address of a git repository"]);
    cluster.sprintctl(&["repo", "add", "d", &empty]).refused(&[&empty, "empty"]);
    cluster.sprintctl(&["repo", "add", "e", &url, "--branch", "trunk"]).refused(&["trunk", "main"]);
    let names = cluster.json(&["repo", "list"]);
    assert_eq!(names.as_array().expect("a list").len(), 1, "{names}");
    // A name is not used up by a try that failed.
    cluster.sprintctl(&["repo", "add", "e", &url]).succeeded();
}

#[test]
fn a_cycle_in_needs_is_refused_and_named() {
    let cluster = Cluster::start(0);
    let repo = cluster.repo("web", &[], &[]);
    let file = concat!(
        "{\"key\":\"a\",\"title\":\"Ant\",\"needs\":[\"c\"]}\n",
        "{\"key\":\"b\",\"title\":\"Bee\",\"needs\":[\"a\"]}\n",
        "{\"key\":\"c\",\"title\":\"Cat\",\"needs\":[\"b\"]}\n",
    );
    let answer = cluster.feed(&["item", "add", "--repo", "web", "-f", "-"], file.as_bytes());
    answer.refused(&["cycle", "Ant", "Bee", "Cat"]);
    assert_eq!(count(&cluster), 0);

    let first = cluster.add(&repo, "First", "true").to_string();
    let second = cluster.add_with(&repo, "Second", "true", &["--needs", &first]).to_string();
    let third = cluster.add_with(&repo, "Third", "true", &["--needs", &second]).to_string();
    let answer = cluster.sprintctl(&["item", "edit", &first, "--needs", &third]);
    answer.refused(&["cycle", &format!("{first} needs {third} needs {second} needs {first}")]);
    cluster.sprintctl(&["item", "edit", &first, "--needs", &first]).refused(&["cycle"]);
    assert_eq!(cluster.item(first.parse().expect("a number"))["needs"], serde_json::json!([]));
}

#[test]
fn an_item_over_1_mib_is_refused() {
    let cluster = Cluster::start(0);
    cluster.repo("web", &[], &[]);
    let line = |bytes: usize| format!("{{\"title\":\"t\",\"description\":\"{}\"}}\n", "x".repeat(bytes));
    let args = ["item", "add", "--repo", "web", "-f", "-", "-o", "json"];
    cluster.feed(&args, line(1 << 20).as_bytes()).refused(&["1048577", "1048576"]);
    assert_eq!(count(&cluster), 0);
    let added = cluster.feed(&args, line((1 << 20) - 1).as_bytes()).succeeded().json();
    let id = added[0]["id"].as_u64().expect("a number");
    assert_eq!(cluster.item(id)["description"].as_str().map(str::len), Some((1 << 20) - 1));
}

#[test]
fn a_list_that_no_message_holds_is_whole_nevertheless() {
    let cluster = Cluster::start(0);
    cluster.repo("web", &[], &[]);
    let long = "x".repeat((1 << 20) - 100);
    for _ in 0..5 {
        let file = format!("{{\"title\":\"Long\",\"stage\":\"inbox\",\"description\":\"{long}\"}}\n").repeat(16);
        cluster.feed(&["item", "add", "--repo", "web", "-f", "-"], file.as_bytes()).succeeded();
    }
    let before = peak_memory(cluster.coordinator_pid());
    let listed = |args: &[&str]| {
        let all = cluster.json(&[&["item", "list"], args].concat());
        let ids = all.as_array().expect("a list").iter().filter_map(|item| item["id"].as_u64());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(listed(&[]), (1..=80).collect::<Vec<_>>(), "80 MiB of items that wait");
    assert_eq!(listed(&["--limit", "70"]), (11..=80).collect::<Vec<_>>());
    let ids = (1..=80).map(|id: u32| id.to_string()).collect::<Vec<_>>();
    let cancel = ["item", "cancel"].into_iter().chain(ids.iter().map(String::as_str)).collect::<Vec<_>>();
    cluster.sprintctl(&cancel).succeeded();
    assert_eq!(listed(&[]), (1..=80).collect::<Vec<_>>(), "and of items that are over");
    assert_eq!(listed(&["--limit", "70"]), (11..=80).collect::<Vec<_>>());
    let after = peak_memory(cluster.coordinator_pid());
    assert!(after <= before + 160, "the coordinator has had {before} MiB, and then {after} MiB");
}

#[test]
fn ten_thousand_items_are_added_from_one_file() {
    let cluster = Cluster::start(0);
    cluster.repo("web", &[], &[]);
    let lines = (0..10_000).map(|n| format!("{{\"title\":\"Item {n}\",\"stage\":\"inbox\"}}"));
    let file = lines.collect::<Vec<_>>().join("\n");
    let added = cluster.feed(&["item", "add", "--repo", "web", "-f", "-", "-o", "json"], file.as_bytes());
    let added = added.succeeded().json();
    let added = added.as_array().expect("an array");
    assert_eq!(added.len(), 10_000);
    assert_eq!(added[9_999]["title"], "Item 9999");
    assert_eq!(count(&cluster), 10_000);
    assert_eq!(cluster.events().iter().filter(|event| event["kind"] == "item_added").count(), 10_000);
}

#[test]
fn a_bad_line_rejects_the_file_and_is_named() {
    let cluster = Cluster::start(0);
    cluster.repo("web", &[], &[]);
    let good = "{\"title\":\"Good\"}\n\n";
    for (bad, why) in [
        ("{\"title\":", "line 3"),
        ("{\"titel\":\"a\"}", "titel"),
        ("{\"title\":\"a\",\"repo\":\"nowhere\"}", "nowhere"),
        ("{\"title\":\"a\",\"needs\":[\"nobody\"]}", "nobody"),
        ("{\"title\":\"a\",\"needs\":[404]}", "404"),
        ("{\"title\":\"a\",\"stage\":\"done\"}", "done"),
        ("{\"title\":\"a\",\"description\":\"\\u0000\"}", "NUL"),
    ] {
        let file = format!("{good}{bad}\n{good}");
        cluster.feed(&["item", "add", "--repo", "web", "-f", "-"], file.as_bytes()).refused(&["line 3", why]);
        assert_eq!(count(&cluster), 0, "{bad}");
    }
    let file = [good.as_bytes(), b"{\"title\":\"\xff\xfe\"}\n"].concat();
    cluster.feed(&["item", "add", "--repo", "web", "-f", "-"], &file).refused(&["line 3", "UTF-8"]);
    assert_eq!(count(&cluster), 0);
}

#[test]
fn a_data_directory_has_one_coordinator() {
    let cluster = Cluster::start(0);
    let data = cluster.coordinator_data().display().to_string();
    let args = ["serve", "--data-dir", &data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    cluster.binary("coordinator", &args).refused(&[&format!("pid {}", cluster.coordinator_pid()), &data]);
    cluster.sprintctl(&["status"]).succeeded();
    let endpoints = std::fs::read_to_string(cluster.coordinator_data().join("endpoints.json")).expect("is there");
    assert!(endpoints.contains(cluster.address()), "the refused one changed nothing: {endpoints}");
}

#[test]
fn plain_http_is_for_this_machine_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data").display().to_string();
    let cluster = Cluster::start(0);
    for http in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let args = ["serve", "--data-dir", &data, "--listen", "127.0.0.1:0", "--http", http];
        let answer = cluster.binary("coordinator", &args);
        assert_eq!(answer.code, 2, "{}", answer.stderr);
        assert!(answer.stderr.contains("loopback"), "{}", answer.stderr);
    }
    assert!(!std::path::Path::new(&data).exists(), "nothing was begun");
}

#[test]
fn a_database_newer_than_the_binary_is_refused() {
    let mut cluster = Cluster::start(0);
    cluster.terminate_coordinator();
    let data = cluster.coordinator_data();
    let connection = rusqlite::Connection::open(data.join("sprint.db")).expect("it can be opened");
    connection
        .execute_batch(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (99990101000000, 'of the future', true, x'00', 0)",
        )
        .expect("is inserted");
    drop(connection);
    let data = data.display().to_string();
    let args = ["serve", "--data-dir", &data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    cluster.binary("coordinator", &args).refused(&["newer"]);
}

#[test]
fn an_agent_with_another_key_does_not_get_a_name_that_is_taken() {
    let mut cluster = Cluster::start(1);
    let name = Some("local-1".to_owned());
    cluster.add_outpost("other", OutpostOptions { name, ..OutpostOptions::default() });
    eventually("it gives up", || !cluster.outpost_runs("other"));
    let log = cluster.outpost_log("other");
    assert!(log.contains("an outpost \"local-1\" with another key exists already"), "{log}");
    assert!(log.contains("; remove it with: sprintctl outpost remove local-1"), "the next act: {log}");
    assert!(cluster.outpost_runs("local-1"));
}

#[test]
fn a_second_agent_under_the_same_name_is_refused() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let name = Some("local-1".to_owned());
    // Its data was copied, and its key with it.
    let (own, copied) =
        (cluster.outpost_data("local-1").join("identity"), cluster.outpost_data("other").join("identity"));
    std::fs::create_dir_all(&copied).expect("is made");
    for file in ["key.pem", "cert.pem", "trust.pem"] {
        std::fs::copy(own.join(file), copied.join(file)).expect("is copied");
    }
    cluster.add_outpost("other", OutpostOptions { name, ..OutpostOptions::default() });
    let log = || cluster.outpost_log("other");
    eventually("it is refused", || log().contains("another agent is connected as outpost"));
    assert!(!log().contains("outpost connected"), "{}", log());
    assert!(cluster.outpost_runs("local-1"));
    let id = cluster.add(&repo, "The first one works on", &commit("a.txt", "a"));
    cluster.landed(&repo, id);
}

#[test]
fn a_data_directory_has_one_agent() {
    let cluster = Cluster::start(1);
    let data = cluster.outpost_data("local-1").display().to_string();
    let address = cluster.address().to_owned();
    let args = ["join", "--name", "other", "--coordinator", &address, "--data-dir", &data];
    cluster.binary("outpost-agent", &args).refused(&[&data]);
}

#[test]
fn main_is_moved_by_the_merge_queue_alone() {
    let cluster = Cluster::start(0);
    let repo = cluster.repo("web", &[], &[]);
    let clone = cluster.path().join("clone");
    let cloned = cluster.git(cluster.path(), &["clone", "--quiet", &cluster.git_url("web"), "clone"]);
    assert!(cloned.status.success(), "people may fetch: {}", String::from_utf8_lossy(&cloned.stderr));
    std::fs::write(clone.join("evil.txt"), "evil\n").expect("is written");
    git(&clone, &["add", "-A"]);
    git(&clone, &["commit", "--quiet", "-m", "evil"]);
    for target in ["refs/heads/main", "refs/heads/other", "refs/tags/v1", "refs/sprint/candidate/1"] {
        let refused = cluster.git(&clone, &["push", "--force", "origin", &format!("HEAD:{target}")]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("moves by the merge queue only"), "{target}: {said}");
    }
    let refs = String::from_utf8_lossy(&cluster.git(&clone, &["ls-remote", "origin"]).stdout).into_owned();
    assert!(refs.contains(&repo.tip()) && !refs.contains(&git(&clone, &["rev-parse", "HEAD"])), "{refs}");
}

#[test]
fn only_repositories_are_served_over_http() {
    let cluster = Cluster::start(0);
    cluster.repo("web", &[], &[]);
    let token = cluster.token(&["--kind", "viewer"]);
    let status_as = |path: &str, who: &str| {
        let mut stream = std::net::TcpStream::connect(cluster.http()).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n{who}Connection: close\r\n\r\n").expect("is sent");
        let mut answer = vec![];
        stream.read_to_end(&mut answer).expect("an answer");
        String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let status = |path: &str| status_as(path, &format!("Authorization: Bearer {token}\r\n"));
    let refs = "/git/web.git/info/refs?service=git-upload-pack";
    assert_eq!(status(refs), "200");
    assert_eq!(status_as(refs, ""), "401", "not to strangers, also not on loopback");
    assert_eq!(status_as("/healthz", ""), "200");
    for path in ["/api/v1/status", "/metrics"] {
        assert_eq!((status_as(path, ""), status(path)), ("401".to_owned(), "200".to_owned()), "{path}");
    }
    assert_eq!(status_as("/api/v1/status", "Authorization: Bearer nonsense\r\n"), "401");
    for path in [
        "/git/none.git/info/refs?service=git-upload-pack",
        "/git/../sprint.db",
        "/git/../../etc/passwd",
        "/git/%2e%2e/sprint.db",
        "/git/..%2f..%2fetc/passwd",
        "/git/web.git/../../sprint.db",
        "/git/web.git/config",
        "/git/web.git/HEAD",
        "/git/web.git/objects/info/packs",
        "/git/.hooks/update",
        "/git/.new-web.git/info/refs",
        "/git/web.git/info/refs/../../config",
        "/git/../repos/web.git/info/refs?service=git-upload-pack",
        "/git//web.git/info/refs?service=git-upload-pack",
        "/git/",
    ] {
        assert_eq!(status(path), "404", "{path}");
    }
}

#[test]
fn an_outpost_without_a_coordinator_waits_for_one() {
    let mut cluster = Cluster::start(0);
    cluster.kill_coordinator();
    cluster.add_outpost("early", OutpostOptions::default());
    eventually("it says that no coordinator answers", || cluster.outpost_log("early").contains("trying again"));
    assert!(cluster.outpost_runs("early"));
    cluster.start_coordinator();
    cluster.online("early");
}
