//! Admission, renewal and removal of callers.

use sprint_test_needs::{Need, have};
use sprint_tests::{Cluster, Namespace, OutpostOptions, commit, eventually};

#[test]
fn an_outpost_joins_from_another_host_with_the_two_commands_of_the_readme() {
    let Some(namespace) = have(Need::Netns, Namespace::make) else { return };
    // Made first: the certificate names the addresses that the host has.
    let mut cluster = Cluster::listening("0.0.0.0:0", 0, &[]);
    let readme = include_str!("../../README.md");
    let line = |begin: &str| {
        let found = readme.lines().find(|line| line.starts_with(begin) && !line.ends_with('&'));
        found.unwrap_or_else(|| panic!("the README has no line {begin:?}"))
    };
    let create = line("sprintctl token create --kind outpost").split_whitespace().skip(1).collect::<Vec<_>>();
    let token = cluster.sprintctl(&create).succeeded().text().trim().to_owned();
    let join = line("outpost-agent join").replace("HOST:50051", &format!("{}:{}", namespace.ours, cluster.port()));
    let name = cluster.join_from(&namespace, &join.replace("TOKEN", &token));
    let repo = cluster.repo("web", &[], &[]);
    let id = cluster.add(&repo, "Made far away", &commit("far.txt", "far"));
    cluster.landed(&repo, id);
    assert_eq!(cluster.workers(id)[0]["outpost"], name);
}

#[test]
fn an_outpost_comes_back_without_its_token_and_keeps_its_name() {
    let mut cluster = Cluster::start(1);
    let token = cluster.tokens()[0].clone();
    assert_eq!((token["uses"].as_u64(), token["used"].as_u64()), (Some(1), Some(1)), "{token}");
    cluster.kill_outpost("local-1");
    cluster.forget_token("local-1");
    cluster.start_outpost("local-1");
    cluster.online("local-1");
}

#[test]
fn an_outpost_renews_its_certificate_before_it_expires_and_works_on() {
    let cluster = Cluster::start_with(1, &["--outpost-cert-ttl", "8s"]);
    let repo = cluster.repo("web", &[], &[]);
    let certificate = cluster.outpost_data("local-1").join("identity/cert.pem");
    let first = std::fs::read_to_string(&certificate).expect("it joined");
    let hold = cluster.hold("over-the-end");
    let id = cluster.add(&repo, "Takes longer", &format!("{}; {}", hold.run, commit("a.txt", "a")));
    hold.reached();
    eventually("the certificate is renewed", || {
        std::fs::read_to_string(&certificate).is_ok_and(|present| present != first)
    });
    let renewed = std::fs::read_to_string(&certificate).expect("is there");
    eventually("it is renewed again, by the session of the second", || {
        std::fs::read_to_string(&certificate).is_ok_and(|present| present != renewed)
    });
    hold.release();
    cluster.landed(&repo, id);
    assert_eq!(cluster.workers(id).len(), 1, "its worker was never lost");
}

#[test]
fn a_removed_outpost_is_out_at_once_and_its_work_is_done_elsewhere() {
    let mut cluster = Cluster::start(1);
    let repo = cluster.repo("web", &[], &[]);
    let (hold, second) = (cluster.hold("first"), cluster.shared().join("second"));
    let id = cluster.add(
        &repo,
        "Wanders",
        &format!("if ! test -e '{}'; then {}; fi; {}", second.display(), hold.run, commit("a.txt", "a")),
    );
    hold.reached();
    cluster.sprintctl(&["outpost", "remove", "local-1"]).refused(&["is connected", "--force"]);
    cluster.sprintctl(&["outpost", "remove", "local-1", "--force"]).succeeded();
    eventually("it is told", || cluster.outpost_log("local-1").contains("removed"));
    assert_eq!(cluster.json(&["outpost", "list"]).as_array().expect("a list").len(), 0);
    std::fs::write(&second, b"").expect("is written");
    cluster.add_outpost("local-2", OutpostOptions::default());
    cluster.landed(&repo, id);
    let outposts: Vec<_> = cluster.workers(id).iter().map(|worker| worker["outpost"].clone()).collect();
    assert_eq!(outposts, ["local-1", "local-2"]);
    // A new start does not help it, and it says what would.
    cluster.kill_outpost("local-1");
    cluster.start_outpost("local-1");
    eventually("it is refused", || cluster.outpost_log("local-1").contains("join again with a new token"));
    assert_eq!(cluster.json(&["outpost", "list"]).as_array().expect("a list").len(), 1);
    assert!(!cluster.refusals().is_empty());
}

#[test]
fn a_removed_outpost_may_join_again_with_a_new_token() {
    let mut cluster = Cluster::start(1);
    cluster.kill_outpost("local-1");
    cluster.sprintctl(&["outpost", "remove", "local-1", "--force"]).succeeded();
    cluster.new_token("local-1");
    cluster.start_outpost("local-1");
    cluster.online("local-1");
}

#[test]
fn work_that_comes_after_its_attempt_was_given_away_is_kept_as_late() {
    let mut cluster = Cluster::start_with(1, &["--disconnect-grace", "1s"]);
    let repo = cluster.repo("web", &[], &[]);
    let hold = cluster.hold("cut-off");
    let id = cluster.add(&repo, "Late", &format!("{}; {}", hold.run, commit("late.txt", "late")));
    hold.reached();
    cluster.kill_outpost("local-1");
    eventually("its lease lapses", || cluster.count(id, "item_attempt_lost") == 1);
    // It finishes before it can be told that it is too late.
    hold.release();
    let work = cluster.outpost_data("local-1").join("workers");
    eventually("the worker ends", || {
        std::fs::read_dir(&work).expect("is there").flatten().any(|worker| worker.path().join("exit.json").exists())
    });
    cluster.start_outpost("local-1");
    let refs = cluster.coordinator_data().join("repos/web.git");
    let late = format!("refs/sprint/late/work/{id}/1");
    eventually("the late work arrives", || {
        let list = sprint_tests::git(&refs, &["for-each-ref", "--format=%(refname)", "refs/sprint"]);
        list.lines().any(|name| name == late)
    });
    cluster.landed(&repo, id);
    assert_eq!(cluster.item(id)["attempt"], 2);
}

#[test]
fn people_may_what_their_role_allows_until_it_is_taken_from_them() {
    let cluster = Cluster::start(0);
    cluster.repo("web", &[], &[]);
    let token = cluster.sprintctl(&["token", "create", "--kind", "viewer", "--name", "ann"]).succeeded().text();
    let as_ann = |args: &[&str]| cluster.sprintctl_with(&[("SPRINT_TOKEN", token.trim())], args);
    as_ann(&["whoami"]).succeeded();
    as_ann(&["item", "list"]).succeeded();
    as_ann(&["item", "add", "--repo", "web", "A wish"]).refused(&["viewer/ann may not do this", "admin or operator"]);
    as_ann(&["token", "create", "--kind", "admin"]).refused(&["it takes the role admin"]);
    let id = cluster.tokens().iter().find(|token| token["name"] == "ann").expect("is listed")["id"].clone();
    cluster.sprintctl(&["token", "revoke", id.as_str().expect("an id")]).succeeded();
    as_ann(&["item", "list"]).refused(&["was revoked"]);
    let refused = cluster.refusals();
    let by_ann = refused.iter().filter(|event| event["actor"] == "viewer/ann").count();
    assert_eq!(by_ann, 2, "{refused:?}");
    assert!(refused.iter().all(|event| event["origin"].as_str().is_some_and(|from| from.starts_with("127.0.0.1:"))));
}

#[test]
fn a_token_is_made_while_the_coordinator_is_down_too() {
    let mut cluster = Cluster::start(0);
    cluster.terminate_coordinator();
    let token = cluster.token(&["--kind", "viewer", "--name", "ann"]);
    cluster.start_coordinator();
    cluster.sprintctl_with(&[("SPRINT_TOKEN", &token)], &["status"]).succeeded();
    let audit = cluster.sprintctl(&["audit", "-o", "json", "--since", "0"]).succeeded().text();
    assert!(audit.lines().any(|line| line.contains("token_created") && line.contains("the data directory")), "{audit}");
}

#[test]
fn a_coordinator_shows_a_certificate_of_the_users_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let own = sprint_tests::own_certificate(dir.path());
    let (chain, key) = (own.chain.display().to_string(), own.key.display().to_string());
    let mut cluster = Cluster::start_with(1, &["--tls-cert", &chain, "--tls-key", &key]);
    let repo = cluster.repo("web", &[], &[]);
    let id = cluster.add(&repo, "Trusts it", &commit("a.txt", "a"));
    cluster.landed(&repo, id);
    let trusted =
        std::fs::read_to_string(cluster.outpost_data("local-1").join("identity/trust.pem")).expect("is there");
    assert!(trusted.starts_with(own.authority_pem.trim_end()), "its authority is what outposts trust");
    // A chain without its authority says nothing about whom to trust.
    cluster.terminate_coordinator();
    let data = cluster.coordinator_data().display().to_string();
    let leaf = own.leaf_only.display().to_string();
    let args = ["serve", "--data-dir", &data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let args = [&args[..], &["--tls-cert", &leaf, "--tls-key", &key]].concat();
    cluster.binary("coordinator", &args).refused(&["append", "--tls-cert"]);
}
