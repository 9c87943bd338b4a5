//! The attacks that a coordinator must withstand: each is refused, and leaves an event in the audit.
//!
//! What a worker tries on its own host is tested where the sandbox is: outpost-agent/tests/agent/sandbox.rs.

mod calls;
mod connection;
mod enrolment;
mod git;
mod lfs;
mod limits;
mod link;
mod secrets;
mod session;
mod site;
mod table;
mod wire;

use sprint_core::event::EventKind;
use sprint_identity::connect::Credential;
use tonic::{Code, Request};

use site::Site;
use table::withstand;

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_none_of_ours_are_refused() {
    let site = Site::start(&[]);
    withstand(&site, connection::table()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_are_not_known_are_refused() {
    let site = Site::start(&[]);
    withstand(&site, calls::strangers()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_may_do_what_their_role_allows_and_no_more() {
    let site = Site::start(&[]);
    withstand(&site, calls::people()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outposts_may_speak_for_themselves_and_no_more() {
    let site = Site::start(&[]);
    withstand(&site, calls::outposts()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_method_but_joining_is_open_to_strangers() {
    let site = Site::start(&[]);
    let (from, since) = (site.fresh_source(), site.last_seq().await);
    let channel = site.channel(from, &Credential::None).await.expect("it connects");
    let methods = calls::methods();
    assert!(methods.len() > 35, "{methods:?}");
    for method in &methods {
        let answer = calls::call(channel.clone(), method, Request::new(())).await;
        assert_eq!(answer.expect_err(method).code(), Code::Unauthenticated, "{method}");
    }
    let refusals = site.refusals(since).await;
    for method in methods {
        let what = method.trim_start_matches("/sprint.v1.");
        assert!(refusals.iter().any(|event| event.data["what"] == what), "{what} is not on record");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_takes_the_right_token_the_right_name_and_a_key_of_ones_own() {
    let site = Site::start(&[]);
    withstand(&site, enrolment::table()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_who_race_for_five_uses_exactly_five_get_in() {
    let site = Site::start(&[]);
    let since = site.last_seq().await;
    let (won, lost) = enrolment::race(&site, 5, |number| format!("racer-{number}")).await;
    assert_eq!(won, 5, "{lost:?}");
    assert!(lost.iter().all(|why| why.contains("is used up: 5 joined")), "{lost:?}");
    assert_eq!(site.refusals(since).await.len(), 45, "each of the others is on record");
    let joined = site.audit(since).await.into_iter().filter(|event| event.kind == EventKind::OUTPOST_JOINED).count();
    assert_eq!(joined, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_who_race_for_one_name_exactly_one_gets_it() {
    let site = Site::start(&[]);
    let since = site.last_seq().await;
    let (won, lost) = enrolment::race(&site, 50, |_| "gpu-1".to_owned()).await;
    assert_eq!(won, 1, "{lost:?}");
    assert!(lost.iter().all(|why| why.contains("with another key exists already")), "{lost:?}");
    assert_eq!(site.refusals(since).await.len(), 49);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_says_what_the_coordinator_decides_whatever_was_asked_for() {
    let site = Site::start(&[]);
    enrolment::ambitious(&site).await.expect("nothing of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outpost_s_word_counts_for_itself_only() {
    let site = Site::start(&[]);
    let pair = link::Pair::make(&site).await;
    let mut attacks = link::hellos(&pair);
    attacks.extend(link::reports(&pair));
    withstand(&site, attacks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outpost_that_is_put_out_is_out_at_once() {
    let site = Site::start(&[]);
    withstand(&site, link::put_out()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_passes_through_the_terminal_of_a_removed_outpost() {
    link::terminal_of_removed(&Site::start(&[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_is_pushed_and_fetched_only_as_the_permissions_allow() {
    let site = Site::start(&["--max-push-mib", "1"]);
    let work = git::Work::make(&site).await;
    let before = git::refs(&site, "web");
    let mut attacks = git::pushes(&work);
    attacks.extend(git::fetches(&work));
    withstand(&site, attacks).await;
    let branches =
        |refs: &str| refs.lines().filter(|line| line.starts_with("refs/heads/")).collect::<Vec<_>>().join("\n");
    assert_eq!(branches(&git::refs(&site, "web")), branches(&before), "no branch has moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn git_is_served_by_the_letter() {
    let site = Site::start(&[]);
    let work = git::Work::make(&site).await;
    let before = git::refs(&site, "web");
    withstand(&site, git::raw(&work)).await;
    withstand(&site, lfs::requests(&work)).await;
    assert_eq!(git::refs(&site, "web"), before, "nothing has moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_refused_and_what_is_not_whole_is_not_read() {
    let site = Site::start(&["--max-connections-per-address", &limits::CONNECTIONS.to_string()]);
    withstand(&site, limits::table()).await;
}

#[test]
fn no_secret_of_a_whole_session_is_anywhere_else() {
    secrets::whole_session();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_password_of_a_silent_upstream_is_shown_nowhere() {
    secrets::upstream_that_does_not_answer().await;
}

#[test]
fn the_password_of_an_upstream_is_kept_and_not_shown() {
    secrets::upstream_with_a_password();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_to_its_own_coordinator_only() {
    secrets::impostor().await;
    let site = Site::start(&[]);
    withstand(&site, secrets::mistaken()).await;
}
