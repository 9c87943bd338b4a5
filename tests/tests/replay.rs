//! A short replay; `make sim` runs the long one.

use sprint_tests::replay::{self, ReplayOptions};

#[test]
fn of_generated_changes_the_good_ones_land_and_main_is_never_red() {
    replay::run(ReplayOptions { changes: 40, seed: fastrand::u64(..) });
}
