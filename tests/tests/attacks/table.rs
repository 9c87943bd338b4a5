//! The table: each row is an attack, how it must be refused, and what must be on record then.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sprint_core::event::Event;
use tokio::task::JoinSet;

use crate::site::{LIMIT, Site};

/// What came of an attack: what the attacker got, or what it was told.
pub(crate) type Outcome = Result<String, String>;

/// An attack, and how it must end.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// Who did it, as the record has it.
    who: &'static str,
    /// Words of what the attacker is told.
    told: &'static str,
    /// Words of what the record says.
    recorded: &'static str,
    run: Box<dyn FnOnce(Arc<Site>, IpAddr) -> BoxFuture<'static, Outcome> + Send>,
    /// Whether it comes from an address of its own; what runs the git program cannot choose one.
    apart: bool,
}

/// Who is not known.
pub(crate) const STRANGER: &str = "stranger";

/// A row.
pub(crate) fn attack<F>(
    name: &'static str,
    who: &'static str,
    told: &'static str,
    recorded: &'static str,
    run: impl FnOnce(Arc<Site>, IpAddr) -> F + Send + 'static,
) -> Attack
where
    F: Future<Output = Outcome> + Send + 'static,
{
    Attack { name, who, told, recorded, run: Box::new(|site, from| run(site, from).boxed()), apart: true }
}

impl Attack {
    /// Makes the record name another actor.
    pub(crate) fn by(mut self, who: &'static str) -> Self {
        self.who = who;
        self
    }

    /// Makes the call come from the shared address, after the rows before it.
    pub(crate) fn one_by_one(mut self) -> Self {
        self.apart = false;
        self
    }

    /// Carries the attack out, and says what is wrong with how it ended.
    async fn withstood(self, site: Arc<Site>, from: IpAddr) -> Result<(), String> {
        let Self { name, who, told, recorded, run, apart: _ } = self;
        let since = site.last_seq().await;
        let ended = AssertUnwindSafe(run(Arc::clone(&site), from)).catch_unwind();
        let outcome = tokio::time::timeout(LIMIT * 2, ended).await.map_err(|_| format!("{name}: it did not end"))?;
        match outcome.map_err(|_| format!("{name}: the attack itself broke"))? {
            Ok(got) => return Err(format!("{name}: it was not refused: {got}")),
            Err(said) if !said.contains(told) => return Err(format!("{name}: told {said:?}, not {told:?}")),
            Err(_) => {}
        }
        // A connection's end is recorded when it has ended.
        let deadline = tokio::time::Instant::now() + LIMIT;
        loop {
            let mut refusals = site.refusals(since).await;
            refusals.retain(|event| {
                let origin = event.origin.as_deref().and_then(|origin| origin.rsplit_once(':'));
                origin.is_some_and(|(host, _)| host == from.to_string())
            });
            let tells = |event: &Event| event.data.to_string().replace("\\\"", "\"").contains(recorded);
            if refusals.iter().any(|event| event.actor == who && tells(event)) {
                return Ok(());
            }
            if tokio::time::Instant::now() > deadline {
                let found = refusals.iter().map(|event| format!("\n    {} {}", event.actor, event.data));
                let found = found.collect::<String>();
                return Err(format!("{name}: no {recorded:?} of {who} from {from} on record, but{found}"));
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

/// Carries all attacks out, those with an address of their own at once, and fails when one was not withstood.
pub(crate) async fn withstand(site: &Arc<Site>, attacks: Vec<Attack>) {
    let (apart, home): (Vec<_>, Vec<_>) = attacks.into_iter().partition(|attack| attack.apart);
    let count = apart.len() + home.len();
    let names = apart.iter().chain(&home).map(|attack| attack.name).collect::<BTreeSet<_>>();
    assert_eq!(names.len(), count, "each row has a name of its own");
    let mut running = JoinSet::new();
    for (attack, number) in apart.into_iter().zip(1_u8..) {
        running.spawn(attack.withstood(Arc::clone(site), Ipv4Addr::new(127, 0, 1, number).into()));
    }
    let mut broken = Vec::new();
    for attack in home {
        broken.extend(attack.withstood(Arc::clone(site), Ipv4Addr::LOCALHOST.into()).await.err());
    }
    while let Some(ended) = running.join_next().await {
        broken.extend(ended.expect("no panic").err());
    }
    assert!(broken.is_empty(), "{} of {count} were not withstood:\n{}", broken.len(), broken.join("\n"));
    println!("{count} attacks were refused and recorded");
}
