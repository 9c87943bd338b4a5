//! The attacks that a coordinator must withstand: each is refused, and leaves an event in the audit.
//!
//! What a worker tries on its own host is tested where the sandbox is: outpost-agent/tests/agent/sandbox.rs.

mod calls;
mod connection;
mod session;
mod site;
mod table;
mod wire;

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
