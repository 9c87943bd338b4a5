//! Durable dispatches: assigned, accepted by a stub outpost, finished; each step committed.

use std::time::Instant;

use sprint_proto::v1::{self, coordinator_message::Body as Down, outpost_message::Body as Up};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use sprint_tests::load::figures::{Figures, rate};
use sprint_tests::load::site::Site;

use crate::extent::Extent;

const SLOTS: u32 = 256;

pub(crate) async fn run(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let items: usize = extent.of(6_000, 50);
    let site = Site::start().await?;
    site.add_repo(&site.upstream(10)?).await?;
    let (up, messages) = mpsc::channel(4_096);
    let hello = v1::Hello {
        outpost: "stub".to_owned(),
        version: "bench".to_owned(),
        max_workers: SLOTS,
        instance: "bench".to_owned(),
        ..v1::Hello::default()
    };
    up.send(v1::OutpostMessage { body: Some(Up::Hello(hello)) }).await?;
    let mut link = v1::link_client::LinkClient::new(site.stub("stub", &site.token(1).await?).await?);
    let mut down = link.session(ReceiverStream::new(messages)).await?.into_inner();
    site.add_items(items, "true").await?;
    let (mut finished, mut began) = (0, None);
    while finished < items {
        let Some(message) = down.message().await? else { anyhow::bail!("the session ended") };
        match message.body {
            Some(Down::Assign(assignment)) => {
                began.get_or_insert_with(Instant::now);
                up.send(report(&assignment, 1, v1::report::Body::Accepted(v1::Accepted {}))).await?;
                let outcome = Some(v1::finished::Outcome::Attempt(v1::AttemptOutcome {
                    kind: Some(v1::attempt_outcome::Kind::Failed("a stub does no work".to_owned())),
                }));
                let body = v1::Finished { exit_code: Some(1), outcome, ..v1::Finished::default() };
                up.send(report(&assignment, 2, v1::report::Body::Finished(body))).await?;
            }
            Some(Down::Ack(ack)) if ack.seq == 2 => finished += 1,
            Some(
                Down::Ack(_)
                | Down::Welcome(_)
                | Down::Stop(_)
                | Down::Attach(_)
                | Down::Forget(_)
                | Down::Certificate(_),
            )
            | None => {}
        }
    }
    let time = began.map(|began| began.elapsed()).unwrap_or_default();
    let rate = rate(items as u64, time);
    figures.add("durable dispatches", format!("{rate:.0}/s"), "0.9 k/s, HyperQueue without durability", "≥ 1,900/s");
    Ok(())
}

fn report(assignment: &v1::Assignment, seq: u64, body: v1::report::Body) -> v1::OutpostMessage {
    let (worker, job) = (assignment.worker, assignment.job.clone());
    let report = v1::Report { worker, job, seq, body: Some(body) };
    v1::OutpostMessage { body: Some(Up::Report(report)) }
}
