//! From an event's commit to a subscriber.

use std::time::{Duration, Instant};

use sprint_proto::v1;

use sprint_tests::load::figures::{Figures, Times};
use sprint_tests::load::site::Site;

use crate::extent::Extent;

pub(crate) async fn run(figures: &mut Figures, extent: Extent) -> anyhow::Result<()> {
    let count = extent.of(500, 5);
    let site = Site::start().await?;
    site.add_repo(&site.upstream(10)?).await?;
    let id = site.add_items(1, "true").await?.pop().unwrap_or_default();
    let mut events = v1::events_client::EventsClient::new(site.channel.clone());
    let request = v1::TailRequest { since: None, follow: true, item: Some(id), ..v1::TailRequest::default() };
    let mut tail = events.tail(request).await?.into_inner();
    let mut items = v1::items_client::ItemsClient::new(site.channel.clone());
    let mut times = Vec::with_capacity(count);
    for number in 0..count {
        let edit = v1::EditItemRequest { id, title: Some(format!("title {number}")), ..v1::EditItemRequest::default() };
        // The clock starts before the call: the commit itself is within what is measured.
        let began = Instant::now();
        let (answered, seen) = tokio::join!(items.edit(edit), tail.message());
        answered?;
        anyhow::ensure!(seen?.is_some(), "the stream ended");
        times.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    figures.add(
        "call made → event committed → seen by a subscriber",
        Times::new(times).to_string(),
        "one fsync",
        "p99 ≤ 10 ms",
    );
    Ok(())
}
