//! A few points of the sweep, small enough for every test run.

use merge_sim::sweep::{compare, points};

/// Wrongly sent back at most; the aim, 0.2 %, is that of the whole sweep, which is larger.
const WRONGLY: f64 = 0.005;

#[test]
fn nothing_red_lands_no_change_is_wrongly_sent_back_and_all_land() {
    let (mut wrong, mut changes) = (0, 0);
    for point in points(40, 41) {
        let compared = compare(point, 0..2);
        assert_eq!(compared.ours.red, 0, "{point:?}");
        assert_eq!(compared.ours.stuck, 0, "{point:?}");
        for baseline in &compared.baselines {
            assert_eq!((baseline.red, baseline.stuck), (0, 0), "the comparison is fair at {point:?}");
        }
        wrong += compared.ours.wrongly_sent_back;
        changes += compared.ours.landed + compared.ours.rightly_sent_back;
    }
    let part = f64::from(u32::try_from(wrong).unwrap()) / f64::from(u32::try_from(changes).unwrap());
    assert!(part <= WRONGLY, "{wrong} of {changes} were wrongly sent back");
}

#[test]
fn where_slots_are_ample_and_conflicts_few_the_wait_is_near_the_oracles() {
    for point in
        points(80, 1).into_iter().filter(|point| point.per_hour >= 60.0 && point.slots == 40 && point.gate < 6.0)
    {
        if point.overlap > 0.05 || point.per_hour > 60.0 {
            continue;
        }
        let compared = compare(point, 0..3);
        assert!(compared.to_oracle() <= 1.3, "{:.2} times the oracle's wait at {point:?}", compared.to_oracle());
    }
}
