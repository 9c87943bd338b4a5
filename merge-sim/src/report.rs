//! The comparison as Markdown.

use std::fmt::Write;

use crate::bench::Outcome;
use crate::sweep::{BASELINES, Compared};
use crate::world::Arrivals;

impl Outcome {
    /// The wait that this part of the landed changes does not exceed, in minutes.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
    pub fn percentile(&self, part: f64) -> f64 {
        let mut waits = self.waits.clone();
        if waits.is_empty() {
            return f64::INFINITY;
        }
        let rank = ((part * waits.len() as f64).ceil() as usize).clamp(1, waits.len());
        *waits.select_nth_unstable_by(rank - 1, f64::total_cmp).1
    }

    pub fn landed_per_hour(&self) -> f64 {
        number(self.landed) / self.span * 60.0
    }

    pub fn gates_per_landed(&self) -> f64 {
        number(self.gates) / number(self.landed)
    }

    /// The part of all changes that was sent back without being to blame.
    pub fn wrongly(&self) -> f64 {
        number(self.wrongly_sent_back) / number(self.landed + self.rightly_sent_back)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of changes")]
fn number(count: usize) -> f64 {
    count as f64
}

impl Compared {
    /// Our 95th percentile by the oracle's.
    pub fn to_oracle(&self) -> f64 {
        self.ours.percentile(0.95) / self.oracle.percentile(0.95)
    }

    /// The best of the other strategies by its 95th percentile.
    pub fn best(&self) -> (&'static str, &Outcome) {
        BASELINES
            .into_iter()
            .zip(&self.baselines)
            .min_by(|(_, one), (_, other)| one.percentile(0.95).total_cmp(&other.percentile(0.95)))
            .expect("there are baselines")
    }

    /// Our 95th percentile by that of the best of the others.
    pub fn to_best(&self) -> f64 {
        self.ours.percentile(0.95) / self.best().1.percentile(0.95)
    }

    /// Whether there are enough slots for the first aim.
    pub fn is_ample(&self) -> bool {
        number(self.point.slots) >= 2.0 * self.point.load()
    }
}

pub const HEAD: &str = "\
| changes/h | gate | slots | load | fail | flake | overlap | conflict | ours p50 / p95 / p99 | landed/h | gates each | wrong | red | oracle p95 | ratio | together p95 | best other p95 | ratio | serial, zuul, bors, optimistic p95 |
|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

/// One line of the table.
pub fn line(compared: &Compared) -> String {
    let Compared { point, ours, oracle, oracle_together, .. } = compared;
    let bursts = match point.arrivals {
        Arrivals::Poisson => "",
        Arrivals::Bursty => " bursty",
    };
    let (name, best) = compared.best();
    let others: Vec<String> =
        compared.baselines.iter().map(|outcome| format!("{:.0}", outcome.percentile(0.95))).collect();
    let mut text = String::new();
    let _ = writeln!(
        text,
        "| {}{bursts} | {} | {} | {:.1} | {:.0} % | {:.0} % | {:.0} % | {:.0} % | {:.1} / {:.1} / {:.1} | {:.1} | {:.2} | {:.2} % | {} | {:.1} | {}{:.2} | {:.1} | {name} {:.1} | {:.2} | {} |",
        point.per_hour,
        point.gate,
        point.slots,
        point.load(),
        point.failure * 100.0,
        point.flake * 100.0,
        point.overlap * 100.0,
        point.conflict * 100.0,
        ours.percentile(0.5),
        ours.percentile(0.95),
        ours.percentile(0.99),
        ours.landed_per_hour(),
        ours.gates_per_landed(),
        ours.wrongly() * 100.0,
        ours.red + ours.stuck,
        oracle.percentile(0.95),
        if compared.is_ample() { "*" } else { "" },
        compared.to_oracle(),
        oracle_together.percentile(0.95),
        best.percentile(0.95),
        compared.to_best(),
        others.join(", "),
    );
    text
}

/// What the table comes to.
pub fn summary(all: &[Compared]) -> String {
    let ample: Vec<&Compared> = all.iter().filter(|compared| compared.is_ample()).collect();
    let far = ample.iter().filter(|compared| compared.to_oracle() > 1.3).count();
    let beaten = all.iter().filter(|compared| compared.to_best() > 1.05).count();
    let worst = |ratios: Vec<f64>| ratios.into_iter().fold(0.0, f64::max);
    let mean = |ratios: Vec<f64>| (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / number(ratios.len())).exp();
    let oracle: Vec<f64> = ample.iter().map(|compared| compared.to_oracle()).collect();
    let best: Vec<f64> = all.iter().map(Compared::to_best).collect();
    let wrong: usize = all.iter().map(|compared| compared.ours.wrongly_sent_back).sum();
    let sent: usize = all.iter().map(|compared| compared.ours.landed + compared.ours.rightly_sent_back).sum();
    format!(
        "- {} points, of which {} have slots for twice the load.\n\
         - p95 by the oracle's, where there are slots: mean {:.2}, worst {:.2}; above 1.3 at {far} points.\n\
         - p95 by the best other's: mean {:.2}, worst {:.2}; above 1.05 at {beaten} points.\n\
         - Wrongly sent back: {wrong} of {sent} ({:.3} %), at worst {:.2} % at a point; red landings: {}; stuck: {}.\n",
        all.len(),
        ample.len(),
        mean(oracle.clone()),
        worst(oracle),
        mean(best.clone()),
        worst(best),
        100.0 * number(wrong) / number(sent),
        worst(all.iter().map(|compared| compared.ours.wrongly() * 100.0).collect()),
        all.iter().map(|compared| compared.ours.red).sum::<usize>(),
        all.iter().map(|compared| compared.ours.stuck).sum::<usize>(),
    )
}
